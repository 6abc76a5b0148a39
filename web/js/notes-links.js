/** The links between notes, the tags and the paths in a note's tree of `markdown-inline.js`: they lead to the notes. Pure. */

import { element } from "./markdown-inline.js";
import { folderOf, isNote, normal, pathOf } from "./notes.js";
import { PATH, pathLink, refine, WHOLE_PATH } from "./notes-paths.js";
import { findAddress, noteAddress } from "./notes-route.js";
import { NOTES } from "./words/notes.js";

const WIKI = /!?\[\[([^[\]|\n]+)(?:\|([^[\]\n]*))?\]\]/g;
const RELATIVE = /!?\[([^[\]\n]*)\]\(\s*(?:<([^<>\n]+)>|([^\s<>()]+(?:\([^\s()]*\)[^\s<>()]*)*))(?:\s+"[^"]*")?\s*\)/g;
const TAG = /(?<![\p{L}\p{N}_/#&-])#(?=[\p{N}_/-]*\p{L})[\p{L}\p{N}_][\p{L}\p{N}_/-]*/gu;

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
  if (!there) Object.assign(attributes, { class: "not-there", title: NOTES.nothingThere });
  return element("a", [label], attributes);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
