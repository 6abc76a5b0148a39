/** Where something is added that no list has: pasted, linked to, or uploaded. What is pasted says what it is. */

import { fromTemplate, part, setText } from "../dom.js";
import { readPasted } from "../tools-pasted.js";
import { toolsAddress } from "../tools-route.js";
import { TOOLS } from "../words/tools.js";
import { keepLookedAt, lookedAt } from "./skill-look.js";
import { ToolPage } from "./tool-page.js";

const MOST = 12e6; // bytes of a file: what the gateway takes in one request

/** Fires on its root, besides what all pages fire: "look" with what the preview of a skill says. */
export class ToolsAdd extends ToolPage {
  #skills;
  #extensions;
  #form = fromTemplate("tools-add");
  #file = null;

  /** @param {import("../skills-api.js").SkillsApi} skills @param {import("../extensions-api.js").ExtensionsApi} extensions */
  constructor(skills, extensions) {
    super(null, TOOLS.add);
    this.title = TOOLS.addTool;
    [this.#skills, this.#extensions] = [skills, extensions];
    this.#listen();
    this.show({ where: TOOLS.add, acts: [], content: this.#form });
  }

  async open() {
    const before = lookedAt();
    this.#paste.value ||= before?.content ?? before?.url ?? "";
    part(this.#form, "name").value = before?.name ?? "";
    part(this.#form, "naming").hidden = !before?.name;
  }

  focus() {
    this.#paste.focus();
  }

  get #paste() {
    return part(this.#form, "paste");
  }

  #listen() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    part(this.#form, "choose").addEventListener("click", () => part(this.#form, "file").click());
    part(this.#form, "file").addEventListener("change", ({ target }) => this.#take(target.files[0]));
    this.root.addEventListener("dragover", (event) => event.preventDefault());
    this.root.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#take(event.dataTransfer.files[0]);
    });
    this.#paste.addEventListener("input", () => this.#chosen(null));
  }

  // A text is shown in the field, an archive by its name.
  async #take(file) {
    if (!file) return;
    part(this.#form, "file").value = "";
    if (file.size > MOST) return this.#tell(TOOLS.fileTooLarge(file.name));
    if (/\.(?:md|markdown|txt|json)$/i.test(file.name)) {
      this.#chosen(null);
      this.#paste.value = await file.text();
      return this.#submit();
    }
    this.#chosen({ name: file.name, archive: base64(new Uint8Array(await file.arrayBuffer())) });
    this.#paste.value = "";
    return this.#submit();
  }

  #chosen(file) {
    this.#file = file;
    this.#tell(file === null ? "" : file.name);
  }

  #submit() {
    const pasted = this.#file ? { kind: "skill", body: { archive: this.#file.archive } } : readPasted(this.#paste.value);
    if (pasted.kind === "empty") return this.#tell(TOOLS.pasteFirst, "paste");
    if (pasted.kind === "wrong") return this.#tell(pasted.problem, "paste");
    if (pasted.kind === "servers") return this.#addServers(pasted.servers);
    return this.#look(pasted.body);
  }

  async #look(body) {
    if (this.busy) return;
    const name = part(this.#form, "name").value.trim();
    const whole = name === "" ? body : { ...body, name };
    this.#work(true, "url" in body ? TOOLS.readingIt : "");
    const [detail, error] = await this.#skills.preview(whole).then((found) => [found, null], (reason) => [null, reason]);
    this.#work(false, "");
    if (!this.root.isConnected) return;
    if (detail === null) return this.#refused(error);
    keepLookedAt(whole);
    this.fire("look", detail);
  }

  // They are kept, but nothing of them runs before it is confirmed. What was pasted may hold tokens: it leaves the page at once.
  async #addServers(servers) {
    if (this.busy) return;
    const text = this.#paste.value;
    this.#paste.value = "";
    this.#work(true, "");
    const added = [];
    let problem = null;
    for (const [name, server] of Object.entries(servers)) {
      const [item, error] = await this.#extensions.install({ mcpServers: { [name]: server } }).then((found) => [found, null], (reason) => [null, reason]);
      if (item !== null) added.push(item.name);
      else problem ??= TOOLS.notAdded(name, error.message);
    }
    this.#work(false, "");
    this.fire("changed");
    if (added.length > 0) {
      if (problem !== null) this.tell(problem);
      else if (added.length > 1) this.tell(TOOLS.added(added.length));
      return this.fire("go", toolsAddress("extensions", added[0]));
    }
    this.#paste.value = text;
    this.#tell(problem, "paste");
  }

  // Some archives hold several skills, and some texts no name.
  #refused({ message, field }) {
    const naming = field === "name" || /\bname\b/.test(message);
    if (naming) part(this.#form, "naming").hidden = false;
    this.#tell(message, naming ? "name" : "paste");
  }

  #work(busy, words) {
    this.busy = busy;
    part(this.#form, "submit").setAttribute("aria-disabled", String(busy));
    this.#tell(words);
  }

  #tell(words, field = null) {
    setText(part(this.#form, "told"), words);
    for (const name of ["paste", "name"]) part(this.#form, name).setAttribute("aria-invalid", String(name === field));
    if (field !== null) part(this.#form, field).focus();
  }
}

function base64(bytes) {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 0x8000) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  return btoa(pieces.join(""));
}
