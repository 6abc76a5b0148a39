/** What the page says of skills. Pure. */

import { wish } from "./calls.js";
import { facts, listed } from "./language.js";

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

export const SKILLS = Object.freeze({
  // One skill
  title: "Skill",
  titleNew: "New skill",
  about: { menu: "This skill", button: "More about this skill" },
  yours: "Skill · yours",
  use: "Use it",
  installAndEnable: "Install and enable",
  changeAdded: "Change what is added",
  unusable: (path, why) => `${path} is no usable skill. ${why}`,
  asks: (wishes) => `It asks to ${listed(wishes)}. Asking alone allows none of that.`,
  noText: "This file is no text.",
  removed: (name) => `Removed “${name}”.`,
  removedAndKept: (name, folder) => `Removed “${name}”. Its text was kept in skills/${folder}.`,

  // Writing
  newHint: "The lines between “---” say what it is called and when it fits. Below stands what the assistant is to do, in plain words.",
  conversationUnreadable: (why) => `The conversation can’t be read. ${why}`,
  nameless: "Not saved. It needs a name: a line “name: my-skill” between the two lines “---” at its beginning.",
  nameTaken: (name) => `Not saved. There is a skill called ${name} already; give this one another name.`,
  whichStays: "This skill was changed elsewhere while you wrote. Which text is to stay?",
  savedNothing: "Saved nothing yet: this skill was changed elsewhere.",

  // What a new one begins with, in Markdown
  firstName: "my-skill",
  firstTitle: "My skill",
  firstDescription: "What it does, and when to use it.",
  firstBody: "# My skill\n\n1. First step\n2. Next step",
  firstStep: "1. First step",
  stepsHead: "## Steps",
  answerHead: "## How the answer looks",
  descriptionOf: (heading, asked) => `${heading}. Use it when something like this is asked: ${asked}`,
});

/** How a skill is, in a sentence. */
export function skillSentence(skill) {
  return STATE_SENTENCES[skill.state]?.({ reason: "", ...skill }) ?? "";
}

/** "Skill · 1.0.0 · yours" */
export function skillWhere({ version, source, origin }) {
  const from = { builtin: "comes with IronClaw", own: "yours" }[source] ?? ORIGINS[origin] ?? "from elsewhere";
  return facts(["Skill", version === "0.0.0" ? "" : version, from]);
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

/** "Danger." */
export function severityText({ severity }) {
  return `${SEVERITIES[severity] ?? severity}.`;
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
