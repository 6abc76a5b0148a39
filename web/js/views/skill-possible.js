/** What can be done with a skill, the next thing first. */

import { COMMON } from "../words/common.js";
import { SKILLS } from "../words/skills.js";
import { TOOLS } from "../words/tools.js";

/**
 * @param {object} detail as of `GET /api/skills/NAME`
 * @param {Record<"install"|"enable"|"disable"|"use"|"edit"|"remove", () => void>} acts
 * @returns {(import("./page-head.js").Act|import("./page-head.js").Menu)[]}
 */
export function skillActs({ skill }, acts) {
  const more = { label: COMMON.more, items: [{ label: COMMON.remove, act: acts.remove }] };
  const edit = skill.source === "own" ? [{ label: COMMON.edit, act: acts.edit }] : [];
  const [first, ...rest] = possible(skill, acts, edit);
  return [{ ...first, primary: true }, ...rest, ...(skill.state === "available" ? [] : [more])];
}

function possible({ state, source }, acts, edit) {
  if (state === "available") return [{ label: TOOLS.install, act: acts.install }];
  if (state === "enabled") return [{ label: SKILLS.use, act: acts.use }, ...edit, { label: TOOLS.disable, act: acts.disable }];
  if (state === "broken") return source === "own" ? edit : [{ label: COMMON.remove, act: acts.remove }];
  return [{ label: TOOLS.enable, act: acts.enable }, ...edit];
}
