/** Skills that are being written: what one begins with, by itself or from a conversation, and what is kept of it in this tab. */

import { tab } from "./storage.js";
import { SKILLS } from "./words/skills.js";

const LONGEST_NAME = 64;
const LONGEST_QUOTE = 2000;

/** What a new skill begins with. */
export const FIRST_SKILL = skillText({ name: SKILLS.firstName, description: SKILLS.firstDescription, body: SKILLS.firstBody });

/** @returns {{text: string, hash: string}|null} the text, and the hash of what it was made from; an empty one: of nothing */
export function skillDraft(key) {
  return tab.getValue(`skill.${key}`, null);
}

/** @param {{text: string, hash: string}|null} draft null: forget it */
export function keepSkillDraft(key, draft) {
  tab.setValue(`skill.${key}`, draft);
}

/** The name that a SKILL.md gives itself; null: none. */
export function nameIn(text) {
  const front = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? "";
  return /^name:[ \t]*["']?([^"'\s#]+)/m.exec(front)?.[1] ?? null;
}

/** A name for a skill out of any words: "kitchen-lights" of "Kitchen lights!" */
export function skillName(words) {
  const plain = words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const name = plain.replace(/[^a-z0-9]+/g, "-").slice(0, LONGEST_NAME).replace(/^-+|-+$/g, "");
  return name || SKILLS.firstName;
}

/**
 * A draft of a conversation: what was asked becomes its steps, the tools that were used those it names.
 * @param {{user_message: string, response: string|null, tool_calls?: {name: string, success?: boolean|null}[]}[]} turns the oldest first
 */
export function skillOfChat(title, turns) {
  const asked = turns.map((turn) => turn.user_message.trim()).filter((text) => text !== "" && !text.startsWith("/"));
  const tools = [...new Set(turns.flatMap((turn) => turn.tool_calls ?? []).filter((call) => call.success).map((call) => call.name))];
  const answer = turns.findLast((turn) => turn.response)?.response ?? "";
  const heading = oneLine(title || asked[0] || SKILLS.firstTitle);
  const parts = [`# ${heading}`, SKILLS.stepsHead, asked.map((text, index) => `${index + 1}. ${indented(text)}`).join("\n") || SKILLS.firstStep];
  if (answer !== "") parts.push(SKILLS.answerHead, quoted(answer));
  const description = SKILLS.descriptionOf(heading, oneLine(asked[0] ?? ""));
  return skillText({ name: skillName(heading), description: description.slice(0, 300).trim(), tools, body: parts.join("\n\n") });
}

function skillText({ name, description, tools = [], body }) {
  const front = [`name: ${name}`, `description: ${yaml(description)}`, "version: 1.0.0"];
  if (tools.length > 0) front.push(`allowed-tools: [${tools.join(", ")}]`);
  return ["---", ...front, "---", "", body, ""].join("\n");
}

// What has a sign in it that means something in YAML is quoted, as JSON: that is YAML too.
function yaml(text) {
  return /^[\p{L}\p{N}][\p{L}\p{N} ,.()/-]*$/u.test(text) ? text : JSON.stringify(text);
}

function oneLine(text) {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

function indented(text) {
  return text.replace(/\n/g, "\n   ");
}

function quoted(text) {
  const shown = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return shown.replace(/^/gm, "> ").replace(/[ \t]+$/gm, "");
}
