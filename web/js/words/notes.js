/** What the page says of notes and their versions. Pure. */

import { dailyPath, titleOf } from "../notes.js";
import { longDay } from "./times.js";

const AUTHORS = { person: "by you", agent: "by the assistant", outside: "outside" };
const CHANGES = { created: "made", written: "changed", deleted: "deleted", moved: "moved", restored: "restored" };

/** Why a note can't be called so. */
export const UNUSABLE_NAME = "A note can't be called that: a name is not empty, doesn't begin with a dot and holds no backslash.";

/** "changed by you", "made outside": what was done, and who did it. */
export function changeText({ change, author }) {
  return `${CHANGES[change] ?? change} ${AUTHORS[author] ?? `by ${author}`}`;
}

/** What a new note begins with: the day, or its name. */
export function firstText(path, now = new Date()) {
  if (!/\.(?:md|markdown)$/i.test(path)) return "";
  return `# ${path === dailyPath(now) ? longDay(now) : titleOf(path)}\n\n`;
}
