/** Markdown cut into blocks: headings, paragraphs, lists, code, quotes, tables. Pure; the tree is that of `markdown-inline.js`. */

import { element, parseInline } from "./markdown-inline.js";
import { isTable, readTable } from "./markdown-table.js";
import { COMMON } from "./words/common.js";

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)/;
const TASK = /^\[([ xX])\][ \t]+(?=\S)/;
const INDENTED = /^(?: {2,}|\t)/;
const DEEPEST = 8;
// The page has the first heading, each view the second.
const HEADINGS = ["h3", "h4", "h5", "h6", "h6", "h6"];

/**
 * @param {string} text with "\n" as line end
 * @returns {{from: number, node: object}[]} the blocks and where each begins in *text*
 */
export function parseBlocks(text, depth = 0) {
  const lines = text.split("\n");
  const blocks = [];
  let from = 0;
  for (let at = 0; at < lines.length; ) {
    const [node, next] = lines[at].trim() === "" ? [null, at + 1] : readBlock(lines, at, depth);
    if (node) blocks.push({ from, node });
    for (; at < next; at += 1) from += lines[at].length + 1;
  }
  return blocks;
}

function readBlock(lines, at, depth) {
  const line = lines[at];
  const heading = HEADING.exec(line);
  if (heading) return [element(HEADINGS[heading[1].length - 1], parseInline(heading[2])), at + 1];
  if (FENCE.test(line)) return readFence(lines, at);
  if (RULE.test(line)) return [element("hr"), at + 1];
  if (depth < DEEPEST && QUOTE.test(line)) return readQuote(lines, at, depth);
  if (depth < DEEPEST && ITEM.test(line)) return readList(lines, at, depth);
  if (isTable(lines, at)) return readTable(lines, at, interrupts);
  return readParagraph(lines, at);
}

function readFence(lines, at) {
  const [, indent, mark, language] = FENCE.exec(lines[at]);
  const closing = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}[ \\t]*$`);
  const margin = new RegExp(`^ {0,${indent.length}}`);
  const code = [];
  let next = at + 1;
  while (next < lines.length && !closing.test(lines[next])) code.push(lines[next++].replace(margin, ""));
  const head = element("div", [element("span", [language.trim()]), element("button", [COMMON.copy], { type: "button", class: "quiet copy" })], { class: "code-head" });
  const text = element("pre", [element("code", [code.join("\n")])], { tabindex: "0" });
  return [element("div", [head, text], { class: "code" }), Math.min(next + 1, lines.length)];
}

function readQuote(lines, at, depth) {
  let next = at;
  const inner = [];
  while (next < lines.length && QUOTE.test(lines[next])) inner.push(lines[next++].replace(QUOTE, ""));
  return [element("blockquote", nodes(inner, depth)), next];
}

function readParagraph(lines, at) {
  const inner = [lines[at].trimStart()];
  let next = at + 1;
  while (next < lines.length && lines[next].trim() !== "" && !interrupts(lines[next]) && !isTable(lines, next)) inner.push(lines[next++].trimStart());
  return [element("p", parseInline(inner.join("\n").trimEnd())), next];
}

// A number other than 1 at the start of a line is mostly just a number.
function interrupts(line) {
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || (item !== null && !/^\d/.test(item[2])) || item?.[2] === "1." || item?.[2] === "1)";
}

function readList(lines, at, depth) {
  const ordered = /\d/.test(ITEM.exec(lines[at])[2]);
  const start = Number.parseInt(ITEM.exec(lines[at])[2], 10);
  const items = [];
  let next = at;
  while (next < lines.length && belongs(lines, next, ordered)) {
    const [item, end] = readItem(lines, next, depth);
    items.push(item);
    next = end;
  }
  const attributes = ordered && start !== 1 ? { start: String(start) } : {};
  return [element(ordered ? "ol" : "ul", items, attributes), next];
}

function belongs(lines, at, ordered) {
  const item = ITEM.exec(lines[at]);
  return item !== null && /\d/.test(item[2]) === ordered && !RULE.test(lines[at]);
}

function readItem(lines, at, depth) {
  const marker = ITEM.exec(lines[at])[0];
  const first = lines[at].slice(marker.length);
  const task = TASK.exec(first);
  const inner = [first.slice(task?.[0].length ?? 0)];
  const margin = new RegExp(`^(?:\\t| {0,${marker.length}})`);
  let next = at + 1;
  while (next < lines.length && continues(lines, next)) inner.push(lines[next++].replace(margin, ""));
  const [lead, ...others] = nodes(inner, depth);
  while (next < lines.length && lines[next].trim() === "" && ITEM.test(lines[next + 1] ?? "")) next += 1;
  const text = lead?.tag === "p" ? lead.children : lead ? [lead] : [];
  if (task === null) return [element("li", [...text, ...others]), next];
  return [element("li", [taskBox(task[1] !== " "), ...text, ...others], { class: "task" }), next];
}

function taskBox(done) {
  return element("span", [], { class: done ? "task-box done" : "task-box", role: "img", "aria-label": done ? COMMON.taskDone : COMMON.taskOpen });
}

function continues(lines, at) {
  const line = lines[at];
  if (line.trim() === "") return INDENTED.test(lines[at + 1] ?? "");
  if (INDENTED.test(line)) return true;
  return lines[at - 1].trim() !== "" && !interrupts(line) && !ITEM.test(line);
}

function nodes(lines, depth) {
  return parseBlocks(lines.join("\n"), depth + 1).map((block) => block.node);
}
