/** What can be done with an extension, the next thing first. Where that is a form of the page, no act is the primary one. */

import { COMMON } from "../words/common.js";
import { EXTENSIONS } from "../words/extensions.js";
import { TOOLS } from "../words/tools.js";

const FORMS = new Set(["needs_token", "needs_settings"]);

/**
 * @param {{state?: string}} extension
 * @param {Record<"install"|"enable"|"confirm"|"disable"|"test"|"remove", () => void>} acts
 * @returns {(import("./page-head.js").Act|import("./page-head.js").Menu)[]}
 */
export function extensionActs({ state }, acts) {
  if (state === undefined) return [{ label: TOOLS.install, act: acts.install, primary: true }];
  if (state === "installing") return [{ label: EXTENSIONS.giveUp, act: acts.remove, primary: true }];
  const more = { label: COMMON.more, items: [{ label: COMMON.remove, act: acts.remove }] };
  const [first, ...rest] = possible(state, acts);
  return [{ ...first, primary: !FORMS.has(state) }, ...rest, more];
}

function possible(state, acts) {
  if (state === "unconfirmed") return [{ label: TOOLS.enable, act: acts.confirm }];
  if (state === "disabled") return [{ label: TOOLS.enable, act: acts.enable }];
  if (state === "install_failed") return [{ label: COMMON.tryAgain, act: acts.enable }];
  if (FORMS.has(state)) return [{ label: TOOLS.disable, act: acts.disable }];
  return [{ label: EXTENSIONS.test, act: acts.test }, { label: TOOLS.disable, act: acts.disable }];
}
