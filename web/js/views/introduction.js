/** What an empty thread shows: who is here, and three things to try. */

import { fromTemplate, part, setText } from "../dom.js";
import { CHAT } from "../words/chat.js";
import { ModelCard } from "./model-card.js";

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
    setText(part(this.#root, "introduction"), CHAT.introduction(host, model.state !== "none"));
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
