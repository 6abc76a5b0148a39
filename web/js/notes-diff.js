/** Differences between texts, as rows that can be shown. Pure. */

const MOST_COMPARED = 4e6; // places in the table of two texts
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
 * The lines of two texts; those that the other one does not have are marked.
 * @returns {{text: string, marked: boolean}[][]} the lines of *one*, and those of *other*
 */
export function comparedLines(one, other) {
  const [mine, theirs] = [one, other].map((text) => text.split("\n"));
  const shorter = Math.min(mine.length, theirs.length);
  let start = 0;
  while (start < shorter && mine[start] === theirs[start]) start += 1;
  let end = 0;
  while (end < shorter - start && mine.at(-1 - end) === theirs.at(-1 - end)) end += 1;
  const [ours, others] = [mine, theirs].map((lines) => lines.slice(start, lines.length - end));
  const common = commonLines(ours, others);
  return [mine, theirs].map((lines, side) => {
    const same = new Set(common.map((pair) => pair[side] + start));
    return lines.map((text, index) => ({ text, marked: index >= start && index < lines.length - end && !same.has(index) }));
  });
}

// The longest row of lines that both have, as pairs of their places; of very different long texts: none.
function commonLines(one, other) {
  if (one.length * other.length > MOST_COMPARED) return [];
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint32Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}
