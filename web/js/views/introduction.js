/** What an empty thread shows: who is here, and three things to try. */

import { fromTemplate, part } from "../dom.js";

const NO_MODEL =
  "No language model is connected yet, so I can't converse, but I can already look after your notes and this machine.";
const WITH_MODEL = "I can answer questions, and look after your notes and this machine.";

/** Fires "example" with the text of the one that was chosen. */
export class Introduction extends EventTarget {
  #root = fromTemplate("empty");

  constructor() {
    super();
    this.#root.addEventListener("click", ({ target }) => {
      if (target.matches(".example")) this.dispatchEvent(new CustomEvent("example", { detail: target.textContent }));
    });
  }

  /** @param {object} status the gateway's */
  showIn(parent, status) {
    if (this.#root.isConnected) return;
    const can = status.model?.state === "none" ? NO_MODEL : WITH_MODEL;
    part(this.#root, "introduction").textContent = `Hello. I'm IronClaw on ${status.host}. ${can}`;
    parent.append(this.#root);
  }

  hide() {
    this.#root.remove();
  }
}
