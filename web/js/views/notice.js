/** The one quiet line above the composer: nothing while all is well. */

import { setText } from "../dom.js";
import { COMMON } from "../words/common.js";

// A shorter trouble is over before anyone could read of it.
const PATIENCE = 1000;
const READING = 10000;

export class Notice {
  #line;
  #since = null;
  #timer = null;
  #say = () => "";

  constructor(line) {
    this.#line = line;
  }

  /** Shows *say*'s text after a second, then every second anew, until `clear`. */
  trouble(say) {
    this.#say = say;
    this.#since ??= performance.now();
    this.#tick();
  }

  /** Shows *text* at once, for long enough to be read. */
  tell(text) {
    this.clear();
    setText(this.#line, text);
    this.#timer = setTimeout(() => this.clear(), READING);
  }

  /** Whether there is trouble. */
  get shown() {
    return this.#since !== null;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#since = null;
    setText(this.#line, "");
  }

  #tick() {
    clearTimeout(this.#timer);
    const patience = PATIENCE - (performance.now() - this.#since);
    if (patience <= 0) setText(this.#line, this.#say());
    this.#timer = setTimeout(() => this.#tick(), patience > 0 ? patience : 1000);
  }
}

/**
 * What to say of a lost connection that is tried again in *wait* ms.
 * @returns {() => string}
 */
export function troubleText(error, wait, { first = false } = {}) {
  const until = performance.now() + wait;
  if (error?.status === 429) return () => COMMON.tooManyRequests(secondsTo(until));
  const told = error && error.status >= 400;
  if (first) return () => (told ? COMMON.connectingAfter(error.message) : COMMON.connecting);
  return () => (told ? COMMON.reconnectingAfter(error.message) : COMMON.reconnecting);
}

/** "Goes on in 12 s." */
export function countdown(until) {
  return COMMON.goesOn(secondsTo(until));
}

function secondsTo(until) {
  return Math.max(1, Math.ceil((until - performance.now()) / 1000));
}
