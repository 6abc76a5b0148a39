/** What was written into notes and is not saved yet: kept in this tab, so that a reload loses nothing. */

import { tab } from "./storage.js";

/** @returns {{text: string, etag: string}|null} the text, and that of the file which it was made from; an empty etag: of none */
export function draftOf(path) {
  return tab.getValue(`note.${path}`, null);
}

/** @param {{text: string, etag: string}|null} draft null: forget it */
export function keepDraft(path, draft) {
  tab.setValue(`note.${path}`, draft);
}
