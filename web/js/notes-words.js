/** What the page says of notes and their versions. Pure. */

import { titleOf } from "./notes.js";

const AUTHORS = { person: "by you", agent: "by the assistant", outside: "outside" };
const CHANGES = { created: "made", written: "changed", deleted: "deleted", moved: "moved", restored: "restored" };
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** Why a note can't be called so. */
export const UNUSABLE_NAME = "A note can't be called that: a name is not empty, doesn't begin with a dot and holds no backslash.";

/** "changed by you", "made outside": what was done, and who did it. */
export function changeText({ change, author }) {
  return `${CHANGES[change] ?? change} ${AUTHORS[author] ?? `by ${author}`}`;
}

/** Where the note of a day is. */
export function dailyPath(date) {
  return `daily/${String(date.getFullYear()).padStart(4, "0")}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}.md`;
}

/** What a new note begins with: the day, or its name. */
export function firstText(path, now = new Date()) {
  if (!/\.(?:md|markdown)$/i.test(path)) return "";
  return `# ${path === dailyPath(now) ? longDay(now) : titleOf(path)}\n\n`;
}

function longDay(date) {
  return `${DAYS[date.getDay()]} ${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
}

function pad(number) {
  return String(number).padStart(2, "0");
}
