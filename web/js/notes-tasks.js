/** Task boxes in the text of a note: which line each stands in, and what ticking one makes of that line. Pure. */

const TASK = /^((?:[ \t]*>[ \t]?)*[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\[)([ xX])(\][ \t]+\S[^]*)$/;
const FENCE = /^[ \t>]*(?:[-*+][ \t]+)?(`{3,}|~{3,})/;

/** The boxes of *lines*, the first of which has the number *first*. @returns {{line: number, done: boolean}[]} */
export function tasksIn(lines, first = 1) {
  const found = [];
  let fence = null;
  lines.forEach((text, index) => {
    const mark = FENCE.exec(text)?.[1][0] ?? null;
    const task = TASK.exec(text);
    if (fence !== null) fence = mark === fence ? null : fence;
    else if (mark !== null) fence = mark;
    else if (task !== null) found.push({ line: first + index, done: task[2] !== " " });
  });
  return found;
}

/** *text* with the box in its line *number* ticked or not, and nothing else changed; null where no box stands in it. */
export function ticked(text, number, done) {
  const lines = text.split("\n");
  const task = TASK.exec(lines[number - 1] ?? "");
  if (task === null) return null;
  lines[number - 1] = `${task[1]}${done ? "x" : " "}${task[3]}`;
  return lines.join("\n");
}

/** Whether the line *number* says the same in both texts, but for its box. */
export function sameTask(one, other, number) {
  const [mine, theirs] = [one, other].map((text) => ticked(text, number, false)?.split("\n")[number - 1]);
  return mine !== undefined && mine === theirs;
}
