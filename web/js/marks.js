/** Which parts of a text were looked for. Pure. */

const WORD = /[\p{L}\p{N}]+/gu;
const COMBINING = /\p{M}/gu;

/**
 * *text* in pieces, in order; a piece is marked when it is the beginning of a word and one of the words of *query*.
 * @returns {{text: string, marked: boolean}[]}
 */
export function markedPieces(text, query) {
  const words = fold(query).match(WORD) ?? [];
  const pieces = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(WORD)) {
    const length = longestBeginning(found, words);
    if (length === 0) continue;
    if (index > at) pieces.push({ text: text.slice(at, index), marked: false });
    pieces.push({ text: found.slice(0, length), marked: true });
    at = index + length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), marked: false });
  return pieces;
}

function longestBeginning(found, words) {
  const folded = fold(found);
  const fitting = words.filter((word) => folded.startsWith(word)).map((word) => word.length);
  // Folding may change lengths; such a word is marked as a whole.
  const length = Math.max(0, ...fitting);
  return length > 0 && folded.length !== found.length ? found.length : length;
}

function fold(text) {
  return text.normalize("NFKD").replace(COMBINING, "").toLowerCase();
}
