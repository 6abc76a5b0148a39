/** A skill of one's own that is being written: the editor, saving, and the choice when somebody else has changed it meanwhile. */

import { announce } from "../dom.js";
import { keepSkillDraft, nameIn } from "../skill-drafts.js";
import { COMMON } from "../words/common.js";
import { SKILLS } from "../words/skills.js";
import { TextEditor } from "./text-editor.js";

/** Fires "change" when other things can be done or are to be said; "saved" with the skill; "leave" when it is to be given up. */
export class SkillWriting extends EventTarget {
  #api;
  #name;
  #base;
  #theirs = null;
  #saving = false;
  #line;

  /**
   * @param {string|null} name null: a new one, which is called what its text says
   * @param {{content: string, hash: string}} base what this is made from; an empty hash: nothing
   * @param {{text: string, key: string, line?: string}} draft what stands in the editor, and under what it is kept
   */
  constructor(api, name, base, { text, key, line = "" }) {
    super();
    [this.#api, this.#name, this.#base, this.#line] = [api, name, base, line];
    this.key = key;
    this.editor = new TextEditor("skill-editor", text);
    this.editor.addEventListener("input", () => this.#keep());
    this.editor.addEventListener("save", () => this.save());
    this.editor.addEventListener("leave", () => this.#leave());
  }

  get changed() {
    return this.editor.value !== this.#base.content;
  }

  get line() {
    return this.#line;
  }

  get acts() {
    if (this.#theirs === null) return [{ label: COMMON.save, act: () => this.save(), primary: true }, { label: COMMON.cancel, act: () => this.#leave() }];
    return [
      { label: COMMON.keepMine, act: () => this.#keepMine(), primary: true },
      { label: COMMON.keepTheirs, act: () => this.discard() },
      { label: COMMON.writeOn, act: () => this.#writeOn() },
    ];
  }

  close() {
    this.editor.close();
  }

  /** Forgets what was written, and leaves. */
  discard() {
    keepSkillDraft(this.key, null);
    this.dispatchEvent(new Event("left"));
  }

  async save() {
    if (this.#saving || this.#theirs !== null) return;
    const name = this.#name ?? nameIn(this.editor.value);
    if (name === null) return this.#say(SKILLS.nameless);
    this.#saving = true;
    const [detail, error] = await this.#api.save(name, this.editor.value, this.#base.hash).then((saved) => [saved, null], (reason) => [null, reason]);
    this.#saving = false;
    if (detail !== null) this.#saved(detail);
    else if (error.status !== 412) this.#say(COMMON.notSaved(error.message));
    else if (this.#name === null) this.#say(SKILLS.nameTaken(name));
    else await this.#tear(name);
  }

  async #tear(name) {
    try {
      this.#theirs = await this.#api.read(name);
      this.#say(SKILLS.whichStays);
    } catch (error) {
      this.#say(COMMON.notSaved(error.message));
    }
  }

  #keepMine() {
    const { content, skill } = this.#theirs;
    [this.#base, this.#theirs] = [{ content, hash: skill.hash }, null];
    return this.save();
  }

  #writeOn() {
    this.#theirs = null;
    this.#say(SKILLS.savedNothing);
    this.editor.focus();
  }

  #saved(detail) {
    keepSkillDraft(this.key, null);
    announce(COMMON.savedAloud);
    this.dispatchEvent(new CustomEvent("saved", { detail }));
  }

  #leave() {
    if (this.changed) this.dispatchEvent(new Event("leave"));
    else this.discard();
  }

  #keep() {
    keepSkillDraft(this.key, this.changed ? { text: this.editor.value, hash: this.#base.hash } : null);
  }

  #say(line) {
    this.#line = line;
    this.dispatchEvent(new Event("change"));
  }
}
