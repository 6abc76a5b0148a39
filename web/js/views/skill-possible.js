/** What can be done with a skill, the next thing first. */

/**
 * @param {object} detail as of `GET /api/skills/NAME`
 * @param {Record<"install"|"enable"|"disable"|"use"|"edit"|"remove", () => void>} acts
 * @returns {(import("./page-head.js").Act|import("./page-head.js").Menu)[]}
 */
export function skillActs({ skill }, acts) {
  const more = { label: "More", items: [{ label: "Remove", act: acts.remove }] };
  const edit = skill.source === "own" ? [{ label: "Edit", act: acts.edit }] : [];
  const [first, ...rest] = possible(skill, acts, edit);
  return [{ ...first, primary: true }, ...rest, ...(skill.state === "available" ? [] : [more])];
}

function possible({ state, source }, acts, edit) {
  if (state === "available") return [{ label: "Install", act: acts.install }];
  if (state === "enabled") return [{ label: "Use it", act: acts.use }, ...edit, { label: "Disable", act: acts.disable }];
  if (state === "broken") return source === "own" ? edit : [{ label: "Remove", act: acts.remove }];
  return [{ label: "Enable", act: acts.enable }, ...edit];
}
