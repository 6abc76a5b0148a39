/** The files of a message as a row: pictures small, others by name. A press shows a picture large, and saves any other file. */

import { isPicture } from "../attaching.js";
import { fromTemplate, part, setText } from "../dom.js";
import { saveBlob } from "../download.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { showPicture } from "./picture.js";

/** @typedef {import("../attaching.js").Attached} Attached */

export class AttachedFiles {
  #root;
  #bring;
  #files = [];
  #seen = null;

  /** @param {(file: Attached, index: number) => Promise<Blob>} bring its bytes, where they are not at hand */
  constructor(root, bring) {
    this.#root = root;
    this.#bring = bring;
  }

  get all() {
    return this.#files;
  }

  /** Whether some are known by name only. */
  get torn() {
    return this.#files.some(({ data }) => data === undefined);
  }

  /** Those that stand there already stay, with what is at hand of them. @param {Attached[]} files @param {((file: Attached) => void)|null} remove what its button does; null: it has none */
  show(files, remove = null) {
    if (files.length === this.#files.length && files.every(({ name }, at) => name === this.#files[at].name)) return;
    this.#files = files;
    this.#root.hidden = files.length === 0;
    this.#seen?.disconnect();
    this.#seen = new IntersectionObserver((entries) => entries.forEach((one) => one.isIntersecting && this.#picture(one.target)));
    this.#root.replaceChildren(...files.map((file, index) => this.#node(file, index, remove)));
  }

  #node(file, index, remove) {
    const node = fromTemplate("attached-file");
    const [open, button] = [part(node, "open"), part(node, "remove")];
    setText(part(node, "name"), file.name);
    node.title = file.name;
    button.hidden = remove === null;
    button.setAttribute("aria-label", CHAT.removeFile(file.name));
    button.addEventListener("click", () => remove(file));
    open.setAttribute("aria-label", isPicture(file) ? CHAT.showFile(file.name) : COMMON.download(file.name));
    open.addEventListener("click", () => this.#open(file, index, node));
    if (isPicture(file)) this.#seen.observe(node);
    return node;
  }

  async #open(file, index, node) {
    if (isPicture(file)) return showPicture(file.name, () => this.#bytes(file, index));
    await this.#bytes(file, index).then(
      (blob) => saveBlob(blob, file.name),
      (error) => setText(part(node, "name"), CHAT.fileUnreadable(file.name, error.message)),
    );
  }

  async #bytes(file, index) {
    const blob = file.blob ?? (await this.#bring(file, index));
    if (!blob) throw new Error(CHAT.attachAgain);
    return blob;
  }

  // Only pictures that come into view are brought.
  async #picture(node) {
    this.#seen.unobserve(node);
    const index = [...this.#root.children].indexOf(node);
    const file = this.#files[index];
    const blob = file && (await this.#bytes(file, index).catch(() => null)); // its name stands there anyway
    if (!blob || !node.isConnected) return;
    const image = document.createElement("img");
    image.alt = file.name;
    image.src = URL.createObjectURL(blob);
    for (const name of ["load", "error"]) image.addEventListener(name, () => URL.revokeObjectURL(image.src));
    image.addEventListener("load", () => part(node, "name").replaceWith(image));
  }
}
