/** What can be done with a note that is read, or is not there. */

import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";

/**
 * @param {import("../notes-source.js").NoteSource} source
 * @param {Record<"edit"|"versions"|"download"|"move"|"delete"|"read", () => void>} acts
 * @returns {(import("./notes-head.js").Act|import("./notes-head.js").Menu)[]}
 */
export function possibleActs({ note, file, error }, acts) {
  const versions = { label: NOTES.versions, act: acts.versions };
  const download = { label: NOTES.download, act: acts.download };
  const more = (...items) => ({ label: COMMON.more, items: [{ label: NOTES.move, act: acts.move }, ...items, { label: COMMON.delete, act: acts.delete }] });
  if (note !== null) return [{ label: COMMON.edit, act: acts.edit, primary: true }, versions, more(download)];
  if (file !== null) return [{ ...download, primary: true }, more()];
  if (error === null) return [];
  if (error.status === 404) return [{ label: NOTES.writeIt, act: acts.edit, primary: true }, versions];
  return [{ label: COMMON.tryAgain, act: acts.read, primary: true }];
}
