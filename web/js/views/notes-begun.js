/** How writing a note begins: with what was being written before a reload, with its text, or with the first line of a new one. */

import { draftOf } from "../notes-drafts.js";
import { firstText } from "../words/notes.js";
import { NoteWriting } from "./notes-writing.js";

/** What was being written at *path*, if anything, as a writing that goes on. @param {object|null} note as it is now */
export function resumed(api, path, note) {
  const draft = draftOf(path);
  if (draft === null) return null;
  const content = (note?.etag ?? "") === draft.etag ? first(path, note) : "";
  const writing = new NoteWriting(api, path, { content, etag: draft.etag }, draft.text);
  if ((note?.etag ?? "") !== draft.etag) writing.changedElsewhere();
  return writing;
}

/** A writing of *note*; null: of one that is not there yet. */
export function begun(api, path, note) {
  const content = first(path, note);
  return resumed(api, path, note) ?? new NoteWriting(api, path, { content, etag: note?.etag ?? "" }, content);
}

function first(path, note) {
  return note?.content ?? firstText(path);
}
