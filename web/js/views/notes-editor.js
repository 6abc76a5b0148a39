/** Where a note is written: at the line that was read. */

import { TextEditor } from "./text-editor.js";

export class NoteEditor extends TextEditor {
  constructor(text) {
    super("note-editor", text);
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

  // Where the sight begins, from the editor's top.
  #edge(scroller) {
    return scroller.getBoundingClientRect().top - this.root.getBoundingClientRect().top;
  }

  // Only text that is laid out knows how high it is: the same lines, set the same way.
  #topOf(line) {
    if (line <= 1) return 0;
    const twin = document.createElement("div");
    twin.className = "note-twin";
    twin.textContent = this.before(line);
    this.root.after(twin);
    const { height } = twin.getBoundingClientRect();
    twin.remove();
    return height;
  }
}
