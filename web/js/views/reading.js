/** Where somebody reads in a thread: at its end with the new text, or further up, where nothing may jump. */

import { part } from "../dom.js";
import { ScrollFollower } from "../scroll.js";
import { tab } from "../storage.js";

const AHEAD = 1000; // pixels from an edge at which what lies behind it is brought
const LARGE_PAGE = 200;
const BELOW_TOP = 48;

/** Fires "trouble" with an error when older messages can't be read. */
export class Reading extends EventTarget {
  #root;
  #log;
  #loader;
  #threadId = null;
  #failed = false;
  #run = 0; // who goes elsewhere ends a search for a place

  constructor(root, log, loader) {
    super();
    this.#root = root;
    this.#log = log;
    this.#loader = loader;
    this.follower = new ScrollFollower(part(root, "scroller"), part(root, "content"), part(root, "turns"));
    this.follower.addEventListener("change", () => this.#pill(false));
    part(root, "scroller").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    part(root, "earlier").addEventListener("click", () => this.#older());
    part(root, "pill").addEventListener("click", () => this.toEnd());
  }

  /** The thread is there: goes to *messageId*, else where it was left, else to the end. */
  async opened(threadId, messageId) {
    this.#threadId = threadId;
    const left = tab.getValue(this.#name, null);
    if (messageId !== null) await this.goTo(messageId);
    else if (left !== null) await this.#show(left.id, left.offset);
    this.refresh();
  }

  /** Remembers the place for when the thread is opened again. */
  leave() {
    if (this.#threadId !== null && this.#root.checkVisibility()) tab.setValue(this.#name, this.#place());
  }

  close() {
    this.leave();
    this.follower.close();
  }

  /** Shows one message and marks it; whether it was found. */
  async goTo(messageId) {
    const found = await this.#show(messageId, BELOW_TOP);
    for (const node of this.#root.querySelectorAll(".turn.found")) node.classList.remove("found");
    if (found) this.#log.find(messageId).root.classList.add("found");
    return found;
  }

  toEnd() {
    this.#run += 1;
    this.#log.showEnd();
    this.refresh();
    this.follower.toEnd();
  }

  /** There is new text at the end of the thread. */
  grew() {
    if (this.follower.following && !this.#log.atEnd) this.#log.showEnd();
    this.#pill(true);
    this.refresh();
  }

  refresh() {
    this.follower.whole = this.#log.atEnd;
    part(this.#root, "earlier").hidden = this.#log.atStart && !this.#loader.hasOlder;
  }

  get #name() {
    return `place.${this.#threadId}`;
  }

  #place() {
    const first = this.follower.following ? null : this.follower.first;
    const id = first && this.#log.turnOf(first.node)?.id;
    return id ? { id, offset: Math.round(first.offset) } : null;
  }

  async #show(messageId, offset) {
    const run = ++this.#run;
    while (!this.#log.find(messageId) && (await this.#readOlder(LARGE_PAGE)));
    const turn = this.#log.find(messageId);
    if (!turn || run !== this.#run) return false;
    this.#log.showAround(turn);
    this.refresh();
    this.follower.show(turn.root, offset);
    return true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = part(this.#root, "scroller");
    if (scrollTop < AHEAD && !this.#failed && !this.follower.following) this.#older();
    else if (scrollHeight - scrollTop - clientHeight < AHEAD && !this.#log.atEnd) this.#change(() => this.#log.showNewer());
  }

  async #older() {
    if (this.#log.atStart && !(this.#loader.hasOlder && (await this.#readOlder()))) return;
    this.#change(() => this.#log.showOlder());
  }

  #change(change) {
    this.follower.keepPlace(() => {
      change();
      this.refresh();
    });
  }

  async #readOlder(limit) {
    try {
      const page = this.#loader.hasOlder ? await this.#loader.older(this.#threadId, limit) : null;
      this.#failed = false;
      if (page) this.#log.prepend(page);
      return page !== null;
    } catch (error) {
      this.#failed = true;
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
      return false;
    }
  }

  #pill(newText) {
    part(this.#root, "pill").hidden = this.follower.following || !newText;
  }
}
