/** Search is the list: while something is looked for, what fits stands in its place, installed or not. */

import { fromTemplate, part, setText } from "../dom.js";
import { markedPieces } from "../marks.js";
import { toolsAddress } from "../tools-route.js";
import { COMMON } from "../words/common.js";
import { kindWord, stateWord, TOOLS } from "../words/tools.js";

/** Fires "change" when what is shown has changed; "go" with an address; "down" when the list is wanted. */
export class ToolsSearch extends EventTarget {
  #root;
  #book;
  #input;

  /** @param {import("../tool-book.js").ToolBook} book */
  constructor(root, book) {
    super();
    [this.#root, this.#book, this.#input] = [root, book, part(root, "query")];
    this.#input.addEventListener("input", () => this.show());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    part(root, "clear").addEventListener("click", () => {
      this.clear();
      this.#input.focus();
    });
  }

  get active() {
    return this.#query !== "";
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  clear() {
    this.#input.value = "";
    this.show();
  }

  /** For when tools have changed, or what is looked for. */
  show() {
    const hits = this.active ? this.#book.having(this.#query) : [];
    part(this.#root, "hits").replaceChildren(...hits.map((tool) => hitNode(tool, this.#query)));
    setText(part(this.#root, "found-text"), this.active ? summary(hits.length, this.#query) : "");
    part(this.#root, "found").hidden = !this.active;
    part(this.#root, "list").hidden = this.active;
    this.dispatchEvent(new Event("change"));
  }

  get #query() {
    return this.#input.value.trim();
  }

  #key(event) {
    if (event.key === "Enter") this.#openFirst();
    else if (event.key === "ArrowDown") this.dispatchEvent(new Event("down"));
    else if (event.key === "Escape" && this.active) this.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #openFirst() {
    const first = part(this.#root, "hits").querySelector("a");
    if (first) this.dispatchEvent(new CustomEvent("go", { detail: first.getAttribute("href") }));
  }
}

function summary(count, query) {
  if (count === 0) return COMMON.nothingFound(query);
  return TOOLS.found(count);
}

function hitNode(tool, query) {
  const node = fromTemplate("hit");
  part(node, "link").setAttribute("href", toolsAddress(tool.kind, tool.name));
  part(node, "title").append(...marked(tool.title, query));
  setText(part(node, "mark"), stateWord(tool) || kindWord(tool));
  part(node, "snippet").append(...marked(tool.description, query));
  return node;
}

function marked(text, query) {
  return markedPieces(text, query).map((piece) => {
    if (!piece.marked) return piece.text;
    const node = document.createElement("mark");
    node.textContent = piece.text;
    return node;
  });
}
