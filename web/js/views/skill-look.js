/** A skill that was pasted, linked to or uploaded: looked at before anything of it is kept. */

import { tab } from "../storage.js";
import { toolsAddress } from "../tools-route.js";
import { COMMON } from "../words/common.js";
import { isGrave, SKILLS, skillWhere } from "../words/skills.js";
import { TOOLS } from "../words/tools.js";
import { SkillSheet } from "./skill-sheet.js";
import { ToolPage, unreadable } from "./tool-page.js";

const KEPT = "tools-look";

/** What is looked at, as the API takes it; null: nothing. */
export function lookedAt() {
  return tab.getValue(KEPT, null);
}

/** @param {object|null} body null: forget it */
export function keepLookedAt(body) {
  tab.setValue(KEPT, body);
}

export class SkillLook extends ToolPage {
  #api;
  #body = lookedAt();
  #detail;
  #sheet = new SkillSheet();

  /** @param {import("../skills-api.js").SkillsApi} api @param {object|null} detail what the preview said, where it is known */
  constructor(api, detail) {
    super(SKILLS.about, SKILLS.title);
    this.title = SKILLS.titleNew;
    [this.#api, this.#detail] = [api, detail];
  }

  async open() {
    if (this.#body === null) return this.fire("replace", toolsAddress("add"));
    this.#detail ??= await this.#api.preview(this.#body).catch((error) => this.#fail(error));
    if (this.#detail) this.#show();
  }

  get #back() {
    return { label: SKILLS.changeAdded, act: () => this.fire("replace", toolsAddress("add")) };
  }

  #fail(error) {
    const again = { label: COMMON.tryAgain, act: () => this.open(), primary: true };
    this.show({ where: SKILLS.title, acts: [again, this.#back], content: unreadable(error.message) });
    return null;
  }

  // Where something grave was found, enabling is one step more.
  #show() {
    const enabling = { label: SKILLS.installAndEnable, act: () => this.#install(true) };
    const only = { label: TOOLS.install, act: () => this.#install(false) };
    const [first, second] = isGrave(this.#detail.findings) ? [only, enabling] : [enabling, only];
    this.#sheet.update(this.#detail);
    this.show({ where: skillWhere(this.#detail.skill), acts: [{ ...first, primary: true }, second, { label: COMMON.more, items: [this.#back] }], content: this.#sheet.root });
  }

  #install(enable) {
    return this.attempt(TOOLS.notInstalled, async () => {
      const { skill, replaces } = this.#detail;
      const { name } = await this.#api.install({ ...this.#body, hash: skill.hash, update: replaces !== undefined });
      keepLookedAt(null);
      this.fire("changed");
      if (enable) await this.#api.enable(name, { hash: skill.hash, tools: this.#sheet.tools }).catch((error) => this.tell(TOOLS.notEnabled(error.message)));
      this.fire("changed");
      this.fire("replace", toolsAddress("skills", name));
    });
  }
}
