/** Where a note is written: as wide and set as the page that is read, and kept while it is not saved. */

import { fromTemplate } from "../dom.js";
import { fitToText } from "./composer.js";

/** Fires "input", and "save" and "leave" for the keys that ask for it. */
export class NoteEditor extends EventTarget {
  #width = 0;
  #observer = new ResizeObserver(() => this.#resized());

  constructor(text) {
    super();
    this.root = fromTemplate("note-editor");
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

  /** Puts the caret before the line *number*. */
  focus(number = 1) {
    const start = this.value.split("\n").slice(0, number - 1).join("\n").length;
    const at = number > 1 ? start + 1 : 0;
    this.fit();
    this.root.focus({ preventScroll: true });
    this.root.setSelectionRange(at, at);
  }

  close() {
    this.#observer.disconnect();
  }

  #resized() {
    if (this.root.clientWidth === this.#width) return;
    this.#width = this.root.clientWidth;
    this.fit();
  }

  /** Makes it as high as its text. While that is measured it is short: what is scrolled must not follow. */
  fit() {
    const scroller = this.root.closest(".note-scroll");
    const top = scroller?.scrollTop ?? 0;
    fitToText(this.root);
    if (scroller) scroller.scrollTop = top;
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const saves = event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey);
    if (!saves && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.dispatchEvent(new Event(saves ? "save" : "leave"));
  }
}
