/** Where the tokens of an extension are entered: each is sent once, and forgotten here before the answer has come. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { safeAddress } from "../markdown-inline.js";
import { EXTENSIONS } from "../words/extensions.js";

/** Fires "enter" with the secrets by name. */
export class ExtensionSecrets extends EventTarget {
  #root;
  #fields = new Map();

  /** @param {Element} root a form */
  constructor(root) {
    super();
    this.#root = root;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** @param {{secrets: object[], state?: string}} extension */
  update({ secrets, state }) {
    this.#root.hidden = secrets.length === 0 || state === undefined;
    for (const secret of secrets) this.#show(secret);
    part(this.#root, "save").className = state === "needs_token" ? "primary" : "outlined";
  }

  focus() {
    this.#root.querySelector("input")?.focus();
  }

  tell(words, { wrong = false } = {}) {
    setText(part(this.#root, "told"), words);
    for (const node of this.#fields.values()) part(node, "text").setAttribute("aria-invalid", String(wrong));
    if (wrong) this.focus();
  }

  #show({ name, title, required, set, hint, url }) {
    if (!this.#fields.has(name)) {
      this.#fields.set(name, fromTemplate("extension-secret"));
      part(this.#root, "fields").append(this.#fields.get(name));
    }
    const node = this.#fields.get(name);
    setText(part(node, "title"), required ? title : EXTENSIONS.optional(title));
    part(node, "text").placeholder = set ? EXTENSIONS.keptReplaceable : (hint ?? "");
    const address = safeAddress(url ?? "");
    part(node, "where").hidden = address === null;
    if (address !== null) part(node, "where").href = address;
    showText(part(node, "kept"), set ? EXTENSIONS.kept : "");
  }

  // The texts leave the page's fields at once.
  #submit() {
    const secrets = {};
    for (const [name, node] of this.#fields) {
      const input = part(node, "text");
      if (input.value.trim() !== "") secrets[name] = input.value.trim();
      input.value = "";
    }
    if (Object.keys(secrets).length === 0) return this.tell(EXTENSIONS.tokenFirst, { wrong: true });
    this.tell(EXTENSIONS.trying);
    this.dispatchEvent(new CustomEvent("enter", { detail: secrets }));
  }
}
