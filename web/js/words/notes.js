/** What the page says of notes and their versions. Pure. */

import { dailyPath, titleOf } from "../notes.js";
import { facts } from "./language.js";
import { longDay } from "./times.js";

const AUTHORS = { person: "by you", agent: "by the assistant", outside: "outside" };
const CHANGES = { created: "made", written: "changed", deleted: "deleted", moved: "moved", restored: "restored" };

const UNUSABLE_NAME = "A note can't be called that: a name is not empty, doesn't begin with a dot and holds no backslash.";

export const NOTES = Object.freeze({
  // The list
  listUnreadable: (why) => `The list of notes can't be read. ${why}`,
  moreThanShown: "There are more notes than the list shows. Search finds all of them.",
  bestPlaces: (count) => `The best ${count} places. More words find less.`,
  place: (folder, line) => facts([folder, line ? `line ${line}` : ""]),

  // One note
  about: { menu: "This note", button: "More about this note" },
  changed: (time) => ["Changed ", time],
  changedIn: (time) => [" · changed ", time],
  versions: "Versions",
  download: "Download",
  move: "Rename or move",
  writeIt: "Write it",
  done: "Done",
  reading: "Reading…",
  unreadable: (title, why) => `“${title}” can't be read. ${why}`,
  gone: (title) => `“${title}” is not there any more: it was moved or deleted.`,
  missing: (title) => `There is no note “${title}” yet.`,
  nothingThere: "There is no such note yet",

  // What became of an act
  unusableName: UNUSABLE_NAME,
  deleted: (title) => `Deleted “${title}”.`,
  moved: (path) => `Moved to ${path}.`,
  notMoved: (why) => `Not moved. ${why}`,
  notMovedSo: `Not moved. ${UNUSABLE_NAME}`,
  restored: "Restored.",
  notRestored: (why) => `Not restored. ${why}`,
  notTakenBack: (why) => `That can't be taken back. ${why}`,
  notTicked: (why) => `Not ticked. ${why}`,
  notTickedAsChanged: "Not ticked: the note was changed elsewhere. This is how it is now.",

  // Versions
  earlier: "Earlier versions",
  noVersions: "No versions are kept of it yet. The next change makes the first.",
  asItIsNow: (change) => `${change} · as it is now`,
  sameText: "The text stayed the same.",

  // Writing, when somebody else writes too
  keepBoth: "Keep both",
  changedElsewhere: "This note was changed elsewhere. When you save, you can choose what to keep.",
  savedNothing: "Saved nothing yet: this note was changed elsewhere.",
  whichStays: "This note was changed elsewhere while you wrote. Which one is to stay?",
  theirsDeleted: "It was deleted.",
  setAside: "Yours was set aside.",
  keptBeside: "Yours is kept beside it.",
  tooManyNames: "Not saved. There are too many notes of that name; keep one of the two.",
  mine: (number) => (number > 1 ? `mine ${number}` : "mine"),
});

/** "changed by you", "made outside": what was done, and who did it. */
export function changeText({ change, author }) {
  return `${CHANGES[change] ?? change} ${AUTHORS[author] ?? `by ${author}`}`;
}

/** What a new note begins with: the day, or its name. */
export function firstText(path, now = new Date()) {
  if (!/\.(?:md|markdown)$/i.test(path)) return "";
  return `# ${path === dailyPath(now) ? longDay(now) : titleOf(path)}\n\n`;
}
