/** What the page says of skills. Pure. */

import { wish } from "./calls.js";

const SEVERITIES = { danger: "Danger", warning: "Warning", note: "Note" };
const ORIGINS = { archive: "from a file", pasted: "pasted" };
const READS = "Until this is ticked, the assistant may only look once it has read this skill, and change nothing until its answer is there.";
const ALL = "After reading it the assistant may use all its tools; what needs your consent still asks for it.";
const STATE_SENTENCES = {
  enabled: ({ name }) => `Enabled. The assistant reads it when it fits, or when you write “/skill ${name}”.`,
  disabled: () => "Disabled. The assistant does not see it.",
  changed: ({ reason }) => `Changed on disk. ${reason}`,
  broken: ({ reason }) => `It can’t be read. ${reason}`,
  available: () => "Not installed.",
};

/** How a skill is, in a sentence. */
export function skillSentence(skill) {
  return STATE_SENTENCES[skill.state]?.({ reason: "", ...skill }) ?? "";
}

/** "Skill · 1.0.0 · yours" */
export function skillWhere({ version, source, origin }) {
  const from = { builtin: "comes with IronClaw", own: "yours" }[source] ?? ORIGINS[origin] ?? "from elsewhere";
  return ["Skill", version === "0.0.0" ? "" : version, from].filter(Boolean).join(" · ");
}

/** "From https://…", of one that came from an address. */
export function originText({ origin }) {
  return origin && !(origin in ORIGINS) ? `From ${origin}` : "";
}

/** What a skill may do. */
export function mayText({ trust, tools }) {
  return trust === "trusted" || tools === "all" ? ALL : READS;
}

/** The tools that a skill names, "read a note"; naming them gives it none. */
export function askedTools({ allowed_tools: tools }) {
  return tools.map(wish);
}

/** "Danger" */
export function severityWord({ severity }) {
  return SEVERITIES[severity] ?? severity;
}

/** "SKILL.md, line 8" */
export function findingPlace({ path, line }) {
  return line === null || line === undefined ? path : `${path}, line ${line}`;
}

/** Whether something grave was found. */
export function isGrave(findings) {
  return findings.some(({ severity }) => severity === "danger");
}

/** What is replaced by an install. @param {string|undefined} version "0.0.0" where none was given */
export function replacesText(version) {
  if (version === undefined) return "";
  return version === "0.0.0" ? "It takes the place of the one that is installed." : `It takes the place of version ${version}, which is installed.`;
}
