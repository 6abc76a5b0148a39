/** A note that is being written: the editor, saving, and the choice when somebody else has changed the file meanwhile. */

import { announce } from "../dom.js";
import { keepDraft } from "../notes-drafts.js";
import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";
import { conflictNode } from "./notes-conflict.js";
import { NoteEditor } from "./notes-editor.js";

const MOST_NAMES = 20;

/**
 * Fires "change" when other things can be done or are to be said; "saved" with the note as it is now; "left" when it is given up;
 * "told" with `{text, draft, path}`: something to say, with a draft that can be taken up again, or a note that can be opened.
 */
export class NoteWriting extends EventTarget {
  #api;
  #path;
  #base; // the text and etag that this was made from
  #theirs;
  #saving = false;
  #line = "";

  /** @param {{content: string, etag: string}} base @param {string} text what stands in the editor */
  constructor(api, path, base, text) {
    super();
    this.#api = api;
    this.#path = path;
    this.#base = { content: plain(base.content), etag: base.etag };
    this.root = document.createElement("div");
    this.root.className = "note-writing";
    this.editor = new NoteEditor(plain(text));
    this.editor.addEventListener("input", () => this.#keep());
    this.editor.addEventListener("save", () => this.save({ stays: true }));
    this.editor.addEventListener("leave", () => this.dispatchEvent(new Event("leave")));
    this.root.append(this.editor.root);
  }

  get changed() {
    return this.editor.value !== this.#base.content;
  }

  get etag() {
    return this.#base.etag;
  }

  /** Whether the file is being changed from here. */
  get saving() {
    return this.#saving;
  }

  /** What is to be said above the text. */
  get line() {
    return this.#line;
  }

  /** Whether the two texts are shown. */
  get torn() {
    return this.#theirs !== undefined;
  }

  get acts() {
    if (!this.torn) return [{ label: COMMON.save, act: () => this.save(), primary: true }, { label: COMMON.cancel, act: () => this.dispatchEvent(new Event("leave")) }];
    const gone = this.#theirs === null;
    const both = { label: NOTES.keepBoth, act: () => this.#keepBoth(), primary: true };
    const rest = [{ label: COMMON.keepMine, act: () => this.#keepMine(), primary: gone }, { label: COMMON.keepTheirs, act: () => this.#keepTheirs() }, { label: COMMON.writeOn, act: () => this.writeOn() }];
    return gone ? rest : [both, ...rest];
  }

  close() {
    this.editor.close();
  }

  /** Gives up what was written. */
  discard() {
    keepDraft(this.#path, null);
    this.dispatchEvent(new Event("left"));
  }

  /** The file is not what this was made from. */
  changedElsewhere() {
    if (!this.torn) this.#say(NOTES.changedElsewhere);
  }

  async save({ stays = false } = {}) {
    if (this.torn) return;
    const text = this.editor.value;
    const saved = await this.#write(this.#path, text, this.#base.etag);
    if (saved) this.#saved(text, saved, stays);
  }

  /** From the two texts back to the editor. */
  writeOn() {
    this.#theirs = undefined;
    this.root.replaceChildren(this.editor.root);
    this.#say(NOTES.savedNothing);
    this.editor.focus();
  }

  // One at a time: a second click saves nothing twice.
  async #write(path, text, etag) {
    if (this.#saving) return null;
    this.#saving = true;
    try {
      return await this.#api.write(path, text, etag);
    } catch (error) {
      if (error.status === 412) await this.#tear();
      else this.#tell({ text: COMMON.notSaved(error.message) });
      return null;
    } finally {
      this.#saving = false;
    }
  }

  #saved(text, { etag, modified }, stays) {
    this.#base = { content: text, etag };
    if (this.changed) this.#keep();
    else keepDraft(this.#path, null);
    announce(COMMON.savedAloud);
    this.#say(stays ? COMMON.saved : "");
    if (!stays && !this.changed) this.dispatchEvent(new CustomEvent("saved", { detail: { path: this.#path, content: text, etag, modified } }));
  }

  #keep() {
    keepDraft(this.#path, this.changed || this.etag === "" ? { text: this.editor.value, etag: this.#base.etag } : null);
    if (this.#line === COMMON.saved) this.#say("");
  }

  // Two texts

  async #tear() {
    try {
      this.#theirs = await this.#api.read(this.#path);
    } catch (error) {
      if (error.status !== 404) return this.#tell({ text: COMMON.notSaved(error.message) });
      this.#theirs = null;
    }
    if (this.#theirs !== null && plain(this.#theirs.content) === this.editor.value) return this.#settle(); // both wrote the same
    this.root.replaceChildren(conflictNode(this.editor.value, this.#theirs?.content ?? null));
    this.#say(NOTES.whichStays);
  }

  async #keepMine() {
    const text = this.editor.value;
    const saved = await this.#write(this.#path, text, this.#theirs?.etag ?? "");
    if (saved) this.#saved(text, saved, false);
  }

  #keepTheirs() {
    const draft = { text: this.editor.value, etag: this.#theirs?.etag ?? "" };
    this.#settle();
    this.#tell({ text: NOTES.setAside, draft });
  }

  async #keepBoth() {
    const path = await this.#writeBeside();
    if (path === null) return;
    this.#settle();
    this.#tell({ text: NOTES.keptBeside, path });
  }

  #settle() {
    keepDraft(this.#path, null);
    this.dispatchEvent(this.#theirs === null ? new Event("left") : new CustomEvent("saved", { detail: this.#theirs }));
  }

  async #writeBeside() {
    for (let number = 1; number <= MOST_NAMES; number += 1) {
      const path = beside(this.#path, number);
      const error = await this.#api.write(path, this.editor.value, "").then(() => null, (reason) => reason);
      if (error === null) return path;
      if (error.status === 412) continue;
      this.#tell({ text: COMMON.notSaved(error.message) });
      return null;
    }
    this.#tell({ text: NOTES.tooManyNames });
    return null;
  }

  #tell(detail) {
    this.dispatchEvent(new CustomEvent("told", { detail }));
  }

  #say(line) {
    this.#line = line;
    this.dispatchEvent(new Event("change"));
  }
}

function plain(text) {
  return text.replace(/\r\n?/g, "\n");
}

function beside(path, number) {
  const [, stem, suffix] = /^(.*?)(\.[^./]+)?$/s.exec(path);
  return `${stem} (${NOTES.mine(number)})${suffix ?? ""}`;
}
