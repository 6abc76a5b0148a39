/** One skill or extension in the list: its name, what it is, and how it is. */

import { fromTemplate, part, setText } from "../dom.js";
import { toolsAddress } from "../tools-route.js";
import { calls, kindWord, stateWord } from "../words/tools.js";

export class ToolRow {
  constructor() {
    this.root = fromTemplate("tool-row");
    [this.link] = this.root.children;
  }

  /** @param {import("../tool-book.js").Tool} tool @param {boolean} open whether it is the one beside the list */
  update(tool, open) {
    this.link.setAttribute("href", toolsAddress(tool.kind, tool.name));
    if (open) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
    this.link.title = tool.description;
    setText(part(this.link, "title"), tool.title);
    setText(part(this.link, "kind"), kindWord(tool));
    setText(part(this.link, "state"), stateWord(tool));
    part(this.link, "state").classList.toggle("telling", calls(tool));
  }
}
