/** What the agent does, in plain words. Tools that are not known here go by their name. Pure. */

const WORDS = new Map([
  ["MemorySearch", ["Searching notes", "Searched notes"]],
  ["MemoryTodos", ["Looking for todos", "Looked for todos"]],
  ["FileRead", ["Reading a note", "Read a note"]],
  ["FileList", ["Listing notes", "Listed notes"]],
  ["FileAppend", ["Adding to a note", "Added to a note"]],
  ["Status", ["Looking at the gateway", "Looked at the gateway"]],
  ["Time", ["Looking at the clock", "Looked at the clock"]],
]);

export function doing(tool) {
  return WORDS.get(tool)?.[0] ?? tool;
}

export function done(tool) {
  return WORDS.get(tool)?.[1] ?? tool;
}
