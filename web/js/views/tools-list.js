/** The list of skills and extensions, the installed ones first. */

import { arrange, part, setText, showText } from "../dom.js";
import { availableTool, extensionTool, skillTool } from "../tool-book.js";
import { SKILLS } from "../words/skills.js";
import { TOOLS } from "../words/tools.js";
import { Roving } from "./roving.js";
import { ScrollPlace } from "./scroll-place.js";
import { ToolRow } from "./tool-row.js";

/** Fires "read" when it was read anew. */
export class ToolsList extends EventTarget {
  #root;
  #skills;
  #extensions;
  #place;
  #book;
  #rows = new Map();
  #open = null;
  #state = "new";
  #problems = { skills: [], extensions: [] };
  #run = 0;

  /**
   * @param {import("../skills-api.js").SkillsApi} skills @param {import("../extensions-api.js").ExtensionsApi} extensions
   * @param {import("../tool-book.js").ToolBook} book
   */
  constructor(root, skills, extensions, book) {
    super();
    [this.#root, this.#skills, this.#extensions, this.#book] = [root, skills, extensions, book];
    this.roving = new Roving(part(root, "scroll"));
    this.#place = new ScrollPlace(part(root, "scroll"), "tools");
    part(root, "again").addEventListener("click", () => this.load());
  }

  close() {
    this.#run += 1;
  }

  /** Reads all; what was read before stays until then, or where it can't be read. */
  async load() {
    const run = (this.#run += 1);
    if (this.#state === "new") this.#become("reading");
    const read = await Promise.all([this.#readSkills(), this.#readExtensions()].map((one) => one.catch((error) => error)));
    if (run !== this.#run) return;
    this.#take("skills", read[0]);
    this.#take("extensions", read[1]);
    this.#become(read.every((one) => one instanceof Error) && this.#book.empty ? "failed" : "read");
    this.dispatchEvent(new Event("read"));
  }

  /** Marks a tool as the one beside the list. @param {string|null} key "skills/NAME" */
  open(key) {
    this.#open = key;
    this.show();
    this.#place.restore();
  }

  show() {
    const focused = part(this.#root, "list").contains(document.activeElement) ? document.activeElement : null;
    const { installed, available } = this.#book;
    arrange(part(this.#root, "installed"), installed.map((tool) => this.#row(tool)));
    arrange(part(this.#root, "available"), available.map((tool) => this.#row(tool)));
    const keys = new Set([...installed, ...available].map(keyOf));
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    this.#words();
    this.roving.refresh();
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    else if (focused) this.roving.focus();
  }

  /** Takes what an event says of an extension. */
  take({ name, state }) {
    const tool = this.#book.find("extensions", name);
    if (!tool?.installed || state === undefined || state === "removed") return;
    this.#book.put({ ...tool, state });
    this.show();
  }

  async #readSkills() {
    const [found, list] = await Promise.all([this.#skills.search(), this.#skills.list()]);
    const problems = list.problems.map(({ path, message }) => SKILLS.unusable(path, message));
    return { tools: found.skills.map(skillTool), problems: found.registry_error ? [...problems, found.registry_error] : problems };
  }

  async #readExtensions() {
    const [installed, registry] = await Promise.all([this.#extensions.list(), this.#extensions.registry()]);
    const available = registry.extensions.filter((one) => !one.installed).map(availableTool);
    return { tools: [...installed.extensions.map(extensionTool), ...available], problems: [] };
  }

  #take(kind, read) {
    this.#problems[kind] = read instanceof Error ? [TOOLS.kindUnreadable[kind](read.message)] : read.problems;
    if (!(read instanceof Error)) this.#book.replace(kind, read.tools);
  }

  #become(state) {
    this.#state = state;
    this.show();
    this.#place.restore();
  }

  #words() {
    const { installed, available, empty } = this.#book;
    part(this.#root, "reading").hidden = this.#state !== "reading" || !empty;
    part(this.#root, "installed-title").hidden = installed.length === 0;
    part(this.#root, "available-title").hidden = available.length === 0;
    showText(part(this.#root, "empty"), this.#state === "read" && empty ? TOOLS.nothingToInstall : "");
    part(this.#root, "failed").hidden = this.#state !== "failed";
    setText(part(this.#root, "failed-text"), this.#state === "failed" ? TOOLS.listUnreadable : "");
    const lines = this.#state === "failed" ? [] : Object.values(this.#problems).flat();
    part(this.#root, "problems").replaceChildren(...lines.map(lineNode));
  }

  #row(tool) {
    const key = keyOf(tool);
    if (!this.#rows.has(key)) this.#rows.set(key, new ToolRow());
    const row = this.#rows.get(key);
    row.update(tool, key === this.#open);
    return row.root;
  }
}

function keyOf({ kind, name }) {
  return `${kind}/${name}`;
}

function lineNode(text) {
  const node = document.createElement("p");
  node.className = "hint";
  node.textContent = text;
  return node;
}
