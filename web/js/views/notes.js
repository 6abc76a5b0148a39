/** The notes: the list with search on top, and the open note beside it. */

import { fromTemplate, part } from "../dom.js";
import { asksToBegin, asksToFind, asksToSave } from "../keys.js";
import { NotesApi } from "../notes-api.js";
import { keepDraft } from "../notes-drafts.js";
import { NoteBook, titleOf } from "../notes.js";
import { findAddress, noteAddress, readNoteRoute } from "../notes-route.js";
import { COMMON } from "../words/common.js";
import { troubleText } from "./notice.js";
import { NoteActs } from "./notes-acts.js";
import { NotesList } from "./notes-list.js";
import { NotesNew } from "./notes-new.js";
import { NotePage } from "./notes-page.js";
import { searchNotes } from "./notes-search.js";
import { Said } from "./said.js";
import { Search } from "./search.js";

const NARROW = matchMedia("(max-width: 719px)");
const TOUCH = matchMedia("(pointer: coarse)");

/** Fires "titled" on its root. */
export default class NotesView {
  #session;
  #api;
  #book = new NoteBook();
  #page = null;
  #shown = false;
  #closed = new AbortController();

  constructor(session) {
    this.root = fromTemplate("notes");
    this.#session = session;
    this.#api = new NotesApi(session.api);
    this.list = new NotesList(part(this.root, "list-pane"), this.#api, this.#book);
    this.search = new Search(part(this.root, "list-pane"), searchNotes(this.#api, this.#book));
    this.making = new NotesNew(part(this.root, "top"), this.list, this.#book);
    this.acts = new NoteActs(this.#api);
    this.said = new Said(this.root);
    this.#listen();
    this.list.load();
  }

  open() {
    const [back, { path, line, find }] = [!this.#shown, readNoteRoute(location.hash)];
    this.#shown = true;
    document.body.dataset.screen = path === null ? "list" : "thread";
    if (find !== null) this.search.find(find);
    if (path !== (this.#page?.path ?? null)) this.#turnTo(path, line, find);
    else if (line !== null || back) this.#page?.goTo(line);
    this.list.open(this.#page?.path ?? null);
    this.#focus();
    this.root.dispatchEvent(new CustomEvent("titled", { detail: this.#page && !(NARROW.matches && path === null) ? titleOf(this.#page.path) : COMMON.notes }));
  }

  leave() {
    this.#shown = false;
    delete document.body.dataset.screen;
  }

  close() {
    this.#closed.abort();
    this.#page?.close();
    this.list.close();
    this.search.close();
    this.said.clear();
    delete document.body.dataset.screen;
  }

  #listen() {
    const { signal } = this.#closed;
    this.#session.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#session.addEventListener("connected", () => this.#connected());
    this.#session.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.list.addEventListener("read", () => this.#page?.relink());
    this.search.addEventListener("change", () => this.#searched());
    for (const source of [this.search, this.making]) source.addEventListener("go", ({ detail }) => this.#go(detail));
    this.making.addEventListener("told", ({ detail }) => this.said.tell(detail));
    this.acts.addEventListener("go", ({ detail }) => this.#goAfter(detail));
    this.acts.addEventListener("told", ({ detail: { text, offer } }) => this.said.tell(text, offer));
    this.root.addEventListener("told", ({ detail }) => this.said.tell(detail.text, this.#offer(detail)));
    this.root.addEventListener("left", () => this.#go(noteAddress()));
    this.search.addEventListener("down", () => this.list.roving.focus());
    for (const button of this.root.querySelectorAll(".notes-today")) button.addEventListener("click", () => this.making.today());
    document.addEventListener("keydown", (event) => this.#shown && this.#key(event), { signal });
  }

  // Where we are

  #go(address) {
    if (address !== location.hash) history.pushState(null, "", address);
    this.open();
  }

  // The address of the list says what it was searched for: a reload finds it again.
  #searched() {
    this.list.roving.refresh();
    if (!this.#shown || readNoteRoute(location.hash).path !== null) return;
    const beside = NARROW.matches ? "" : (this.#page?.path ?? "");
    history.replaceState(null, "", this.search.active ? findAddress(this.search.query) : noteAddress(beside));
  }

  // Something was done to a note: the address of one that is gone must not stay behind.
  #goAfter(path) {
    if (!this.#shown) return;
    if (path === this.#page?.path) this.#page.head.answered();
    history.replaceState(null, "", noteAddress(path ?? ""));
    this.open();
  }

  #turnTo(path, line, find) {
    if (path === null && find !== null) return; // what was open stays beside what is found
    this.#page?.close();
    this.#page = path === null ? null : new NotePage(this.#api, this.#book, this.acts, path);
    part(this.root, "blank").hidden = this.#page !== null;
    if (this.#page === null) return;
    part(this.root, "place").append(this.#page.root);
    this.#page.open(line);
  }

  // A finger wants to see the page, not the keyboard.
  #focus() {
    if (TOUCH.matches || (document.activeElement !== document.body && document.activeElement?.checkVisibility())) return;
    if (document.body.dataset.screen === "thread") this.#page?.focus();
    else if (NARROW.matches) this.list.roving.focus();
    else this.search.focus();
  }

  #offer({ draft, path }) {
    const at = this.#page?.path;
    if (path !== undefined) return { label: COMMON.openIt, act: () => this.#go(noteAddress(path)) };
    return draft === undefined ? null : { label: COMMON.undo, act: () => this.#takeUp(at, draft) };
  }

  // A draft that was set aside.
  #takeUp(path, draft) {
    keepDraft(path, draft);
    if (this.#page?.path === path) this.#page.open(null);
    else this.#go(noteAddress(path));
  }

  // Live

  #take({ name, data }) {
    if (name === "reset") this.#readAgain();
    if (name !== "memory_changed") return;
    const known = this.#book.has(data.path);
    this.#book.apply(data);
    this.list.show();
    this.search.refresh();
    if (known !== this.#book.has(data.path)) this.#page?.relink();
    if (data.path === this.#page?.path) this.#page.source.readSoon();
  }

  #readAgain() {
    this.list.load();
    this.search.refresh();
    this.#page?.source.read();
  }

  // What happened between our reading and the first event is not told.
  #connected() {
    this.said.well();
    this.#readAgain();
  }

  #trouble({ error, wait }) {
    if (this.#shown) this.said.trouble(troubleText(error, wait, { first: !this.#session.connected }));
  }

  // Keys

  #key(event) {
    if (asksToFind(event)) this.#atList(() => this.search.focus());
    else if (asksToBegin(event)) this.#atList(() => this.making.ask());
    else if (asksToSave(event)) this.#page?.save();
    else if (event.key !== "Escape" || !this.#escape()) return;
    event.preventDefault();
  }

  #escape() {
    if (this.#page?.escape()) return true;
    if (this.search.active) {
      this.search.find("");
      this.search.focus();
    } else if (this.said.offers) this.said.clear();
    else return false;
    return true;
  }

  #atList(act) {
    if (NARROW.matches) this.#go(noteAddress());
    act();
  }
}
