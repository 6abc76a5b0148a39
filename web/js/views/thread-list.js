/** The list of threads: read once, then moved on by events; search on top of it. */

import { saveReply } from "../download.js";
import { arrange, part, setText, showText } from "../dom.js";
import { tab } from "../storage.js";
import { ThreadBook } from "../threads.js";
import { CHAT } from "../words/chat.js";
import { Notice } from "./notice.js";
import { Roving } from "./roving.js";
import { ScrollPlace } from "./scroll-place.js";
import { Search } from "./search.js";
import { ThreadRow } from "./thread-row.js";
import { searchThreads } from "./thread-search.js";

const AHEAD = 400;
const SETTLE = 250; // events come in groups: the list is read once for all of them
const MINUTE = 60000;

/** Fires "changed" on its root, bubbling, when a title or the set of threads may have changed. */
export class ThreadList {
  #api;
  #place;
  #book = new ThreadBook(tab.getValue("unread", []));
  #rows = new Map();
  #open = null;
  #seen = false;
  #older = null;
  #begun = false;
  #anew = false;
  #reading = false;
  #stale = null;
  #failed = false;
  #minutes = setInterval(() => this.#show(), MINUTE);

  constructor(root, api) {
    this.root = root;
    this.#api = api;
    this.notice = new Notice(part(root, "trouble"));
    this.search = new Search(root, searchThreads(api));
    this.roving = new Roving(part(root, "scroll"));
    this.#place = new ScrollPlace(part(root, "scroll"), "threads");
    this.#listen();
  }

  close() {
    clearInterval(this.#minutes);
    clearTimeout(this.#stale);
    this.notice.clear();
    this.search.close();
  }

  /** Reads the list for the first time; after that it is moved on by events. */
  begin() {
    if (!this.#begun) this.load();
  }

  /** Reads the list from its beginning. */
  load() {
    this.#begun = true;
    this.#anew = true;
    this.#read();
  }

  /** Takes one event of the stream. */
  take(event) {
    const effect = this.#book.apply(event, this.#seen ? this.#open : null);
    if (effect === "unknown" || (this.#reading && effect === "changed")) this.#readSoon();
    if (effect !== "same") this.#show();
  }

  /** Marks *threadId* as the one beside the list; *seen*: it can be seen. */
  open(threadId, { seen }) {
    this.#open = threadId;
    this.#seen = seen;
    if (seen) this.#book.read(threadId);
    this.#show();
    this.#place.restore();
  }

  find(threadId) {
    return this.#book.find(threadId);
  }

  findBlank() {
    return this.#book.findBlank();
  }

  /** A thread as the gateway has just answered it. */
  put(thread) {
    this.#book.put(thread);
    this.#show();
  }

  #listen() {
    const change = (changes) => ({ detail }) => this.#attempt(async () => this.put(await this.#api.changeThread(detail.id, changes(detail))));
    this.root.addEventListener("rename", change(({ title }) => ({ title })));
    this.root.addEventListener("pin", change(({ pinned }) => ({ pinned })));
    this.root.addEventListener("delete", ({ detail }) => this.#attempt(() => this.#api.deleteThread(detail.id)));
    this.root.addEventListener("export", ({ detail }) => this.#attempt(async () => saveReply(await this.#api.exportThread(detail.id, detail.format))));
    this.search.addEventListener("change", () => this.roving.refresh());
    part(this.root, "scroll").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    part(this.root, "again").addEventListener("click", () => this.#read());
    this.search.addEventListener("down", () => this.roving.focus());
  }

  async #attempt(act) {
    try {
      await act();
    } catch (error) {
      this.notice.tell(error.message);
    }
  }

  #readSoon() {
    this.#stale ??= setTimeout(() => this.#read(), SETTLE);
  }

  async #read(cursor = null) {
    if (this.#reading) return this.#readSoon();
    clearTimeout(this.#stale);
    this.#stale = null;
    this.#reading = true;
    const page = await this.#api.threads(cursor).catch(() => null);
    this.#reading = false;
    this.#failed = page === null;
    if (page && cursor === null && this.#anew) this.#forget();
    if (page && cursor === null) this.#book.putNewest(page.threads);
    else if (page) this.#book.putOlder(page.threads);
    if (page && (cursor !== null || this.#older === null)) this.#older = page.next_cursor;
    this.#show();
    this.#place.restore();
  }

  #forget() {
    this.#anew = false;
    this.#older = null;
    this.#book.clear();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = part(this.root, "scroll");
    const near = scrollHeight - scrollTop - clientHeight < AHEAD;
    if (near && this.#older !== null && !this.#reading && !this.#failed && !this.search.active) this.#read(this.#older);
  }

  #show() {
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    tab.setValue("unread", this.#book.unread);
    const { pinned, others } = this.#book;
    arrange(part(this.root, "pinned"), pinned.map((thread) => this.#row(thread)));
    arrange(part(this.root, "recent"), others.map((thread) => this.#row(thread)));
    for (const id of this.#rows.keys()) if (!this.#book.find(id)) this.#rows.delete(id);
    for (const name of ["pinned-title", "recent-title"]) part(this.root, name).hidden = pinned.length === 0 || (name === "recent-title" && others.length === 0);
    showText(part(this.root, "none"), this.#book.empty && !this.#failed ? CHAT.nothingSaid : "");
    part(this.root, "failed").hidden = !this.#failed;
    setText(part(this.root, "failed-text"), this.#failed ? CHAT.listUnreadable : "");
    this.roving.refresh();
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    else if (focused) this.roving.focus();
    this.root.dispatchEvent(new Event("changed", { bubbles: true }));
  }

  #row(thread) {
    if (!this.#rows.has(thread.id)) this.#rows.set(thread.id, new ThreadRow());
    const row = this.#rows.get(thread.id);
    row.update(thread, { open: thread.id === this.#open, unread: this.#book.isUnread(thread.id) });
    return row.root;
  }
}
