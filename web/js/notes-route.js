/** Where the page is among the notes: `#/notes`, `#/notes/PATH`, `#/notes/PATH?line=15`, `#/notes/?find=WORDS`. Pure. */

const NOTES = /^#\/notes(?:\/([^?]*))?(?:\?(.*))?$/;

/**
 * @typedef {{path: string|null, line: number|null, find: string|null}} NoteRoute
 * Without a path the address is that of the list; *find* is what the list is searched for.
 */

/** @returns {NoteRoute} */
export function readNoteRoute(hash) {
  const [, path, query] = NOTES.exec(hash) ?? [];
  const values = new URLSearchParams(query ?? "");
  const line = Number.parseInt(values.get("line") ?? "", 10);
  return { path: decode(path) || null, line: line > 0 ? line : null, find: values.get("find") || null };
}

/** The address of the list, or of a note, at a line of it. */
export function noteAddress(path = "", line = null) {
  const parts = path === "" ? [] : path.split("/").map(encode);
  return ["#/notes", ...parts].join("/") + (line === null ? "" : `?line=${line}`);
}

/** The address of what a search for *text* finds. */
export function findAddress(text) {
  return `#/notes/?find=${encode(text)}`;
}

// Half a character can't be in an address.
function encode(text) {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

function decode(text) {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null;
  }
}
