/** What the agent does, and asks to do, in plain words. Tools that are not known here go by their name. Pure. */

import { facts } from "./language.js";

const WORDS = new Map([
  ["MemorySearch", ["Searching notes", "Searched notes", "search notes"]],
  ["MemoryTodos", ["Looking for todos", "Looked for todos", "look for todos"]],
  ["FileRead", ["Reading a note", "Read a note", "read a note"]],
  ["FileList", ["Listing notes", "Listed notes", "list notes"]],
  ["FileAppend", ["Adding to a note", "Added to a note", "add to a note"]],
  ["FileWrite", ["Writing a note", "Wrote a note", "write a note"]],
  ["MemoryDone", ["Ticking a todo", "Ticked a todo", "tick a todo"]],
  ["SkillRead", ["Reading a skill", "Read a skill", "read a skill"]],
  ["WebFetch", ["Reading a web page", "Read a web page", "read a web page"]],
  ["WebSearch", ["Searching the web", "Searched the web", "search the web"]],
  ["JobStart", ["Running a job", "Ran a job", "run in a sandbox"]],
  ["JobStatus", ["Looking at a job", "Looked at a job", "look at a job"]],
  ["JobStop", ["Stopping a job", "Stopped a job", "stop a job"]],
  ["JobList", ["Listing jobs", "Listed jobs", "list jobs"]],
  ["Status", ["Looking at the gateway", "Looked at the gateway", "look at the gateway"]],
  ["Time", ["Looking at the clock", "Looked at the clock", "look at the clock"]],
]);

export const CALLS = Object.freeze({
  tool: "Tool",
  result: "Result",
  stopped: "stopped",
  failed: (preview) => (preview ? `failed: ${preview}` : "failed"),
  question: (name) => `Allow IronClaw to ${wish(name)}?`,
  asked: (name, subject) => facts([wish(name), subject]),
  answers: { approve: "Allowed once", always: "Always allowed", deny: "Not allowed" },
  notAnswered: (why) => `Not answered. ${why}`,
  notAskedAnyMore: "Not asked any more",
  summary: ({ count, failed, took }) => facts([`${count} steps`, failed ? `${failed} failed` : "", took]),
});

/** "Searching notes…" */
export function doing(tool) {
  return `${WORDS.get(tool)?.[0] ?? tool}…`;
}

/** "Searched notes" */
export function done(tool) {
  return WORDS.get(tool)?.[1] ?? tool;
}

/** What the agent asks to do: "add to a note". */
export function wish(tool) {
  return WORDS.get(tool)?.[2] ?? `use ${tool}`;
}
