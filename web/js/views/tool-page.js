/** What stands beside the list of tools: a head with what can be done, a line for what is to be said, and the content. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { COMMON } from "../words/common.js";
import { PageHead } from "./page-head.js";

/**
 * Fires on its root, bubbling: "go" with an address, "replace" with one that takes the place of this, "changed" when the list may be
 * out of date, "renamed" when its title has changed, "told" with `{text, offer?}`.
 */
export class ToolPage {
  /** What it is called in the bar. */
  title = COMMON.tools;
  /** Where its content was scrolled to. @type {import("./scroll-place.js").ScrollPlace|null} */
  place = null;

  /** @param {object|null} about of the head @param {string} label of the page */
  constructor(about, label) {
    this.root = fromTemplate("tool");
    this.root.setAttribute("aria-label", label);
    this.head = new PageHead(part(this.root, "head"), about);
  }

  /** Reads what it shows. */
  async open() {}

  close() {
    this.root.remove();
  }

  /** Ends the topmost thing; whether there was one. */
  escape() {
    return false;
  }

  save() {}

  focus() {
    part(this.root, "scroll").focus({ preventScroll: true });
  }

  /** @param {{where: string, acts: import("./page-head.js").Act[], line?: string, content: Element}} what */
  show({ where, acts, line = "", content }) {
    const focused = part(this.root, "acts").contains(document.activeElement);
    setText(part(this.root, "where"), where);
    part(this.root, "where").title = where;
    this.head.show(acts);
    if (focused && document.activeElement === document.body) part(this.root, "acts").querySelector("button")?.focus();
    this.say(line);
    const place = part(this.root, "content");
    if (place.firstChild !== content) place.replaceChildren(content);
    this.place?.restore();
  }

  /** What it is called, once that is known. */
  entitle(title) {
    if (title === this.title) return;
    this.title = title;
    this.fire("renamed");
  }

  /** Says something above the content, until something else is said. */
  say(line) {
    showText(part(this.root, "line"), line);
  }

  /** Runs *change*, after which what is read stays where it is. */
  keepPlace(change) {
    const scroller = part(this.root, "scroll");
    const top = scroller.scrollTop;
    change();
    scroller.scrollTop = top;
  }

  fire(name, detail = null) {
    this.root.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }

  tell(text, offer = null) {
    this.fire("told", { text, offer });
  }

  /** Runs *act*; *failed* makes a sentence of what it throws. One at a time: a second click does nothing twice. */
  async attempt(failed, act) {
    if (this.busy) return;
    this.busy = true;
    try {
      await act();
    } catch (error) {
      this.say(failed(error.message));
    } finally {
      this.busy = false;
    }
  }
}

/** A sentence in place of what can't be shown. */
export function unreadable(sentence) {
  const node = document.createElement("p");
  node.textContent = sentence;
  return node;
}
