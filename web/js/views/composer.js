/** Where messages are written: grows with its text, keeps a draft, and its one button sends or stops. */

import { part, setText } from "../dom.js";
import { tab } from "../storage.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { Attach } from "./attach.js";

const LABELS = { idle: CHAT.send, running: COMMON.stop, stopping: COMMON.stopping };

/** Fires "send" with `{text, files}`; "refused" with why that is not possible, or why a file is not taken; "stop". */
export class Composer extends EventTarget {
  #root;
  #input;
  #action;
  #attach;
  #state = "idle";
  #draft = null;

  constructor(root) {
    super();
    this.#root = root;
    this.#input = part(root, "input");
    this.#action = part(root, "action");
    this.#attach = new Attach(root);
    this.#attach.addEventListener("refused", ({ detail }) => this.#refuse(detail));
    this.#attach.addEventListener("changed", () => this.#input.focus());
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#act();
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("input", () => this.#changed());
  }

  /** From now on the draft of *threadId* is kept; what was written before it was known goes on top. */
  keepDraftOf(threadId) {
    this.#draft = `draft.${threadId}`;
    this.#input.value = [tab.get(this.#draft), this.#input.value].filter(Boolean).join("\n");
    this.#changed();
  }

  get empty() {
    return this.#input.value === "";
  }

  focus() {
    this.#input.focus();
  }

  /** Puts *text* in, and *files* with it, ready to be changed or sent. */
  fill(text, files = []) {
    if (files.length > 0) this.#attach.put(files);
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

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.#input.value.trim();
    if (text === "" && !this.#attach.empty) this.#refuse(CHAT.fewWords);
    if (text === "") return;
    const files = this.#attach.empty ? [] : this.#attach.take();
    this.#input.value = "";
    this.#changed();
    this.dispatchEvent(new CustomEvent("send", { detail: { text, files } }));
  }

  #refuse(detail) {
    this.dispatchEvent(new CustomEvent("refused", { detail }));
  }

  #changed() {
    fitToText(this.#input);
    if (this.#draft !== null) tab.set(this.#draft, this.#input.value || null);
  }
}

/** Makes *area* as high as what is written in it. */
export function fitToText(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}
