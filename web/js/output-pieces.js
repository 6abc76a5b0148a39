/** What a job has printed, in pieces of some lines: the newest are kept, and a stretch of them stands on the page. Pure. */

import { ListWindow } from "./list-window.js";

const LINES = 40;
const LONGEST = 8000; // characters of a piece, and of a line in one piece
const KEPT = 4000000;

/** @typedef {{text: string, lines: number}} Piece */

export class OutputPieces {
  window = new ListWindow();
  /** How many pieces are not kept any more. */
  dropped = 0;
  /** @type {Piece[]} */
  #all = [];
  #length = 0;

  get empty() {
    return this.#all.length === 0;
  }

  /** Those that stand on the page; the last one of all may grow. */
  get shown() {
    return this.#all.slice(this.window.from, this.window.to);
  }

  /** Takes text that follows what there is. */
  add(text) {
    for (let from = 0; from < text.length; ) {
      const piece = this.#last();
      const end = text.indexOf("\n", from) + 1 || text.length;
      const to = Math.min(end, from + LONGEST - piece.text.length);
      piece.text += text.slice(from, to);
      if (piece.text.endsWith("\n")) piece.lines += 1;
      from = to;
    }
    this.#length += text.length;
    while (this.#length > KEPT) this.#drop();
  }

  /** Has the piece *number*, counted from the first of all, on the page; whether it is there. */
  showAround(number) {
    const index = number - this.dropped;
    if (index < 0 || index >= this.#all.length) return false;
    this.window.around(index);
    return true;
  }

  #last() {
    const last = this.#all.at(-1);
    if (last !== undefined && last.lines < LINES && last.text.length < LONGEST) return last;
    this.#all.push({ text: "", lines: 0 });
    this.window.grew(1);
    return this.#all.at(-1);
  }

  #drop() {
    this.#length -= this.#all.shift().text.length;
    this.dropped += 1;
    this.window.removed(0);
  }
}
