/** Gets messages to the gateway: each under one key, so that it runs once however often it is tried. */

import { randomKey } from "../dom.js";
import { lettersTo, putLetter, removeLetter } from "../outbox.js";
import { Turn } from "./turn.js";
import { countdown } from "./notice.js";

/** Fires "sent" when the gateway has one more. */
export class Delivery extends EventTarget {
  #api;
  #log;
  #keys = new Map();
  #timers = new Set();

  constructor(api, log) {
    super();
    this.#api = api;
    this.#log = log;
  }

  close() {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Shows the message and sends it. */
  post(text, threadId) {
    const turn = new Turn({ message: text });
    this.#log.add(turn);
    return this.send(turn, threadId, randomKey());
  }

  /** What is in the outbox for this thread is sent on; what had failed waits for its Retry. */
  resume(threadId) {
    for (const { key, text, threadId: to, reason } of lettersTo(threadId)) {
      const turn = new Turn({ message: text });
      this.#log.add(turn);
      this.#keys.set(turn, key);
      if (reason === null) this.send(turn, to, key);
      else turn.unsent(reason);
    }
  }

  async send(turn, threadId, key = this.#keys.get(turn) ?? randomKey()) {
    this.#keys.set(turn, key);
    const letter = { key, text: turn.message, threadId, reason: null };
    putLetter(letter);
    turn.sending();
    try {
      const answer = await this.#api.send(turn.message, threadId, key);
      this.#forget(turn);
      this.#log.accepted(turn, answer.message_id);
      this.dispatchEvent(new Event("sent"));
    } catch (error) {
      this.#failed(turn, letter, error);
    }
  }

  /** Takes back a message that was not sent. */
  withdraw(turn) {
    this.#forget(turn);
    this.#log.remove(turn);
  }

  #failed(turn, letter, error) {
    if (turn.id !== null) return this.#forget(turn); // The stream has told that it arrived.
    putLetter({ ...letter, reason: error.message });
    if (error.status === 429 && error.retryAfter > 0) this.#later(turn, letter, error);
    else turn.unsent(error.message);
  }

  #later(turn, { threadId }, { message, retryAfter }) {
    const until = performance.now() + retryAfter * 1000;
    const say = () => turn.unsent(`${message} ${countdown(until)}`);
    const timer = setInterval(() => {
      const waiting = turn.state === "unsent" && turn.root.isConnected;
      if (waiting && performance.now() < until) return say();
      clearInterval(timer);
      this.#timers.delete(timer);
      if (waiting) this.send(turn, threadId);
    }, 1000);
    this.#timers.add(timer);
    say();
  }

  #forget(turn) {
    removeLetter(this.#keys.get(turn));
    this.#keys.delete(turn);
  }
}
