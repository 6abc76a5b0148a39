/** How long to wait before the next attempt: doubling, with jitter, so that many pages do not come back in step. */

const QUICK = 250;
const FIRST = 1000;
const LONGEST = 30000;
const JITTER = 0.2;
const LATER = 0.1;
const STABLE = 15000;

export class Backoff {
  #random;
  #step = FIRST;
  #quick = false;

  /** @param {() => number} random from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /** A connection that held this long was a good one: a short blip is tried again at once. */
  heldFor(milliseconds) {
    if (milliseconds < STABLE) return;
    this.#step = FIRST;
    this.#quick = true;
  }

  /**
   * The wait in milliseconds. What the server asks for goes before our own reckoning.
   * @param {number} [askedSeconds]
   */
  next(askedSeconds = 0) {
    if (askedSeconds > 0) return Math.round(askedSeconds * 1000 * (1 + LATER * this.#random()));
    const base = this.#quick ? QUICK : this.#step;
    if (!this.#quick) this.#step = Math.min(this.#step * 2, LONGEST);
    this.#quick = false;
    return Math.round(base * (1 - JITTER + 2 * JITTER * this.#random()));
  }
}
