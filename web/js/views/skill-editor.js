/** Where the text of a skill is written: as wide and set as it is shown. */

import { fromTemplate } from "../dom.js";
import { fitToText } from "./composer.js";

/** Fires "input", and "save" and "leave" for the keys that ask for it. */
export class SkillEditor extends EventTarget {
  #width = 0;
  #observer = new ResizeObserver(() => this.#resized());

  constructor(text) {
    super();
    this.root = fromTemplate("skill-editor");
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

  focus() {
    this.fit();
    this.root.focus({ preventScroll: true });
    this.root.setSelectionRange(0, 0);
  }

  close() {
    this.#observer.disconnect();
  }

  /** Makes it as high as its text; what is scrolled stays. */
  fit() {
    const scroller = this.root.closest(".note-scroll");
    const top = scroller?.scrollTop ?? 0;
    fitToText(this.root);
    if (scroller) scroller.scrollTop = top;
  }

  #resized() {
    if ([0, this.#width].includes(this.root.clientWidth)) return; // what can't be seen keeps its height
    this.#width = this.root.clientWidth;
    this.fit();
  }

  #key(event) {
    const saves = event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey);
    if (!saves && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.dispatchEvent(new Event(saves ? "save" : "leave"));
  }
}
