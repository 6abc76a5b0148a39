/** Where something was scrolled to: kept in this tab, also over a reload. */

import { tab } from "../storage.js";

const PAUSE = 150;

export class ScrollPlace {
  #scroller;
  #name;
  #timer = null;
  #left;

  /** @param {string} name under which it is kept */
  constructor(scroller, name) {
    this.#scroller = scroller;
    this.#name = `scroll.${name}`;
    this.#left = tab.getValue(this.#name, 0);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  /** What is scrolled is there again, or for the first time. */
  restore() {
    if (this.#scroller.scrollTop === 0) this.#scroller.scrollTop = this.#left;
  }

  close() {
    clearTimeout(this.#timer);
  }

  #scrolled() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), PAUSE);
  }

  #keep() {
    if (!this.#scroller.checkVisibility()) return;
    this.#left = Math.round(this.#scroller.scrollTop);
    tab.setValue(this.#name, this.#left);
  }
}
