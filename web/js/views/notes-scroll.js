/** Where each note was read to: kept in this tab, also over a reload. */

import { tab } from "../storage.js";

const PAUSE = 150;
const MOST = 50;

export class NoteScroll {
  #scroller;
  #path;
  #timer = null;

  constructor(scroller, path) {
    this.#scroller = scroller;
    this.#path = path;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  close() {
    clearTimeout(this.#timer);
  }

  /** Goes back to where it was left. */
  restore() {
    this.#scroller.scrollTop = places()[this.#path] ?? 0;
  }

  /** Runs *change*, between text and editor, which are about as high: who reads on the third page writes there. */
  keepPlace(change) {
    const place = this.#place;
    change();
    this.#scroller.scrollTop = place * this.#scroller.scrollHeight;
  }

  /** About which of *count* lines stands on top. */
  lineOf(count) {
    return Math.floor(count * this.#place) + 1;
  }

  get #place() {
    return this.#scroller.scrollTop / this.#scroller.scrollHeight;
  }

  #scrolled() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), PAUSE);
  }

  #keep() {
    if (!this.#scroller.checkVisibility()) return;
    const { [this.#path]: _, ...others } = places();
    const kept = [...Object.entries(others).slice(-MOST), [this.#path, Math.round(this.#scroller.scrollTop)]];
    tab.setValue("note-scroll", Object.fromEntries(kept));
  }
}

function places() {
  return tab.getValue("note-scroll", {});
}
