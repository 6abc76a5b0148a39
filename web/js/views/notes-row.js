/** One note in the list: its name, quietly its folder, and when it was changed. */

import { fromTemplate, part, setText, timeNode } from "../dom.js";
import { folderOf, titleOf } from "../notes.js";
import { noteAddress } from "../notes-route.js";
import { shortTime } from "../words/times.js";

export class NoteRow {
  constructor() {
    this.root = fromTemplate("note-row");
    [this.link] = this.root.children;
  }

  /** @param {import("../notes.js").NoteInfo} note @param {boolean} open whether it is the one beside the list */
  update({ path, modified }, open) {
    this.link.setAttribute("href", noteAddress(path));
    if (open) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
    setText(part(this.link, "title"), titleOf(path));
    setText(part(this.link, "folder"), folderOf(path));
    this.link.title = path;
    this.#time(new Date(modified));
  }

  #time(time) {
    const node = timeNode(time, shortTime(time));
    const mark = part(this.link, "time");
    if (mark.firstChild?.isEqualNode(node) !== true) mark.replaceChildren(node);
  }
}
