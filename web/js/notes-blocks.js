/** A note as blocks that know their lines, with links and boxes that work. Pure; the trees are those of `markdown-inline.js`. */

import { parseBlocks } from "./markdown-blocks.js";
import { element } from "./markdown-inline.js";
import { linkNote } from "./notes-links.js";
import { tasksIn } from "./notes-tasks.js";

const PROPERTIES = /^---\n([^]*?)\n---(?:\n|$)/;
const MARKDOWN = /\.(?:md|markdown)$/i;

/**
 * @typedef {{line: number, node: object}} NoteBlock *line* is the 1-based line where it begins
 * @param {{path: string, content: string, resolve: (target: string) => string|null}} note
 * @returns {NoteBlock[]}
 */
export function noteBlocks(note) {
  const text = note.content.replace(/^\ufeff/, "").replaceAll("\r\n", "\n").replaceAll("\r", " ");
  if (!MARKDOWN.test(note.path)) return text === "" ? [] : [{ line: 1, node: plain(text) }];
  const properties = PROPERTIES.exec(text);
  const blocks = numbered(text, properties?.[0].length ?? 0);
  const ends = [...blocks.slice(1).map((block) => block.line), Infinity];
  const lines = text.split("\n");
  const shown = blocks.map(({ line, node }, index) => {
    const boxes = new Boxes(node, tasksIn(lines.slice(line - 1, ends[index] - 1), line));
    return { line, node: linkNote(boxes.tree(), note) };
  });
  return properties === null ? shown : [{ line: 1, node: plain(properties[1]) }, ...shown];
}

function plain(text) {
  return element("pre", [text], { class: "plain", tabindex: "0" });
}

function numbered(text, start) {
  let [line, at] = [1, 0];
  return parseBlocks(text.slice(start)).map(({ from, node }) => {
    for (; at < from + start; at += 1) if (text[at] === "\n") line += 1;
    return { line, node };
  });
}

/** The boxes in the tree of a block: where they are those of its lines, each can be ticked. */
class Boxes {
  #node;
  #tasks;

  constructor(node, tasks) {
    const shown = boxesIn(node);
    const fits = shown.length === tasks.length && shown.every((box, index) => isDone(box) === tasks[index].done);
    this.#node = node;
    this.#tasks = fits ? [...tasks] : null;
  }

  tree(node = this.#node, label = "") {
    if (this.#tasks === null || typeof node === "string") return node;
    if (isBox(node)) return tick(this.#tasks.shift(), label);
    return { ...node, children: node.children.map((child) => this.tree(child, isBox(child) ? labelOf(node) : "")) };
  }
}

function tick({ line, done }, label) {
  return element("button", [], { type: "button", class: done ? "task-box tick done" : "task-box tick", role: "checkbox", "aria-checked": String(done), "aria-label": label, "data-line": String(line) });
}

function isBox(node) {
  return node.attributes?.class?.split(" ").includes("task-box") ?? false;
}

function isDone(box) {
  return box.attributes.class.includes("done");
}

function boxesIn(node) {
  if (typeof node === "string") return [];
  return isBox(node) ? [node] : node.children.flatMap(boxesIn);
}

// What stands beside the box, without the lists below it.
function labelOf(item) {
  return item.children.filter((child) => !/^(?:ul|ol|p|div|pre|blockquote)$/.test(child.tag ?? "")).map(textOf).join("").trim();
}

/** The text of a tree without its marks. */
export function textOf(node) {
  return typeof node === "string" ? node : node.tag === "br" ? " " : node.children.map(textOf).join("");
}
