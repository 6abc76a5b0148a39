/** Where each note was read to: kept in this tab, also over a reload. */

import { tab } from "../storage.js";

const PAUSE = 150;
const MOST = 50;

export class NoteScroll {
  #scroller;
  #path;
  #timer = null;
  #aside = false;

  constructor(scroller, path) {
    this.#scroller = scroller;
    this.#path = path;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  close() {
    if (this.#timer !== null || this.#scroller.scrollTop > 0) this.#keep(); // the browser tells of scrolling later
  }

  /** Goes back to where it was left. */
  restore() {
    this.#scroller.scrollTop = places()[this.#path] ?? 0;
  }

  /** Something else takes the room of the text, or gives it back. */
  set aside(aside) {
    if (aside === this.#aside) return;
    this.#aside = aside;
    if (aside) this.#scroller.scrollTop = 0;
    else this.restore();
  }

  #scrolled() {
    if (this.#aside) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), PAUSE);
  }

  #keep() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#aside || !this.#scroller.checkVisibility()) return;
    const { [this.#path]: _, ...others } = places();
    const kept = [...Object.entries(others).slice(-MOST), [this.#path, Math.round(this.#scroller.scrollTop)]];
    tab.setValue("note-scroll", Object.fromEntries(kept));
  }
}

function places() {
  return tab.getValue("note-scroll", {});
}
