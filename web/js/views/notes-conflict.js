/** Two texts of one note, side by side: the one that was written here, and the one that somebody else has made of it. */

import { fromTemplate, part, setText } from "../dom.js";
import { comparedLines } from "../notes-diff.js";
import { NOTES } from "../words/notes.js";

/** @param {string} mine @param {string|null} theirs null: the note was deleted */
export function conflictNode(mine, theirs) {
  const root = fromTemplate("note-conflict");
  const [ours, others] = comparedLines(mine, (theirs ?? "").replaceAll("\r\n", "\n"));
  part(root, "mine").append(...ours.map(lineNode));
  if (theirs === null) setText(part(root, "theirs"), NOTES.theirsDeleted);
  else part(root, "theirs").append(...others.map(lineNode));
  return root;
}

function lineNode({ text, marked }) {
  const node = document.createElement(marked ? "mark" : "span");
  node.textContent = `${text}\n`;
  return node;
}
