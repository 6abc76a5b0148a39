/** What can be done with a note that is read, or is not there. */

/**
 * @param {import("../notes-source.js").NoteSource} source
 * @param {Record<"edit"|"versions"|"download"|"move"|"delete"|"read", () => void>} acts
 * @returns {(import("./notes-head.js").Act|import("./notes-head.js").Menu)[]}
 */
export function possibleActs({ note, file, error }, acts) {
  const versions = { label: "Versions", act: acts.versions };
  const download = { label: "Download", act: acts.download };
  const more = (...items) => ({ label: "More", items: [{ label: "Rename or move", act: acts.move }, ...items, { label: "Delete", act: acts.delete }] });
  if (note !== null) return [{ label: "Edit", act: acts.edit, primary: true }, versions, more(download)];
  if (file !== null) return [{ ...download, primary: true }, more()];
  if (error === null) return [];
  if (error.status === 404) return [{ label: "Write it", act: acts.edit, primary: true }, versions];
  return [{ label: "Try again", act: acts.read, primary: true }];
}
