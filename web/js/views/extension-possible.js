/** What can be done with an extension, the next thing first. Where that is a form of the page, no act is the primary one. */

const FORMS = new Set(["needs_token", "needs_settings"]);

/**
 * @param {{state?: string}} extension
 * @param {Record<"install"|"enable"|"confirm"|"disable"|"test"|"remove", () => void>} acts
 * @returns {(import("./page-head.js").Act|import("./page-head.js").Menu)[]}
 */
export function extensionActs({ state }, acts) {
  if (state === undefined) return [{ label: "Install", act: acts.install, primary: true }];
  if (state === "installing") return [{ label: "Give up", act: acts.remove, primary: true }];
  const more = { label: "More", items: [{ label: "Remove", act: acts.remove }] };
  const [first, ...rest] = possible(state, acts);
  return [{ ...first, primary: !FORMS.has(state) }, ...rest, more];
}

function possible(state, acts) {
  if (state === "unconfirmed") return [{ label: "Enable", act: acts.confirm }];
  if (state === "disabled") return [{ label: "Enable", act: acts.enable }];
  if (state === "install_failed") return [{ label: "Try again", act: acts.enable }];
  if (FORMS.has(state)) return [{ label: "Disable", act: acts.disable }];
  return [{ label: "Test", act: acts.test }, { label: "Disable", act: acts.disable }];
}
