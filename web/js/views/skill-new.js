/** A new skill of one's own, from the beginning or from a conversation. */

import { FIRST_SKILL, skillDraft, skillOfChat } from "../skill-drafts.js";
import { toolsAddress } from "../tools-route.js";
import { COMMON } from "../words/common.js";
import { SKILLS } from "../words/skills.js";
import { SkillWriting } from "./skill-writing.js";
import { ToolPage, unreadable } from "./tool-page.js";

const MOST_TURNS = 200;

export class SkillNew extends ToolPage {
  #api;
  #skills;
  #chat;
  #writing = null;

  /** @param {import("../api.js").Api} api @param {import("../skills-api.js").SkillsApi} skills @param {string|null} chat the thread that it is made from */
  constructor(api, skills, chat) {
    super(SKILLS.about, SKILLS.titleNew);
    this.title = SKILLS.titleNew;
    [this.#api, this.#skills, this.#chat] = [api, skills, chat];
  }

  async open() {
    if (this.#writing !== null) return;
    const first = await this.#first().catch((error) => this.#fail(error));
    if (first !== null && this.root.isConnected) this.#begin(first);
  }

  close() {
    this.#writing?.close();
    super.close();
  }

  escape() {
    this.#writing?.editor.dispatchEvent(new Event("leave"));
    return this.#writing !== null;
  }

  save() {
    this.#writing?.save();
  }

  focus() {
    if (this.#writing) this.#writing.editor.focus();
    else super.focus();
  }

  get #key() {
    return this.#chat === null ? "" : `?${this.#chat}`;
  }

  async #first() {
    const draft = skillDraft(this.#key);
    if (draft !== null) return draft.text;
    if (this.#chat === null) return FIRST_SKILL;
    const { title, turns } = await this.#read();
    return skillOfChat(title, turns);
  }

  async #read() {
    const turns = [];
    let [page, cursor] = [null, null];
    do {
      page = await this.#api.history({ threadId: this.#chat, cursor, limit: 100 });
      turns.unshift(...page.turns);
      cursor = page.next_cursor ?? null;
    } while (cursor !== null && turns.length < MOST_TURNS);
    const { threads } = await this.#api.threads();
    return { title: threads.find(({ id }) => id === this.#chat)?.title ?? "", turns };
  }

  #fail(error) {
    const again = { label: COMMON.tryAgain, act: () => this.open(), primary: true };
    this.show({ where: SKILLS.titleNew, acts: [again], content: unreadable(SKILLS.conversationUnreadable(error.message)) });
    return null;
  }

  #begin(text) {
    this.#writing = new SkillWriting(this.#skills, null, { content: this.#chat === null ? FIRST_SKILL : "", hash: "" }, { text, key: this.#key, line: SKILLS.newHint });
    this.#writing.addEventListener("change", () => this.#show());
    this.#writing.addEventListener("leave", () => this.head.asking || this.head.ask("skill-discard", () => this.#writing.discard(), () => this.focus()));
    this.#writing.addEventListener("left", () => this.fire("replace", toolsAddress()));
    this.#writing.addEventListener("saved", ({ detail }) => this.#saved(detail));
    this.#show();
    this.#writing.editor.focus(1);
  }

  #saved({ skill }) {
    this.fire("changed");
    this.fire("replace", toolsAddress("skills", skill.name));
  }

  #show() {
    this.show({ where: SKILLS.yours, acts: this.#writing.acts, line: this.#writing.line, content: this.#writing.editor.root });
  }
}
