/** One skill: looked at, installed, enabled, and where it is one's own, written. */

import { toolsAddress } from "../tools-route.js";
import { skillDraft } from "../skill-drafts.js";
import { COMMON } from "../words/common.js";
import { isGrave, SKILLS, skillWhere } from "../words/skills.js";
import { TOOLS } from "../words/tools.js";
import { skillActs } from "./skill-possible.js";
import { SkillSheet } from "./skill-sheet.js";
import { SkillWriting } from "./skill-writing.js";
import { ToolPage, unreadable } from "./tool-page.js";

export class SkillPage extends ToolPage {
  #api;
  #detail = null;
  #error = null;
  #writing = null;
  #edit;
  #sheet = new SkillSheet();

  /** @param {import("../skills-api.js").SkillsApi} api */
  constructor(api, { name, edit }) {
    super(SKILLS.about, SKILLS.title);
    [this.title, this.name, this.#api, this.#edit] = [name, name, api, edit];
    this.#sheet.root.addEventListener("tools", () => this.#choose());
  }

  async open() {
    await this.#read();
    this.write(this.#edit);
  }

  close() {
    this.#writing?.close();
    super.close();
  }

  /** Reads it again, where nobody writes. */
  async refresh() {
    if (this.#writing === null && !this.busy) await this.#read();
  }

  /** Goes to the editor, or back from it, as the address says. */
  write(edit) {
    this.#edit = edit;
    if (this.#detail === null || edit === (this.#writing !== null)) return;
    if (edit && this.#detail.skill.source !== "own") return this.fire("replace", this.#address);
    if (edit) this.#begin();
    else this.#end();
  }

  escape() {
    if (this.#writing === null) return false;
    this.#writing.editor.dispatchEvent(new Event("leave"));
    return true;
  }

  save() {
    this.#writing?.save();
  }

  focus() {
    if (this.#writing) this.#writing.editor.focus();
    else super.focus();
  }

  get #address() {
    return toolsAddress("skills", this.name);
  }

  async #read() {
    const [detail, error] = await this.#api.read(this.name).then((found) => [found, null], (reason) => [null, reason]);
    if (detail !== null || error.status === 404 || this.#detail === null) [this.#detail, this.#error] = [detail, error];
    if (this.#writing === null) this.#show(detail === null && this.#detail !== null ? error.message : "");
  }

  #show(line = "") {
    if (this.#detail === null) return this.#showError();
    if (!this.#writing?.editor.root.isConnected) this.#sheet.update(this.#detail);
    const acts = this.#writing?.acts ?? skillActs(this.#detail, this.#doable);
    this.show({ where: skillWhere(this.#detail.skill), acts, line: this.#writing?.line ?? line, content: this.#sheet.root });
    if (this.#writing && !this.#writing.editor.root.isConnected) this.#sheet.main.replaceWith(this.#writing.editor.root);
  }

  #showError() {
    const away = { label: TOOLS.all, act: () => this.fire("go", toolsAddress()), primary: true };
    const again = { label: COMMON.tryAgain, act: () => this.open(), primary: true };
    this.show({ where: SKILLS.title, acts: [this.#error.status === 404 ? away : again], content: unreadable(this.#error.message) });
  }

  // What can be done

  get #doable() {
    return {
      install: () => this.attempt(TOOLS.notInstalled, () => this.#install()),
      enable: () => this.attempt(TOOLS.notEnabled, () => this.#enable()),
      disable: () => this.attempt(TOOLS.notDisabled, () => this.#change(this.#api.disable(this.name))),
      use: () => this.fire("compose", `/skill ${this.name} `),
      edit: () => this.fire("go", `${this.#address}/edit`),
      remove: () => this.head.ask("skill-remove", () => this.attempt(TOOLS.notRemoved, () => this.#remove())),
    };
  }

  async #install() {
    const { skill, findings } = this.#detail;
    const item = await this.#api.install({ name: this.name, hash: skill.hash });
    if (item.state === "disabled" && !isGrave(findings)) await this.#enable();
    else await this.#change(item);
  }

  async #enable() {
    const { skill } = this.#detail;
    await this.#change(this.#api.enable(this.name, { hash: skill.hash, ...(skill.trust === "untrusted" && { tools: this.#sheet.tools }) }));
  }

  async #remove() {
    const { kept } = await this.#api.remove(this.name);
    this.head.answered();
    this.tell(kept ? SKILLS.removedAndKept(this.name, kept) : SKILLS.removed(this.name));
    this.fire("changed");
    if (kept) this.fire("replace", toolsAddress());
    else await this.#read();
  }

  async #change(work) {
    await work;
    this.fire("changed");
    await this.#read();
  }

  // Of one that is enabled at once; else with "Enable".
  #choose() {
    if (this.#detail.skill.state !== "enabled") return;
    this.attempt(COMMON.notChanged, () => this.#enable()).then(() => this.#show());
  }

  // Writing

  #begin() {
    const { content, skill } = this.#detail;
    const draft = skillDraft(this.name);
    const base = { content: plain(content), hash: draft?.hash ?? skill.hash };
    this.#writing = new SkillWriting(this.#api, this.name, base, { text: draft?.text ?? base.content, key: this.name });
    this.#writing.addEventListener("change", () => this.#show());
    this.#writing.addEventListener("leave", () => this.head.asking || this.head.ask("skill-discard", () => this.#writing.discard(), () => this.focus()));
    this.#writing.addEventListener("left", () => this.#leave());
    this.#writing.addEventListener("saved", () => this.#leave());
    this.keepPlace(() => {
      this.#show();
      this.#writing.editor.focus(1);
    });
  }

  #leave() {
    this.fire("changed");
    this.fire("replace", this.#address);
  }

  #end() {
    this.head.answered();
    this.#writing.close();
    this.#writing.editor.root.remove();
    this.#writing = null;
    this.keepPlace(() => this.#show());
    this.head.focus(COMMON.edit);
    this.#read();
  }
}

function plain(text) {
  return text.replace(/\r\n?/g, "\n");
}
