/** Paths of notes that stand in a text, as in `daily/2026-03-03.md:15`, made links in its tree of `markdown-inline.js`. Pure. */

import { element } from "./markdown-inline.js";
import { noteAddress } from "./notes-route.js";

export const PATH = /(?<![\p{L}\p{N}_./\\@:-])((?:[\p{L}\p{N}_.+-]+\/)*[\p{L}\p{N}_.+-]+\.md)(?::(\d{1,7}))?(?![\p{L}\p{N}_/-])/gu;
export const WHOLE_PATH = /^([^\s:\\]+\.(?:md|markdown|txt)|[^\n:\\]+\.(?:md|markdown|txt)(?=:\d))(?::(\d{1,7}))?(?:-\d+)?$/;

/** What an answer says of notes, `daily/2026-03-03.md:15`, as links. */
export function linkPaths(tree) {
  return refine(tree, [[PATH, (match) => pathLink(match, [match[0]])]], (code) => pathLink(WHOLE_PATH.exec(code), [element("code", [code])]));
}

/**
 * The tree with links in it. Not in links and code blocks: nothing there is meant as one.
 * @param {[RegExp, (match: string[]) => object|null][]} rules each looks at the text that those before it have left
 * @param {(code: string) => object|null|false} ofCode what an inline code becomes, if it does
 */
export function refine(tree, rules, ofCode) {
  if (typeof tree === "string") return tree;
  if (tree.tag === "a" || tree.tag === "pre") return tree;
  if (tree.tag === "code") return ofCode(tree.children[0] ?? "") || tree;
  const children = tree.children.flatMap((child) => (typeof child === "string" ? linked(child, rules) : [refine(child, rules, ofCode)]));
  return { ...tree, children };
}

function linked(text, rules) {
  return rules.reduce((pieces, rule) => pieces.flatMap((piece) => (typeof piece === "string" ? split(piece, rule) : [piece])), [text]);
}

function split(text, [pattern, link]) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    const node = link(match);
    if (!node) continue;
    pieces.push(text.slice(at, match.index), node);
    at = match.index + match[0].length;
  }
  return [...pieces, text.slice(at)].filter((piece) => piece !== "");
}

/** The link to the note and the line that *match* names; null where no note may be called so. */
export function pathLink(match, label) {
  if (!match || !mayBe(match[1])) return null;
  return element("a", label, { href: noteAddress(match[1], match[2] === undefined ? null : Number(match[2])) });
}

function mayBe(path) {
  return path.split("/").every((part) => part !== "" && !part.startsWith("."));
}
