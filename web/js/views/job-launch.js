/** Where a job is started: one field for the command, and what may be set beside it, folded. */

import { part, setText, showText } from "../dom.js";
import { tab } from "../storage.js";
import { COMMON } from "../words/common.js";
import { JOBS } from "../words/jobs.js";
import { fitToText } from "./composer.js";

const DRAFT = "job-draft";
const FIELDS = { command: "command", prompt: "command", timeout_seconds: "minutes", memory_mb: "memory" };
const NUMBERS = { minutes: JOBS.minutesWanted, memory: JOBS.megabytesWanted };

/** Fires "launched" with the new job. */
export class JobLaunch extends EventTarget {
  #root;
  #api;
  #input;
  #busy = false;

  /** @param {HTMLFormElement} root @param {import("../jobs-api.js").JobsApi} api */
  constructor(root, api) {
    super();
    this.#root = root;
    this.#api = api;
    this.#input = part(root, "command");
    this.#input.value = tab.get(DRAFT) ?? "";
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    part(root, "kind").addEventListener("change", () => this.#ask());
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#launch();
    });
  }

  /** What is read stays where it is. */
  focus() {
    this.#input.focus({ preventScroll: true });
  }

  /** Its field is as high as what stands in it, once it can be seen. */
  open() {
    fitToText(this.#input);
  }

  /** @param {string|undefined} reason why no job can be started, and what to do */
  impossible(reason) {
    showText(part(this.#root, "impossible"), reason);
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.#launch();
  }

  #changed() {
    fitToText(this.#input);
    tab.set(DRAFT, this.#input.value || null);
  }

  #ask() {
    const task = part(this.#root, "kind").value === "prompt";
    this.#input.placeholder = task ? JOBS.whatToDo : JOBS.shellCommand;
    this.#input.setAttribute("aria-label", task ? JOBS.task : JOBS.command);
    this.#input.classList.toggle("in-words", task);
  }

  async #launch() {
    const text = this.#input.value.trim();
    if (text === "") return this.#tell(JOBS.commandFirst, "command");
    const wish = this.#wish(text);
    if (wish === null || this.#busy) return;
    this.#busy = true;
    this.#tell("");
    const [job, error] = await this.#api.launch(wish).then((made) => [made, null], (reason) => [null, reason]);
    this.#busy = false;
    if (job === null) return this.#tell(COMMON.notStarted(error.message), FIELDS[error.field]);
    this.#input.value = "";
    this.#changed();
    this.dispatchEvent(new CustomEvent("launched", { detail: job }));
  }

  #wish(text) {
    const numbers = {};
    for (const [name, advice] of Object.entries(NUMBERS)) {
      const given = part(this.#root, name).value.trim();
      if (!/^\d{0,6}$/.test(given)) return this.#tell(advice, name);
      if (given !== "") numbers[name] = Number(given);
    }
    const { minutes, memory } = numbers;
    return {
      [part(this.#root, "kind").value]: text,
      network: part(this.#root, "network").value === "yes",
      ...(minutes === undefined ? {} : { timeout_seconds: minutes * 60 }),
      ...(memory === undefined ? {} : { memory_mb: memory }),
    };
  }

  #tell(words, field = null) {
    setText(part(this.#root, "told"), words);
    for (const name of new Set(Object.values(FIELDS))) part(this.#root, name).setAttribute("aria-invalid", String(name === field));
    if (field === null) return null;
    if (field !== "command") part(this.#root, "options").open = true;
    part(this.#root, field).focus();
    return null;
  }
}
