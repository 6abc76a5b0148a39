/** What a person sends from here, first or once more: from the composer to the gateway, and back to be changed. */

import { CHAT } from "../words/chat.js";

/** Fires "sending" with the text before a message goes out, "sent" when it stands on the page, "changed" when one is taken back. */
export class Outgoing extends EventTarget {
  #composer;
  #delivery;
  #notice;
  #thread;

  /** @param {Element} root where turns fire "retry", "edit" and "again" @param {() => string|null} thread */
  constructor(root, { composer, delivery, notice, thread }) {
    super();
    [this.#composer, this.#delivery, this.#notice, this.#thread] = [composer, delivery, notice, thread];
    composer.addEventListener("send", ({ detail }) => this.#send(detail));
    composer.addEventListener("refused", ({ detail }) => notice.tell(detail));
    root.addEventListener("retry", ({ detail }) => this.#retry(detail));
    root.addEventListener("edit", ({ detail }) => this.#edit(detail));
    root.addEventListener("again", ({ detail }) => this.#again(detail));
  }

  #send({ text, files }) {
    this.dispatchEvent(new CustomEvent("sending", { detail: text }));
    this.#delivery.post(text, this.#thread(), files);
    this.dispatchEvent(new CustomEvent("sent"));
    this.#composer.focus();
  }

  #retry(turn) {
    if (turn.files.torn) return this.#edit(turn);
    this.#delivery.send(turn, this.#thread());
    this.#composer.focus();
  }

  #edit(turn) {
    this.#delivery.withdraw(turn);
    this.#compose(turn);
    this.dispatchEvent(new Event("changed"));
  }

  #again(turn) {
    if (turn.files.torn) this.#compose(turn);
    else this.#send({ text: turn.message, files: turn.files.all });
  }

  #compose(turn) {
    this.#composer.fill(turn.message, turn.files.torn ? [] : turn.files.all);
    if (turn.files.torn) this.#notice.tell(CHAT.attachAgain);
  }
}
