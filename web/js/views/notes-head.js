/** Above a note: where it is, when it was changed, what can be done with it, and what is asked before that. */

import { part, setText, timeNode } from "../dom.js";
import { folderOf } from "../notes.js";
import { NOTES } from "../words/notes.js";
import { shortTime } from "../words/times.js";
import { PageHead } from "./page-head.js";

export class NoteHead extends PageHead {
  #root;

  constructor(root) {
    super(root, NOTES.about);
    this.#root = root;
  }

  /** @param {string|null} modified null: it is not known, or there is no file */
  where(path, modified) {
    const folder = folderOf(path);
    setText(part(this.#root, "folder"), folder);
    const time = part(this.#root, "time");
    if (modified === null) return time.replaceChildren();
    const moment = new Date(modified);
    time.replaceChildren(...(folder === "" ? NOTES.changed : NOTES.changedIn)(timeNode(moment, shortTime(moment))));
  }
}
