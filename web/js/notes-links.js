/** Links between notes, tags and paths in a tree of `markdown-inline.js`: they lead to the notes. Pure. */

import { element } from "./markdown-inline.js";
import { folderOf, isNote, normal, pathOf } from "./notes.js";
import { findAddress, noteAddress } from "./notes-route.js";

const PATH = /(?<![\p{L}\p{N}_./\\@:-])((?:[\p{L}\p{N}_.+-]+\/)*[\p{L}\p{N}_.+-]+\.md)(?::(\d{1,7}))?(?![\p{L}\p{N}_/-])/gu;
const WHOLE_PATH = /^([^\s:\\]+\.(?:md|markdown|txt)|[^\n:\\]+\.(?:md|markdown|txt)(?=:\d))(?::(\d{1,7}))?(?:-\d+)?$/;
const WIKI = /!?\[\[([^[\]|\n]+)(?:\|([^[\]\n]*))?\]\]/g;
const RELATIVE = /!?\[([^[\]\n]*)\]\(\s*(?:<([^<>\n]+)>|([^\s<>()]+(?:\([^\s()]*\)[^\s<>()]*)*))(?:\s+"[^"]*")?\s*\)/g;
const TAG = /(?<![\p{L}\p{N}_/#&-])#(?=[\p{N}_/-]*\p{L})[\p{L}\p{N}_][\p{L}\p{N}_/-]*/gu;

/** What an answer says of notes, `daily/2026-03-03.md:15`, as links. */
export function linkPaths(tree) {
  return refine(tree, [[PATH, (match) => pathLink(match, [match[0]])]], (code) => pathLink(WHOLE_PATH.exec(code), [element("code", [code])]));
}

/**
 * The links, tags and paths in a note.
 * @param {{path: string, resolve: (target: string) => string|null}} note *resolve*: the file that is meant, if there is one
 */
export function linkNote(tree, note) {
  const known = (match, label) => match && note.resolve(match[1]) && pathLink([match[0], note.resolve(match[1]), match[2]], label);
  const rules = [
    [WIKI, ([, target, label]) => wikiLink(target, label, note)],
    [RELATIVE, ([, label, angled, bare]) => relativeLink(angled ?? bare, label, note)],
    [TAG, ([tag]) => element("a", [tag], { class: "tag", href: findAddress(tag) })],
    [PATH, (match) => known(match, [match[0]])],
  ];
  return refine(tree, rules, (code) => known(WHOLE_PATH.exec(code), [element("code", [code])]));
}

function refine(tree, rules, ofCode) {
  if (typeof tree === "string") return tree;
  if (tree.tag === "a" || tree.tag === "pre") return tree;
  if (tree.tag === "code") return ofCode(tree.children[0] ?? "") || tree;
  const children = tree.children.flatMap((child) => (typeof child === "string" ? linked(child, rules) : [refine(child, rules, ofCode)]));
  return { ...tree, children };
}

// Each rule looks at what those before it have left.
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

function pathLink(match, label) {
  if (!match || !mayBe(match[1])) return null;
  return element("a", label, { href: noteAddress(match[1], match[2] === undefined ? null : Number(match[2])) });
}

function mayBe(path) {
  return path.split("/").every((part) => part !== "" && !part.startsWith("."));
}

function wikiLink(target, label, note) {
  const [name] = target.split("#");
  const path = note.resolve(name) ?? pathOf(name);
  if (path === null) return null;
  return noteLink(path, label?.trim() || target.trim(), note.resolve(name) !== null);
}

function relativeLink(address, label, note) {
  if (/^(?:[a-z][a-z\d+.-]*:|\/\/|#)/i.test(address)) return null;
  const target = decode(address.split("#")[0]);
  const path = note.resolve(target);
  if (path !== null) return noteLink(path, label || path, true);
  const wanted = normal([folderOf(note.path), target].filter(Boolean).join("/"));
  return wanted !== null && isNote(wanted) && pathOf(wanted) === wanted ? noteLink(wanted, label || wanted, false) : null;
}

function noteLink(path, label, there) {
  const attributes = { href: noteAddress(path) };
  if (!there) Object.assign(attributes, { class: "not-there", title: "There is no such note yet" });
  return element("a", [label], attributes);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
