/** Where a text is written in place: as wide and set as it is read. */

import { fromTemplate } from "../dom.js";
import { asksToSave } from "../keys.js";
import { fitToText } from "./composer.js";

/** Fires "input", and "save" and "leave" for the keys that ask for it. */
export class TextEditor extends EventTarget {
  #width = 0;
  #observer = new ResizeObserver(() => this.#resized());

  /** @param {string} template of a textarea */
  constructor(template, text) {
    super();
    this.root = fromTemplate(template);
    this.root.value = text;
    this.root.addEventListener("input", () => {
      this.fit();
      this.dispatchEvent(new Event("input"));
    });
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.#observer.observe(this.root);
  }

  get value() {
    return this.root.value;
  }

  /** Puts the caret before the line *number*, or where it was. */
  focus(number = null) {
    this.fit();
    this.root.focus({ preventScroll: true });
    if (number === null) return;
    const at = this.before(number).length;
    this.root.setSelectionRange(at, at);
  }

  /** The text of the lines before *number*. */
  before(number) {
    return this.value.split("\n").slice(0, number - 1).map((line) => `${line}\n`).join("");
  }

  /** Makes it as high as its text. While that is measured it is short: what is scrolled must not follow. */
  fit() {
    const scroller = this.root.closest(".note-scroll");
    const top = scroller?.scrollTop ?? 0;
    fitToText(this.root);
    if (scroller) scroller.scrollTop = top;
  }

  close() {
    this.#observer.disconnect();
  }

  #resized() {
    if ([0, this.#width].includes(this.root.clientWidth)) return; // what can't be seen keeps its height
    this.#width = this.root.clientWidth;
    this.fit();
  }

  #key(event) {
    const saves = asksToSave(event);
    if (!saves && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.dispatchEvent(new Event(saves ? "save" : "leave"));
  }
}
