/** What an empty thread shows: who is here, and three things to try. */

import { fromTemplate, part, setText } from "../dom.js";
import { ModelCard } from "./model-card.js";

const NO_MODEL =
  "No language model is connected yet, so I can't converse, but I can already look after your notes and this machine.";
const WITH_MODEL = "I can answer questions, and look after your notes and this machine.";

/** Fires "example" with the text of the one that was chosen. */
export class Introduction extends EventTarget {
  #root = fromTemplate("empty");
  #session;
  #card;

  constructor(session) {
    super();
    this.#session = session;
    this.#card = new ModelCard(session);
    this.#root.addEventListener("click", ({ target }) => {
      if (target.matches(".example")) this.dispatchEvent(new CustomEvent("example", { detail: target.textContent }));
    });
  }

  /** Stands at the end of *parent*; says what the status says now. */
  showIn(parent) {
    const { host, model } = this.#session.status;
    setText(part(this.#root, "introduction"), `Hello. I'm IronClaw on ${host}. ${model.state === "none" ? NO_MODEL : WITH_MODEL}`);
    if (!this.#root.isConnected) parent.append(this.#root);
    if (model.state === "none" && !this.#card.root.isConnected) this.#offer();
  }

  // The card stays while the thread is empty, so that it can say how its work ended.
  #offer() {
    part(this.#root, "model").replaceChildren(this.#card.root);
    this.#card.refresh();
  }

  hide() {
    this.#root.remove();
    part(this.#root, "model").replaceChildren();
  }
}
