/** Which items of a long list stand on the page: a stretch of them that moves with its reader. Pure. */

const MOST = 150; // turns of two messages each, or lines
const STEP = 50;

export class ListWindow {
  from = 0;
  to = 0;
  length = 0;

  /** Whether the newest one is in it. */
  get atEnd() {
    return this.to === this.length;
  }

  /** *count* were put before the others; the stretch stays on those that it had. */
  prepended(count) {
    this.length += count;
    this.from += count;
    this.to += count;
  }

  /** There is one more at the end. */
  appended() {
    const follows = this.atEnd;
    this.length += 1;
    if (follows) this.toEnd(this.to - this.from + 1);
  }

  /** There are *count* more at the end; the stretch stays where it is. */
  grew(count) {
    this.length += count;
  }

  /** The one at *index* is gone. */
  removed(index) {
    this.length -= 1;
    if (index < this.from) this.from -= 1;
    if (index < this.to) this.to -= 1;
  }

  toEnd(size = MOST) {
    this.to = this.length;
    this.from = Math.max(0, this.to - Math.min(size, MOST));
  }

  up() {
    this.from = Math.max(0, this.from - STEP);
    this.to = Math.min(this.to, this.from + MOST);
  }

  down() {
    this.to = Math.min(this.length, this.to + STEP);
    this.from = Math.max(this.from, this.to - MOST);
  }

  /** Has *index* in it, with room to both sides. */
  around(index) {
    if (index >= this.from && index < this.to) return;
    this.to = Math.min(this.length, index + STEP);
    this.from = Math.max(0, index - STEP);
  }
}
