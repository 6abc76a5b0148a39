/** What a place has to say for a while: a line that floats below it, with a way to take back what it tells of. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { Notice } from "./notice.js";

const OFFERED = 30000;

export class Said {
  #root;
  #notice;
  #button;
  #act = null;
  #timer = null;

  /** @param {Element} place */
  constructor(place) {
    this.#root = fromTemplate("said");
    this.#notice = new Notice(part(this.#root, "line"));
    this.#button = part(this.#root, "act");
    place.append(this.#root);
    this.#button.addEventListener("click", () => this.#take());
  }

  /** Whether there is something that can be taken back. */
  get offers() {
    return this.#act !== null;
  }

  /** @param {string} text @param {{label: string, act: () => void}|null} offer what can be done about it, for half a minute */
  tell(text, offer = null) {
    this.clear();
    this.#act = offer?.act ?? null;
    showText(this.#button, offer?.label);
    if (offer === null) return this.#notice.tell(text);
    setText(part(this.#root, "line"), text);
    this.#timer = setTimeout(() => this.clear(), OFFERED);
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
    clearTimeout(this.#timer);
    this.#act = null;
    this.#button.hidden = true;
  }

  #take() {
    const act = this.#act;
    this.clear();
    act();
  }
}
