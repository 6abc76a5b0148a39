/** Differences between texts, as rows that can be shown. Pure. */

const KINDS = { "+": "added", "-": "removed", " ": "same" };

/**
 * The rows of a difference as `diff -u` writes it; between its parts stands a gap.
 * @returns {{kind: "added"|"removed"|"same"|"gap", text: string}[]}
 */
export function diffRows(diff) {
  const rows = [];
  for (const line of diff.split("\n").slice(2)) {
    if (line.startsWith("@@")) rows.push({ kind: "gap", text: "" });
    else if (line[0] in KINDS) rows.push({ kind: KINDS[line[0]], text: line.slice(1).replace(/\r$/, "") });
  }
  return rows.slice(1);
}

/** A text that is all new. */
export function addedRows(text) {
  return text.replace(/\n$/, "").split("\n").map((line) => ({ kind: "added", text: line }));
}

/**
 * The lines of two texts; those between the first and the last difference are marked.
 * @returns {{text: string, marked: boolean}[][]} the lines of *one*, and those of *other*
 */
export function comparedLines(one, other) {
  const [mine, theirs] = [one, other].map((text) => text.split("\n"));
  const shorter = Math.min(mine.length, theirs.length);
  let start = 0;
  while (start < shorter && mine[start] === theirs[start]) start += 1;
  let end = 0;
  while (end < shorter - start && mine.at(-1 - end) === theirs.at(-1 - end)) end += 1;
  return [mine, theirs].map((lines) => lines.map((text, index) => ({ text, marked: index >= start && index < lines.length - end })));
}
