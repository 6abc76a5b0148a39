/** Tables of Markdown: a line of heads, a line of dashes, then a line a row. Pure. */

import { element, parseInline } from "./markdown-inline.js";
import { COMMON } from "./words/common.js";

const DASHES = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const CELL = /((?:[^|\\`]|\\.|`[^`]*`|[\\`])*)(?:\||$)/y;

/** Whether a table begins at line *at*. */
export function isTable(lines, at) {
  const [heads, dashes] = [lines[at], lines[at + 1] ?? ""];
  return heads.includes("|") && dashes.includes("-") && DASHES.test(dashes) && cells(heads).length === cells(dashes).length;
}

/**
 * The table at line *at*, in a box of its own that scrolls, and the line after it.
 * @param {(line: string) => boolean} ends whether a line begins something else
 */
export function readTable(lines, at, ends) {
  const sides = cells(lines[at + 1]).map(sideOf);
  const heads = row("th", lines[at], sides);
  const body = [];
  let next = at + 2;
  while (next < lines.length && lines[next].trim() !== "" && !ends(lines[next])) body.push(row("td", lines[next++], sides));
  const table = element("table", [element("thead", [heads]), element("tbody", body)]);
  return [element("div", [table], { class: "wide", role: "region", "aria-label": COMMON.table, tabindex: "0" }), next];
}

function row(tag, line, sides) {
  const found = cells(line);
  const cell = (side, index) => element(tag, parseInline((found[index] ?? "").replaceAll("\\|", "|")), side ? { class: side } : {});
  return element("tr", sides.map(cell));
}

function sideOf(dashes) {
  if (!dashes.endsWith(":")) return null;
  return dashes.startsWith(":") ? "centered" : "right";
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  const found = [];
  for (CELL.lastIndex = 0; CELL.lastIndex < inner.length || found.length === 0; ) {
    found.push(CELL.exec(inner)[1].trim());
  }
  return found;
}
