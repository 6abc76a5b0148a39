/** One file of the notes as the gateway has it: read, read again when it changed, its boxes ticked. One thing at a time, in order. */

import { sameTask, ticked } from "./notes-tasks.js";
import { NOTES } from "./words/notes.js";

const SETTLE = 200; // events come in groups
const NO_TEXT = new Set([413, 422]);

/** Fires "change" when what is known has changed, and "told" with a text. */
export class NoteSource extends EventTarget {
  /** The note with its text; null: there is none, or it was not read yet. */
  note = null;
  /** `{size, modified, etag}` of a file that is no text, or too large a one. */
  file = null;
  /** Why there is neither. */
  error = null;
  /** Whether it was there once. */
  known = false;
  #api;
  #stale = null;
  #queue = Promise.resolve();
  #closed = false;

  /** @param {import("./notes-api.js").NotesApi} api */
  constructor(api, path) {
    super();
    this.#api = api;
    this.path = path;
  }

  /** Of the file as it is known; empty: there is none. */
  get etag() {
    return (this.note ?? this.file)?.etag ?? "";
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#stale);
  }

  read() {
    return this.#then(() => this.#read());
  }

  /** Reads it in a moment, once for several calls. */
  readSoon() {
    this.#stale ??= setTimeout(() => {
      this.#stale = null;
      this.read();
    }, SETTLE);
  }

  /** Ticks the box in a line, or takes the tick away. @param {{line: number, done: boolean}} box */
  tick(box) {
    return this.#then(() => this.#tick(box, true));
  }

  /** Takes the note as it was just saved. */
  put(note) {
    [this.note, this.file, this.error, this.known] = [note, null, null, true];
    this.#fire("change");
  }

  #then(work) {
    this.#queue = this.#queue.then(() => this.#closed || work());
    return this.#queue;
  }

  #fire(name, detail = null) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  async #read() {
    const [note, error] = await this.#api.read(this.path).then((found) => [found, null], (reason) => [null, reason]);
    if (note !== null) return this.put(note);
    if (error.status !== 404 && this.note !== null) return; // what was read stays
    this.file = NO_TEXT.has(error.status) ? await this.#facts() : null;
    [this.note, this.error] = [null, error];
    this.#fire("change");
  }

  async #facts() {
    const reply = await this.#api.file(this.path, "HEAD").catch(() => null);
    if (reply === null) return null;
    const [size, modified, etag] = ["Content-Length", "Last-Modified", "ETag"].map((name) => reply.headers.get(name));
    return { size: Number(size), modified, etag: etag.replaceAll('"', "") };
  }

  // Shown before it is saved. Where only other lines were changed meanwhile, it is done in the new text.
  async #tick({ line, done }, again) {
    const before = this.note;
    const content = ticked(before?.content ?? "", line, done);
    if (content === null) return;
    this.put({ ...before, content });
    try {
      const { etag, modified } = await this.#api.write(this.path, content, before.etag);
      this.put({ ...before, content, etag, modified });
    } catch (error) {
      this.put(before);
      if (error.status !== 412) return this.#fire("told", NOTES.notTicked(error.message));
      await this.#read();
      if (again && sameTask(before.content, this.note?.content ?? "", line)) await this.#tick({ line, done }, false);
      else this.#fire("told", NOTES.notTickedAsChanged);
    }
  }
}
