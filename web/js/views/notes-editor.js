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

  /** Puts the caret before the line *number*, or where it was. */
  focus(number = null) {
    this.fit();
    this.root.focus({ preventScroll: true });
    if (number === null) return;
    const at = this.#before(number).length;
    this.root.setSelectionRange(at, at);
  }

  /** Where *scroller* stands: the first line of the text that is whole in sight, and how far below the edge. */
  place(scroller) {
    const edge = this.#edge(scroller);
    let [low, high] = [1, this.value.split("\n").length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#topOf(middle) >= edge) high = middle;
      else low = middle + 1;
    }
    return { line: low, offset: this.#topOf(low) - edge };
  }

  /** Brings a line to the place where it stood on the page. */
  goTo({ line, offset }, scroller) {
    scroller.scrollTop += this.#topOf(line) - this.#edge(scroller) - offset;
  }

  close() {
    this.#observer.disconnect();
  }

  #resized() {
    if ([0, this.#width].includes(this.root.clientWidth)) return; // what can't be seen keeps its height
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

  // Where the sight begins, from the editor's top.
  #edge(scroller) {
    return scroller.getBoundingClientRect().top - this.root.getBoundingClientRect().top;
  }

  // Only text that is laid out knows how high it is: the same lines, set the same way.
  #topOf(line) {
    if (line <= 1) return 0;
    const twin = document.createElement("div");
    twin.className = "note-twin";
    twin.textContent = this.#before(line);
    this.root.after(twin);
    const { height } = twin.getBoundingClientRect();
    twin.remove();
    return height;
  }

  // The text of the lines before *number*.
  #before(number) {
    return this.value.split("\n").slice(0, number - 1).map((line) => `${line}\n`).join("");
  }

  #key(event) {
    const saves = event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey);
    if (!saves && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.dispatchEvent(new Event(saves ? "save" : "leave"));
  }
}
