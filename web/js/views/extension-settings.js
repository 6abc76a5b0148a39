/** The settings of an extension, a field for each. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { EXTENSIONS } from "../words/extensions.js";


/** Fires "save" with the settings that were changed, by name. */
export class ExtensionSettings extends EventTarget {
  #root;
  #fields = new Map();
  #values = new Map();

  /** @param {Element} root a form */
  constructor(root) {
    super();
    this.#root = root;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** @param {{settings: object[], state?: string}} extension what somebody has written meanwhile stays */
  update({ settings, state }) {
    this.#root.hidden = settings.length === 0 || state === undefined;
    for (const setting of settings) this.#show(setting);
    part(this.#root, "save").className = state === "needs_settings" ? "primary" : "outlined";
  }

  /** @param {string|null} field "settings.NAME" of what is wrong */
  tell(words, field = null) {
    setText(part(this.#root, "told"), words);
    for (const [name, node] of this.#fields) part(node, "text").setAttribute("aria-invalid", String(field === `settings.${name}`));
    part(this.#root, "fields").querySelector("[aria-invalid=true]")?.focus();
  }

  #show({ name, title, kind, required, value, default: usual, help }) {
    if (!this.#fields.has(name)) {
      this.#fields.set(name, fromTemplate("extension-setting"));
      part(this.#root, "fields").append(this.#fields.get(name));
    }
    const node = this.#fields.get(name);
    const input = part(node, "text");
    setText(part(node, "title"), required || usual ? title : EXTENSIONS.optional(title));
    input.placeholder = usual ?? EXTENSIONS.placeholders[kind] ?? "";
    showText(part(node, "help"), help ?? (kind === "folders" ? EXTENSIONS.severalFolders : ""));
    const untouched = input.value === (this.#values.get(name) ?? "");
    this.#values.set(name, value ?? "");
    if (untouched) input.value = value ?? "";
  }

  #submit() {
    const texts = [...this.#fields].map(([name, node]) => [name, part(node, "text").value.trim()]);
    const changed = texts.filter(([name, text]) => text !== this.#values.get(name));
    if (changed.length === 0) return this.tell(EXTENSIONS.nothingChanged);
    this.tell(EXTENSIONS.saving);
    this.dispatchEvent(new CustomEvent("save", { detail: Object.fromEntries(changed) }));
  }
}
