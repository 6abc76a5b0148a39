/** What the model thinks aloud before it answers: folded, and never part of the answer. */

import { part } from "../dom.js";

export class Reasoning {
  #root;
  #text = document.createTextNode("");

  constructor(root) {
    this.#root = root;
    part(root, "thoughts").append(this.#text);
  }

  get empty() {
    return this.#text.data === "";
  }

  /** Takes some more of it; what is selected in it stays so. */
  add(content) {
    this.#text.appendData(content);
    this.#root.hidden = false;
  }
}
