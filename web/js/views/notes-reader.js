/** A note set like a page: its blocks as nodes, its boxes to tick, and the way to a line of it. */

import { copyCode } from "../clipboard.js";
import { patchChildren } from "../markdown.js";
import { parseInline } from "../markdown-inline.js";
import { noteBlocks, textOf } from "../notes-blocks.js";

const SIGNS = /^[ \t>]*(?:#{1,6}[ \t]+|(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)?/;

/** Fires "tick" on its root with `{line, done}`. */
export class NoteReader {
  #blocks = [];
  #lines = [];

  constructor() {
    this.root = document.createElement("div");
    this.root.className = "prose note-text";
    this.root.addEventListener("click", ({ target }) => this.#click(target));
  }

  /** @param {{path: string, content: string, resolve: (target: string) => string|null}} note */
  update(note) {
    const box = this.#focusedBox();
    const blocks = noteBlocks(note);
    patchChildren(this.root, this.#blocks.map(nodeOf), blocks.map(nodeOf));
    this.#blocks = blocks;
    this.#lines = note.content.split("\n");
    if (box !== undefined) this.root.querySelector(`.tick[data-line="${box}"]`)?.focus({ preventScroll: true });
  }

  /** What stands in the line *number*: the smallest part of the page that does; null where nothing of it is shown. */
  at(number) {
    const index = this.#blocks.findLastIndex(({ line }) => line <= number);
    const block = this.root.children[index];
    if (block === undefined) return null;
    const row = block.querySelectorAll("tr")[Math.max(0, number - this.#blocks[index].line - 1)];
    if (row) return row;
    const box = block.querySelector(`.tick[data-line="${number}"]`);
    return box?.closest("li") ?? smallest(block, this.#said(number)) ?? block;
  }

  /** Where *scroller* stands: the first line of the text that begins in sight, and how far below the edge. */
  place(scroller) {
    const edge = scroller.getBoundingClientRect().top;
    const tops = [...this.root.children].map((block) => block.getBoundingClientRect().top - edge);
    const index = tops.findIndex((top) => top >= 0);
    return index < 0 ? null : { line: this.#blocks[index].line, offset: tops[index] };
  }

  /** Brings a line to the place where it stood in the editor. */
  goTo({ line, offset }, scroller) {
    const node = this.at(line) ?? this.root;
    scroller.scrollTop += node.getBoundingClientRect().top - scroller.getBoundingClientRect().top - offset;
  }

  /** Marks what stands in a line; null: nothing. */
  mark(node) {
    this.root.querySelector(".line-found")?.classList.remove("line-found");
    node?.classList.add("line-found");
  }

  #said(number) {
    const line = (this.#lines[number - 1] ?? "").replace(SIGNS, "");
    return parseInline(line).map(textOf).join("").trim();
  }

  #focusedBox() {
    return this.root.contains(document.activeElement) ? document.activeElement.dataset.line : undefined;
  }

  #click(target) {
    if (target.matches(".copy")) copyCode(target);
    if (!target.matches(".tick")) return;
    const detail = { line: Number(target.dataset.line), done: target.getAttribute("aria-checked") !== "true" };
    this.root.dispatchEvent(new CustomEvent("tick", { detail }));
  }
}

function nodeOf(block) {
  return block.node;
}

function smallest(block, text) {
  if (text === "") return null;
  const parts = [...block.querySelectorAll("li, p, h3, h4, h5, h6, tr")].filter((one) => one.textContent.includes(text));
  return parts.sort((one, other) => one.textContent.length - other.textContent.length)[0] ?? null;
}
