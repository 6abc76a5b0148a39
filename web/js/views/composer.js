/** Where messages are written: grows with its text, keeps a draft, and its one button sends or stops. */

import { part, setText } from "../dom.js";

const LABELS = { idle: "Send", running: "Stop", stopping: "Stopping…" };
const DRAFT = "ironclaw.draft";

/** Fires "send" with the text, and "stop". */
export class Composer extends EventTarget {
  #root;
  #input;
  #action;
  #state = "idle";

  constructor(root) {
    super();
    this.#root = root;
    this.#input = part(root, "input");
    this.#action = part(root, "action");
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#act();
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("input", () => this.#changed());
  }

  /** For when the composer has come onto the page. */
  opened() {
    this.#input.value = readDraft();
    this.#fit();
    this.#input.focus();
  }

  get empty() {
    return this.#input.value === "";
  }

  focus() {
    this.#input.focus();
  }

  /** Puts *text* in, ready to be changed or sent. */
  fill(text) {
    this.#input.value = this.empty ? text : `${this.#input.value}\n${text}`;
    this.#changed();
    this.#input.focus();
    this.#input.setSelectionRange(this.#input.value.length, this.#input.value.length);
  }

  /** @param {"idle"|"running"|"stopping"} state */
  show(state) {
    if (state === this.#state) return;
    this.#state = state;
    setText(this.#action, LABELS[state]);
    this.#action.setAttribute("aria-disabled", String(state === "stopping"));
  }

  #act() {
    if (this.#state === "idle") this.#send();
    else if (this.#state === "running") this.dispatchEvent(new Event("stop"));
    this.#input.focus();
  }

  // The 229 is what Safari calls the Enter that ends a composition.
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.#input.value.trim();
    if (text === "") return;
    this.#input.value = "";
    this.#changed();
    this.dispatchEvent(new CustomEvent("send", { detail: text }));
  }

  #changed() {
    this.#fit();
    writeDraft(this.#input.value);
  }

  #fit() {
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }
}

export function forgetDraft() {
  writeDraft("");
}

function readDraft() {
  try {
    return sessionStorage.getItem(DRAFT) ?? "";
  } catch {
    return "";
  }
}

function writeDraft(text) {
  try {
    if (text === "") sessionStorage.removeItem(DRAFT);
    else sessionStorage.setItem(DRAFT, text);
  } catch {
    return; // Without storage the draft lives as long as the page.
  }
}
