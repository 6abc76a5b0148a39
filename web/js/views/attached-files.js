/** The files of a message as a row: pictures small, others by name. */

import { isPicture } from "../attaching.js";
import { fromTemplate, part, setText } from "../dom.js";
import { CHAT } from "../words/chat.js";

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
    this.#root.replaceChildren(...files.map((file) => this.#node(file, remove)));
  }

  #node(file, remove) {
    const node = fromTemplate("attached-file");
    const button = part(node, "remove");
    setText(part(node, "name"), file.name);
    node.title = file.name;
    button.hidden = remove === null;
    button.setAttribute("aria-label", CHAT.removeFile(file.name));
    button.addEventListener("click", () => remove(file));
    if (isPicture(file)) this.#seen.observe(node);
    return node;
  }

  // Only pictures that come into view are brought.
  async #picture(node) {
    this.#seen.unobserve(node);
    const index = [...this.#root.children].indexOf(node);
    const file = this.#files[index];
    const blob = file?.blob ?? (await this.#bring(file, index).catch(() => null)); // its name stands there anyway
    if (!blob || !node.isConnected) return;
    const image = document.createElement("img");
    image.alt = file.name;
    image.src = URL.createObjectURL(blob);
    for (const name of ["load", "error"]) image.addEventListener(name, () => URL.revokeObjectURL(image.src));
    image.addEventListener("load", () => part(node, "name").replaceWith(image));
  }
}
