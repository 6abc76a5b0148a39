/** One note that is open: read, written, or its versions; or what is to be said where there is none. */

import { fromTemplate, part, showText } from "../dom.js";
import { NoteSource } from "../notes-source.js";
import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";
import { begun, resumed } from "./notes-begun.js";
import { NoteHead } from "./notes-head.js";
import { possibleActs } from "./notes-possible.js";
import { NoteReader } from "./notes-reader.js";
import { NoteScroll } from "./notes-scroll.js";
import { fileNode, unreadNode } from "./notes-unread.js";
import { NoteVersions } from "./notes-versions.js";

/** Fires on its root, bubbling: "told" with `{text, draft?, path?}`, and "left" when a note that is not there is not written either. */
export class NotePage {
  #api;
  #book;
  #acts;
  #writing = null;
  #versions = null;

  /** @param {import("./notes-acts.js").NoteActs} acts */
  constructor(api, book, acts, path) {
    this.path = path;
    this.#api = api;
    this.#book = book;
    this.#acts = acts;
    this.root = fromTemplate("note");
    this.source = new NoteSource(api, path);
    this.head = new NoteHead(part(this.root, "head"));
    this.reader = new NoteReader();
    this.scroll = new NoteScroll(part(this.root, "scroll"), path);
    this.source.addEventListener("change", () => this.#changed());
    this.source.addEventListener("told", ({ detail }) => this.#tell({ text: detail }));
    this.reader.root.addEventListener("tick", ({ detail }) => this.source.tick(detail));
    this.#show();
  }

  close() {
    this.source.close();
    this.scroll.close();
    this.#writing?.close();
    this.root.remove();
  }

  /** Reads it, and shows the line *number*; null: where it was left. */
  async open(number) {
    await this.source.read();
    if (!this.root.isConnected) return;
    if (this.#writing) this.#writing.editor.focus();
    this.goTo(number);
  }

  /** The line *number*; null: where it was left. */
  goTo(number) {
    const node = number === null || this.source.note === null || this.#writing ? null : this.reader.at(number);
    this.reader.mark(node);
    if (node === null) this.scroll.restore();
    else node.scrollIntoView({ block: "center" });
  }

  /** Other notes came or went: links may lead somewhere now. */
  relink() {
    if (this.source.note !== null) this.reader.update({ ...this.source.note, resolve: (target) => this.#book.resolve(target, this.path) });
  }

  /** Ends the topmost thing; whether there was one. */
  escape() {
    if (this.#writing?.torn) this.#writing.writeOn();
    else if (this.#writing) this.#leave();
    else if (this.#versions) this.#closeVersions();
    else return false;
    return true;
  }

  save() {
    this.#writing?.save({ stays: true });
  }

  focus() {
    if (this.#writing) this.#writing.editor.focus();
    else part(this.root, "scroll").focus({ preventScroll: true });
  }

  #tell(detail) {
    this.root.dispatchEvent(new CustomEvent("told", { bubbles: true, detail }));
  }

  #changed() {
    const { note, etag } = this.source;
    this.relink();
    if (this.#writing === null) this.#write(resumed(this.#api, this.path, note));
    else if (etag !== this.#writing.etag && !this.#writing.saving) this.#writing.changedElsewhere();
    if (this.#versions !== null && this.#versions.etag !== etag) this.#openVersions();
    this.#show();
  }

  // Writing

  #begin() {
    const place = this.#turn(begun(this.#api, this.path, this.source.note));
    this.#writing.editor.focus(this.source.note === null ? Infinity : (place?.line ?? 1));
  }

  // Between page and editor: what is in sight stays there.
  #turn(writing) {
    const scroller = part(this.root, "scroll");
    const place = (this.#writing?.editor ?? this.reader).place(scroller);
    this.#write(writing);
    this.#show();
    writing?.editor.fit();
    if (place !== null) (writing?.editor ?? this.reader).goTo(place, scroller);
    return place;
  }

  #write(writing) {
    this.#writing?.close();
    this.#writing = writing;
    if (writing === null) return;
    this.#versions = null;
    writing.addEventListener("change", () => this.#show());
    writing.addEventListener("leave", () => this.#leave());
    writing.addEventListener("left", () => this.#left());
    writing.addEventListener("told", ({ detail }) => this.#tell(detail));
    writing.addEventListener("saved", ({ detail }) => this.#saved(detail));
  }

  #leave() {
    if (!this.#writing.changed) this.#writing.discard();
    else if (!this.head.asking) this.head.ask("note-discard", () => this.#writing.discard(), () => this.focus());
  }

  #left() {
    this.#finish();
    if (this.source.note === null && !this.source.known) this.root.dispatchEvent(new Event("left", { bubbles: true }));
    else this.source.read();
  }

  #saved(note) {
    this.source.put(note);
    this.#finish();
  }

  #finish() {
    this.head.answered();
    this.#turn(null);
    this.head.focus(COMMON.edit);
  }

  // Versions

  #openVersions() {
    this.#versions = new NoteVersions(this.#api, this.path, this.source.etag);
    this.#versions.addEventListener("restore", ({ detail }) => this.#restore(detail));
    this.#show();
    this.#versions.more();
    this.head.focus(NOTES.done);
  }

  async #restore(version) {
    await this.#acts.restore(this.path, version, this.source.etag);
    await this.source.read();
    this.#closeVersions();
  }

  #closeVersions() {
    this.#versions = null;
    this.#show();
    this.head.focus(NOTES.versions);
  }

  // What follows from the state

  #show() {
    const { note, file } = this.source;
    this.head.where(this.path, (note ?? file)?.modified ?? null);
    this.head.show(this.#possible());
    showText(part(this.root, "line"), this.#writing?.line);
    const [content, shown, torn] = [part(this.root, "content"), this.#shown(), this.#writing?.torn ?? false];
    if (content.firstChild !== shown) content.replaceChildren(shown);
    this.root.classList.toggle("torn", torn);
    this.scroll.aside = torn || this.#versions !== null;
  }

  #shown() {
    const { note, file, error, known } = this.source;
    if (this.#writing) return this.#writing.root;
    if (this.#versions) return this.#versions.root;
    if (note !== null) return this.reader.root;
    return file ? fileNode(this.path, file) : unreadNode(this.path, error, known);
  }

  #possible() {
    if (this.#writing) return this.#writing.acts;
    if (this.#versions) return [{ label: NOTES.done, act: () => this.#closeVersions(), primary: true }];
    const own = { edit: () => this.#begin(), versions: () => this.#openVersions(), read: () => this.open(null) };
    return possibleActs(this.source, { ...own, ...this.#acts.of(this.source, this.head) });
  }
}
