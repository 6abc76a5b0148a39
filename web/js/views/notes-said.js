/** What the notes have to say for a while: a line that floats below them, with a way to take back what it tells of. */

import { part, setText, showText } from "../dom.js";
import { Notice } from "./notice.js";

export class NotesSaid {
  #root;
  #notice;
  #button;
  #act = null;

  constructor(root) {
    this.#root = root;
    this.#notice = new Notice(part(root, "line"));
    this.#button = part(root, "act");
    this.#button.addEventListener("click", () => this.#take());
  }

  get troubled() {
    return this.#notice.shown;
  }

  /** @param {string} text @param {{label: string, act: () => void}|null} offer stays until something else is said */
  tell(text, offer = null) {
    this.clear();
    this.#act = offer?.act ?? null;
    showText(this.#button, offer?.label);
    if (offer === null) this.#notice.tell(text);
    else setText(part(this.#root, "line"), text);
  }

  trouble(say) {
    if (this.#act === null) this.#notice.trouble(say);
  }

  /** There is no trouble any more. */
  well() {
    if (this.#notice.shown) this.clear();
  }

  clear() {
    this.#notice.clear();
    this.#act = null;
    this.#button.hidden = true;
  }

  #take() {
    const act = this.#act;
    this.clear();
    act();
  }
}
