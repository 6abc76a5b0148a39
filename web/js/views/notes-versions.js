/** What a note was before: each version with who made it, what it changed, and a way back to it. */

import { fromTemplate, part, setText, showText, timeNode } from "../dom.js";
import { addedRows, diffRows } from "../notes-diff.js";
import { COMMON } from "../words/common.js";
import { changeText, NOTES } from "../words/notes.js";
import { dayAndTime } from "../words/times.js";

const TAGS = { added: "ins", removed: "del", same: "span", gap: "hr" };

/** Fires "restore" with a version. */
export class NoteVersions extends EventTarget {
  #api;
  #path;
  #etag;
  #versions = [];
  #cursor = null;
  #reading = null;

  /** @param {string} etag of the file as it is now; empty: there is none */
  constructor(api, path, etag) {
    super();
    this.#api = api;
    this.#path = path;
    this.#etag = etag;
    this.root = fromTemplate("note-versions");
    part(this.root, "earlier").addEventListener("click", () => this.more());
  }

  /** Of the file of which these were the versions. */
  get etag() {
    return this.#etag;
  }

  /** Reads the newest versions, or earlier ones; once at a time. */
  more() {
    this.#reading ??= this.#more().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #more() {
    const [page, error] = await this.#api.versions(this.#path, { cursor: this.#cursor }).then((found) => [found, null], (reason) => [null, reason]);
    part(this.root, "reading").hidden = true;
    if (page !== null) this.#take(page);
    part(this.root, "earlier").hidden = error === null && this.#cursor === null;
    setText(part(this.root, "earlier"), error === null ? NOTES.earlier : COMMON.tryAgain);
    showText(part(this.root, "told"), error?.message ?? (this.#versions.length === 0 ? NOTES.noVersions : ""));
  }

  #take({ versions, next_cursor: cursor }) {
    const first = this.#versions.length;
    this.#versions.push(...versions);
    this.#cursor = cursor;
    part(this.root, "versions").append(...versions.map((version, index) => this.#row(version, first + index)));
  }

  #row(version, index) {
    const root = fromTemplate("note-version");
    const time = new Date(version.created_at);
    part(root, "when").append(timeNode(time, dayAndTime(time)));
    const current = version.etag !== null && version.etag === this.#etag;
    setText(part(root, "what"), current && index === 0 ? NOTES.asItIsNow(changeText(version)) : changeText(version));
    part(root, "restore").hidden = !version.kept || version.etag === null || version.etag === this.#etag;
    part(root, "restore").addEventListener("click", () => this.dispatchEvent(new CustomEvent("restore", { detail: version })));
    const details = root.querySelector("details");
    details.addEventListener("toggle", () => details.open && this.#open(root, version, index), { once: true });
    return root;
  }

  async #open(root, version, index) {
    const diff = part(root, "diff");
    try {
      const rows = await this.#rows(version, index);
      diff.replaceChildren(...rows.map(rowNode));
      diff.hidden = rows.length === 0;
      showText(part(root, "told"), rows.length === 0 ? NOTES.sameText : "");
    } catch (error) {
      showText(part(root, "told"), error.message);
    }
  }

  async #rows(version, index) {
    if (index + 1 === this.#versions.length && this.#cursor !== null) await this.more();
    const before = this.#versions[index + 1];
    const readable = before !== undefined && (before.kept || before.etag === null);
    if (readable && (version.kept || version.etag === null)) return diffRows((await this.#api.difference(this.#path, before.id, version.id)).diff);
    const { content } = (await this.#api.version(this.#path, version.id));
    return content === null ? [] : addedRows(content);
  }
}

function rowNode({ kind, text }) {
  const node = document.createElement(TAGS[kind]);
  if (kind !== "gap") node.textContent = `${{ added: "+", removed: "\u2212", same: "\u00a0" }[kind]} ${text}\n`;
  return node;
}
