/** New notes: today's, or one that is named in place of the search field. A note is made when it is first saved. */

import { fromTemplate, part } from "../dom.js";
import { draftOf, keepDraft } from "../notes-drafts.js";
import { dailyPath, pathOf } from "../notes.js";
import { noteAddress } from "../notes-route.js";
import { firstText, NOTES } from "../words/notes.js";

/** Fires "go" with an address, and "told" with a text. */
export class NotesNew extends EventTarget {
  #root;
  #list;
  #book;
  #form = null;

  constructor(root, list, book) {
    super();
    this.#root = root;
    this.#list = list;
    this.#book = book;
    part(root, "new").addEventListener("click", () => this.ask());
  }

  /** The note of this day. */
  today() {
    this.#write(dailyPath(new Date()));
  }

  /** Asks for a name. */
  ask() {
    if (this.#form === null) this.#open();
    part(this.#form, "name").focus();
  }

  #open() {
    const form = (this.#form = fromTemplate("note-new"));
    part(this.#root, "usual").hidden = true;
    this.#root.append(form);
    part(form, "cancel").addEventListener("click", () => this.#close());
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.#close();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#named(part(form, "name").value);
    });
  }

  #close() {
    this.#form?.remove();
    this.#form = null;
    part(this.#root, "usual").hidden = false;
    part(this.#root, "new").focus();
  }

  #named(name) {
    if (name.trim() === "") return;
    const path = pathOf(name);
    if (path === null) return this.#fire("told", NOTES.unusableName);
    this.#close();
    this.#write(path);
  }

  #write(path) {
    if (this.#list.known && !this.#book.has(path) && draftOf(path) === null) keepDraft(path, { text: firstText(path), etag: "" });
    this.#fire("go", noteAddress(path));
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
