/** Markdown on the page: trees become nodes, never markup. A growing text keeps the nodes that it already has. */

import { parseBlocks } from "./markdown-blocks.js";

// The last block is still being written, and its last line may yet turn out to belong to the one before.
const OPEN_BLOCKS = 2;

/** The text inside one element, updated as often as wanted. */
export class MarkdownView {
  #root;
  #text = "";
  #blocks = [];
  #refine;

  /** @param {Element} root an empty element @param {(block: object) => object} refine makes of the tree of a block the one to be shown */
  constructor(root, refine = (block) => block) {
    this.#root = root;
    this.#refine = refine;
  }

  get text() {
    return this.#text;
  }

  /** Shows *text*. Finished blocks before the first difference are neither read nor touched again. */
  update(text) {
    text = text.replace(/\r\n?/g, "\n");
    if (text === this.#text) return;
    const same = sharedLength(text, this.#text);
    const kept = Math.max(0, this.#blocks.filter(({ from }) => from <= same).length - OPEN_BLOCKS);
    const from = this.#blocks[kept]?.from ?? 0;
    const tail = parseBlocks(text.slice(from)).map((block) => ({ from: block.from + from, node: this.#refine(block.node) }));
    patchChildren(this.#root, this.#blocks.slice(kept).map(nodeOf), tail.map(nodeOf), kept);
    this.#blocks.splice(kept, Infinity, ...tail);
    this.#text = text;
  }
}

function sharedLength(one, other) {
  if (one.startsWith(other)) return other.length;
  let length = 0;
  while (one[length] === other[length] && length < one.length) length += 1;
  return length;
}

function nodeOf(block) {
  return block.node;
}

/**
 * Makes the children of *parent* that show *before* show *after*, with the least change:
 * text that grew is appended to, so that a reader's selection in it stays.
 */
export function patchChildren(parent, before, after, offset = 0) {
  for (let index = 0; index < after.length; index += 1) {
    const node = parent.childNodes[offset + index];
    if (index >= before.length) parent.append(build(after[index]));
    else if (alike(before[index], after[index])) patch(node, before[index], after[index]);
    else node.replaceWith(build(after[index]));
  }
  for (let index = before.length; index > after.length; index -= 1) parent.childNodes[offset + index - 1].remove();
}

function patch(node, before, after) {
  if (typeof after !== "string") patchChildren(node, before.children, after.children);
  else if (after === before) return;
  else if (after.startsWith(before)) node.appendData(after.slice(before.length));
  else node.data = after;
}

function alike(before, after) {
  if (typeof before === "string" || typeof after === "string") return typeof before === typeof after;
  return before.tag === after.tag && JSON.stringify(before.attributes) === JSON.stringify(after.attributes);
}

function build(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const node = document.createElement(tree.tag);
  for (const [name, value] of Object.entries(tree.attributes)) node.setAttribute(name, value);
  for (const child of tree.children) node.append(build(child));
  return node;
}
