/** What stands in place of a text that is not there, or is none. */

import { fromTemplate, part, setText } from "../dom.js";
import { titleOf } from "../notes.js";
import { NOTES } from "../words/notes.js";
import { sizeText } from "../words/sizes.js";

/** A file that is no text, or too large to be shown. */
export function fileNode(path, { size }) {
  const node = fromTemplate("note-file");
  setText(part(node, "name"), path.slice(path.lastIndexOf("/") + 1));
  setText(part(node, "size"), sizeText(size));
  return node;
}

/** Why there is nothing to read; *known*: there was a moment ago. While nothing is known yet, it is being read. */
export function unreadNode(path, error, known) {
  const node = document.createElement("p");
  node.className = error === null ? "phase" : "note-unread";
  node.textContent = error === null ? NOTES.reading : reason(titleOf(path), error, known);
  return node;
}

function reason(title, { status, message }, known) {
  if (status !== 404) return NOTES.unreadable(title, message);
  return known ? NOTES.gone(title) : NOTES.missing(title);
}
