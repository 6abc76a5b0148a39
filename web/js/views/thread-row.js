/** One thread in the list: a link, a mark, a menu; its title can be changed in place, and its deletion is asked for there. */

import { fromTemplate, part, setText, timeNode } from "../dom.js";
import { addressOf } from "../route.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { shortTime } from "../words/times.js";
import { skillOfChatAddress } from "../tools-route.js";
import { toggleMenu } from "./menu.js";


/** Fires on its root, bubbling: "rename" with `{id, title}`, "pin" with `{id, pinned}`, "export" with `{id, format}`, "delete" with `{id}`. */
export class ThreadRow {
  #thread = null;

  constructor() {
    this.root = fromTemplate("thread-row");
    [this.link, this.more] = this.root.children;
    this.more.addEventListener("click", () => this.#menu());
  }

  /** @param {{open: boolean, unread: boolean}} marks */
  update(thread, { open, unread }) {
    this.#thread = thread;
    const title = thread.title || CHAT.untitled;
    this.link.setAttribute("href", addressOf(thread.id));
    if (open) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
    setText(part(this.link, "title"), title);
    part(this.link, "title").title = title;
    this.more.setAttribute("aria-label", CHAT.moreAbout(title));
    this.root.classList.toggle("unread", unread);
    this.#mark(CHAT.states[thread.state] ?? (unread ? CHAT.unread : null));
  }

  #mark(word) {
    const time = new Date(this.#thread.updated_at);
    const said = timeNode(time, word ?? shortTime(time));
    const mark = part(this.link, "mark");
    mark.classList.toggle("telling", word !== null);
    if (mark.firstChild?.isEqualNode(said) !== true) mark.replaceChildren(said);
  }

  #fire(name, detail) {
    this.root.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: { id: this.#thread.id, ...detail } }));
  }

  #menu() {
    const { pinned } = this.#thread;
    toggleMenu(this.more, CHAT.about, [
      { label: CHAT.rename, act: () => this.#rename() },
      { label: pinned ? CHAT.unpin : CHAT.pin, act: () => this.#fire("pin", { pinned: !pinned }) },
      { label: CHAT.makeSkill, act: () => (location.hash = skillOfChatAddress(this.#thread.id)) },
      { label: CHAT.exportMarkdown, act: () => this.#fire("export", { format: "markdown" }) },
      { label: CHAT.exportJson, act: () => this.#fire("export", { format: "json" }) },
      { label: COMMON.delete, act: () => this.#confirm() },
    ]);
  }

  #rename() {
    const form = this.#ask("thread-rename");
    const input = part(form, "title");
    input.value = this.#thread.title;
    input.select();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const title = input.value.trim();
      this.#answered(form);
      if (title !== "" && title !== this.#thread.title) this.#fire("rename", { title });
    });
  }

  #confirm() {
    const form = this.#ask("thread-delete");
    part(form, "cancel").focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#answered(form);
      this.#fire("delete", {});
    });
  }

  // In place of link and menu, until it is answered.
  #ask(template) {
    const form = fromTemplate(template);
    this.root.replaceChildren(form);
    part(form, "cancel").addEventListener("click", () => this.#answered(form));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#answered(form);
    });
    form.querySelector("input, button").focus();
    return form;
  }

  #answered(form) {
    if (!form.isConnected) return;
    this.root.replaceChildren(this.link, this.more);
    this.more.focus();
  }
}
