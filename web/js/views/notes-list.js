/** The list of notes, the newest first: read once, then moved on by events. More rows come as it is scrolled. */

import { arrange, part, setText, showText } from "../dom.js";
import { NOTES } from "../words/notes.js";
import { NoteRow } from "./notes-row.js";
import { Roving } from "./roving.js";
import { ScrollPlace } from "./scroll-place.js";

const STEP = 100;
const AHEAD = 400;
const MOST_PAGES = 20; // of a thousand files each: beyond that search finds what the list does not show
const MINUTE = 60000;

/** Fires "read" when the files were read anew. */
export class NotesList extends EventTarget {
  #api;
  #place;
  #book;
  #root;
  #rows = new Map();
  #most = STEP;
  #open = null;
  #state = "new";
  #whole = true;
  #run = 0;
  #minutes = setInterval(() => this.show(), MINUTE);

  constructor(root, api, book) {
    super();
    this.#root = root;
    this.#api = api;
    this.#book = book;
    this.roving = new Roving(part(root, "scroll"));
    this.#place = new ScrollPlace(part(root, "scroll"), "notes");
    part(root, "scroll").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    part(root, "again").addEventListener("click", () => this.load());
  }

  /** Whether all files are known. */
  get known() {
    return this.#state === "read" && this.#whole;
  }

  close() {
    clearInterval(this.#minutes);
    this.#run += 1;
  }

  /** Reads all files; what was read before stays until then. */
  async load() {
    const run = (this.#run += 1);
    if (this.#state !== "read") this.#become("reading");
    const [files, error] = await this.#read().then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    if (files !== null) this.#book.replace(files);
    setText(part(this.#root, "failed-text"), error === null ? "" : NOTES.listUnreadable(error.message));
    this.#become(files === null ? "failed" : "read");
    if (files !== null) this.dispatchEvent(new Event("read"));
  }

  /** Marks the note *path* as the one beside the list. */
  open(path) {
    this.#open = path;
    this.show();
    this.#place.restore();
  }

  show() {
    const focused = part(this.#root, "list").contains(document.activeElement) ? document.activeElement : null;
    const shown = this.#book.newest.slice(0, this.#most);
    arrange(part(this.#root, "notes"), shown.map((note) => this.#row(note)));
    const paths = new Set(shown.map(({ path }) => path));
    for (const path of this.#rows.keys()) if (!paths.has(path)) this.#rows.delete(path);
    this.#words();
    this.roving.refresh();
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    else if (focused) this.roving.focus();
  }

  async #read() {
    const files = [];
    let cursor = null;
    for (let count = 0; count < MOST_PAGES && (count === 0 || cursor !== null); count += 1) {
      const page = await this.#api.tree(cursor);
      files.push(...page.files);
      cursor = page.next_cursor;
    }
    this.#whole = cursor === null;
    return files;
  }

  #become(state) {
    this.#state = state;
    this.show();
    this.#place.restore();
  }

  #words() {
    const empty = this.#book.newest.length === 0;
    part(this.#root, "reading").hidden = this.#state !== "reading" || !empty;
    part(this.#root, "empty").hidden = this.#state !== "read" || !empty;
    part(this.#root, "failed").hidden = this.#state !== "failed";
    const end = this.#most >= this.#book.newest.length;
    showText(part(this.#root, "partial"), !this.#whole && end ? NOTES.moreThanShown : "");
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = part(this.#root, "scroll");
    if (scrollHeight - scrollTop - clientHeight > AHEAD || this.#most >= this.#book.newest.length) return;
    this.#most += STEP;
    this.show();
  }

  #row(note) {
    if (!this.#rows.has(note.path)) this.#rows.set(note.path, new NoteRow());
    const row = this.#rows.get(note.path);
    row.update(note, note.path === this.#open);
    return row.root;
  }
}
