/** Gets messages to the gateway: each under one key, so that it runs once however often it is tried. */

import { namedFile } from "../attaching.js";
import { randomKey } from "../dom.js";
import { lettersTo, putLetter, removeLetter } from "../outbox.js";
import { CHAT } from "../words/chat.js";
import { sentences } from "../words/language.js";
import { countdown } from "./notice.js";

/** Fires "sent" when the gateway has one more. */
export class Delivery extends EventTarget {
  #api;
  #log;
  #open = new Set(); // turns of which a letter is in the outbox
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
  post(text, threadId, files = []) {
    return this.send(this.#log.write(randomKey(), text, files), threadId);
  }

  /**
   * What is in the outbox for this thread and not on its way from here is sent on; what had failed waits for its Retry, and so
   * does what had files: of these the outbox has only the names.
   */
  resume(threadId) {
    for (const { key, text, threadId: to, reason, files = [] } of lettersTo(threadId)) {
      if (this.#log.sentUnder(key)) continue;
      const turn = this.#log.write(key, text, files.map(namedFile));
      this.#open.add(turn);
      if (reason !== null) turn.unsent(reason);
      else if (files.length > 0) turn.unsent(CHAT.filesNotArrived);
      else this.send(turn, to);
    }
  }

  async send(turn, threadId) {
    const letter = { key: turn.key, text: turn.message, threadId, reason: null, files: turn.files.all.map(({ name }) => name) };
    this.#open.add(turn);
    putLetter(letter);
    turn.sending();
    try {
      const answer = await this.#api.send(turn.message, threadId, turn.key, turn.files.all);
      this.#forget(turn);
      this.#log.accepted(turn, answer.message_id);
      this.dispatchEvent(new Event("sent"));
    } catch (error) {
      this.#failed(turn, letter, error);
    }
  }

  /** The gateway has told of messages, in its history or in events: some of ours may have arrived, whatever we were answered. */
  told() {
    for (const turn of this.#open) if (turn.id !== null) this.#forget(turn);
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
    const say = () => turn.unsent(sentences([message, countdown(until)]));
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
    removeLetter(turn.key);
    this.#open.delete(turn);
  }
}
