// What the page makes of notes: their list, links, boxes, differences, addresses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { dailyPath, NoteBook, pathOf, titleOf } from "../../web/js/notes.js";
import { noteBlocks, textOf } from "../../web/js/notes-blocks.js";
import { addedRows, comparedLines, diffRows } from "../../web/js/notes-diff.js";
import { linkPaths } from "../../web/js/notes-paths.js";
import { findAddress, noteAddress, readNoteRoute } from "../../web/js/notes-route.js";
import { sameTask, tasksIn, ticked } from "../../web/js/notes-tasks.js";
import { placeOf } from "../../web/js/route.js";
import { changeText, firstText } from "../../web/js/words/notes.js";
import { sizeText } from "../../web/js/words/sizes.js";

const NOW = new Date("2026-03-03T14:02:00Z");

function book(...paths) {
  const made = new NoteBook();
  made.replace(paths.map((path, index) => ({ path, size: 1, modified: `2026-03-01T00:00:0${index}Z` })));
  return made;
}

function blocks(content, { path = "garden/a.md", files = ["seeds.md", "daily/2026-03-03.md", "plans/beds (old).md"] } = {}) {
  const known = book(...files);
  return noteBlocks({ path, content, resolve: (target) => known.resolve(target, path) });
}

function nodesOf(tree, tag) {
  if (typeof tree === "string") return [];
  return [...(tree.tag === tag ? [tree] : []), ...tree.children.flatMap((child) => nodesOf(child, tag))];
}

function links(content, more) {
  return blocks(content, more).flatMap(({ node }) => nodesOf(node, "a")).map((link) => [textOf(link), link.attributes.href]);
}

// The list

test("the newest note is first, and events move, add and remove", () => {
  const made = book("a.md", "b.md", "c.md");
  const order = () => made.newest.map(({ path }) => path).join(" ");
  assert.equal(order(), "c.md b.md a.md");
  made.apply({ path: "a.md", change: "written" }, NOW);
  made.apply({ path: "c.md", change: "deleted" }, NOW);
  assert.equal(order(), "a.md b.md");
  made.apply({ path: "b.md", change: "moved" }, NOW);
  made.apply({ path: "x/b.md", change: "moved" }, NOW);
  assert.equal(order(), "a.md x/b.md");
  assert.equal(made.newest[1].modified, "2026-03-01T00:00:01Z"); // to move it is not to write it
  assert.ok(!made.has("b.md"));
});

test("a name means the file beside the note, then from the top, then any of that name", () => {
  const made = book("seeds.md", "garden/seeds.md", "old/Bread.txt", "a/deep/one.md");
  assert.equal(made.resolve("seeds", "garden/spring.md"), "garden/seeds.md");
  assert.equal(made.resolve("Seeds", "garden/spring.md"), "garden/seeds.md");
  assert.equal(made.resolve("seeds.md"), "seeds.md");
  assert.equal(made.resolve("../seeds.md", "garden/spring.md"), "seeds.md");
  assert.equal(made.resolve("bread"), "old/Bread.txt");
  assert.equal(made.resolve("deep/one"), "a/deep/one.md");
  for (const wanted of ["", "  ", "none", "../../x", "ep/one"]) assert.equal(made.resolve(wanted, "garden/spring.md"), null, wanted);
});

test("notes are found by their names, not by that of their folder alone", () => {
  const made = book("garden/seeds.md", "garden/beds.md", "old/garden.md");
  assert.deepEqual(made.called("Garden").map(({ path }) => path), ["old/garden.md"]);
  assert.deepEqual(made.called("garden seeds").map(({ path }) => path), ["garden/seeds.md"]);
  assert.deepEqual(made.called("#!"), []);
});

test("what a note may be called", () => {
  assert.deepEqual(["bread", " recipes / bread.txt ", "/a//b"].map(pathOf), ["bread.md", "recipes/bread.txt", "a/b.md"]);
  for (const name of ["", "/", ".hidden", "a/.b", "..", "../x", "a\\b", "a\0"]) assert.equal(pathOf(name), null, name);
  assert.deepEqual(["daily/2026-03-03.md", ".md", "a.txt"].map(titleOf), ["2026-03-03", ".md", "a.txt"]);
});

// Addresses

test("each note has an address, whatever it is called", () => {
  for (const path of ["a.md", "daily/2026-03-03.md", "x y/ü?#%&.md", "日記/一.md", "a:b@c.md", "..a/b'\"<.md"]) {
    assert.deepEqual(readNoteRoute(noteAddress(path)), { path, line: null, find: null });
    assert.deepEqual(readNoteRoute(noteAddress(path, 15)), { path, line: 15, find: null });
    assert.equal(placeOf(noteAddress(path)), "notes");
  }
  assert.deepEqual(readNoteRoute(findAddress("#a &b=c")), { path: null, line: null, find: "#a &b=c" });
  assert.equal(placeOf(findAddress("#a")), "notes");
  assert.equal(readNoteRoute(noteAddress("a\ud800.md")).path, "a\ufffd.md");
});

test("an address that says nothing is that of the list", () => {
  for (const hash of ["#/notes", "#/notes/", "#/notes/?find=", "#/notes/%zz", "#/chat/x", ""]) {
    assert.deepEqual(readNoteRoute(hash), { path: null, line: null, find: null }, hash);
  }
  assert.equal(readNoteRoute("#/notes/a.md?line=-3").line, null);
});

// Links

test("wikilinks lead to the note that is meant; one that is not there is marked and can be written", () => {
  assert.deepEqual(links("see [[Seeds]], [[seeds|the seeds]], [[2026-03-03#later]]"), [
    ["Seeds", "#/notes/seeds.md"],
    ["the seeds", "#/notes/seeds.md"],
    ["2026-03-03#later", "#/notes/daily/2026-03-03.md"],
  ]);
  const [missing] = blocks("[[Not there]]").flatMap(({ node }) => nodesOf(node, "a"));
  assert.equal(missing.attributes.class, "not-there");
  assert.equal(missing.attributes.href, "#/notes/Not%20there.md");
  assert.deepEqual(links("[[.hidden]] `[[Seeds]]`\n\n```\n[[Seeds]]\n```"), []);
});

test("links by path are those from the note's folder; others stay as they were", () => {
  assert.deepEqual(links("[a](../seeds.md) [b](<../plans/beds (old).md>) [c](../daily/2026-03-03.md#x)"), [
    ["a", "#/notes/seeds.md"],
    ["b", "#/notes/plans/beds%20(old).md"],
    ["c", "#/notes/daily/2026-03-03.md"],
  ]);
  assert.deepEqual(links("[w](https://example.org/a.md)"), [["w", "https://example.org/a.md"]]);
  assert.deepEqual(links("[x](javascript:alert(1)) [y](../../../etc/passwd) [z](//evil.test/x.md)"), []);
});

test("tags search; what only looks like one does not", () => {
  assert.deepEqual(links("#garden #a/b-c, (#ü) [#tag](x)").slice(0, 3).map(([, href]) => href), [findAddress("#garden"), findAddress("#a/b-c"), findAddress("#ü")]);
  assert.deepEqual(links("# Heading\n\nnumber #12, a#b, &#35; `#code`"), []);
});

test("paths in an answer lead to notes and their lines", () => {
  const found = (text) => nodesOf(linkPaths({ tag: "p", attributes: {}, children: [text] }), "a").map((link) => [textOf(link), link.attributes.href]);
  assert.deepEqual(found("Added to daily/2026-03-03.md:15, see ideas.md."), [
    ["daily/2026-03-03.md:15", "#/notes/daily/2026-03-03.md?line=15"],
    ["ideas.md", "#/notes/ideas.md"],
  ]);
  assert.deepEqual(found("not ../x.md, .hidden.md, a/.b.md, https://example.org/x.md, \\\\host\\x.md, x.mdx, x.md/y"), []);
  const code = linkPaths({ tag: "p", attributes: {}, children: [{ tag: "code", attributes: {}, children: ["my notes/a b.md:3"] }, { tag: "code", attributes: {}, children: ["rm x.md"] }] });
  assert.deepEqual(nodesOf(code, "a").map((link) => link.attributes.href), ["#/notes/my%20notes/a%20b.md?line=3"]);
});

// Boxes

test("boxes are found where they stand, and ticking one changes that line alone", () => {
  const text = "- [ ] a\r\n  1. [x] b\n```\n- [ ] code\n```\n> * [X] c\n- [ ]\n-[ ] no\n";
  assert.deepEqual(tasksIn(text.split("\n")), [
    { line: 1, done: false },
    { line: 2, done: true },
    { line: 6, done: true },
  ]);
  assert.equal(ticked(text, 1, true), text.replace("- [ ] a\r", "- [x] a\r"));
  assert.equal(ticked(text, 2, false), text.replace("[x] b", "[ ] b"));
  for (const line of [0, 3, 7, 99]) assert.equal(ticked(text, line, true), null);
  assert.ok(sameTask("x\n- [ ] a", "y\n- [x] a", 2));
  assert.ok(!sameTask("- [ ] a", "- [ ] b", 1));
});

test("each box of a note can be ticked, in its own line, also below properties and in quotes", () => {
  const content = "---\nkey: 1\n---\ntext\n\n- [ ] one\n  - [x] two\n\n> - [ ] three\n\n1. [ ] four\n";
  const boxes = blocks(content).flatMap(({ node }) => nodesOf(node, "button"));
  assert.deepEqual(boxes.map(({ attributes }) => [attributes["data-line"], attributes["aria-checked"], attributes["aria-label"]]), [
    ["6", "false", "one"],
    ["7", "true", "two"],
    ["9", "false", "three"],
    ["11", "false", "four"],
  ]);
});

test("blocks know their lines; what is no markdown stays as it is", () => {
  assert.deepEqual(blocks("# a\n\nb\nc\n\n- d\n").map(({ line }) => line), [1, 3, 6]);
  assert.deepEqual(blocks("---\na: 1\n---\n\n# b").map(({ line }) => line), [1, 5]);
  const [plain] = blocks("# [[Seeds]] <b>", { path: "a.txt" });
  assert.deepEqual(plain.node.children, ["# [[Seeds]] <b>"]);
  assert.deepEqual(blocks("", { path: "a.txt" }), []);
});

test("markup in a note is text", () => {
  const tags = new Set();
  const collect = (tree) => typeof tree === "string" || (tags.add(tree.tag), tree.children.forEach(collect));
  for (const { node } of blocks("<img src=x onerror=hit()> [[<img src=x onerror=hit()>]] - [ ] x\n\n- [ ] <svg onload=hit()>\n\n![[x]] ![a](http://evil.test/x)")) collect(node);
  for (const tag of ["img", "svg", "script", "iframe"]) assert.ok(!tags.has(tag), tag);
});

// Differences

test("only lines that differ are marked, also between others that do", () => {
  const [mine, theirs] = comparedLines("a\nb\nc\nd\ne", "a\nB\nc\nd\nx\ne");
  const marked = (lines) => lines.filter((line) => line.marked).map((line) => line.text).join("");
  assert.deepEqual([marked(mine), marked(theirs)], ["b", "Bx"]);
  assert.deepEqual(comparedLines("a\na", "a").map((lines) => lines.filter((line) => line.marked).length), [1, 0]);
  assert.ok(comparedLines("same\n", "same\n").flat().every((line) => !line.marked));
});

test("very long texts that differ all over are compared too, roughly", () => {
  const many = (word) => Array.from({ length: 20_000 }, (_, index) => `${word} ${index}`).join("\n");
  const [mine, theirs] = comparedLines(`top\n${many("a")}\nend`, `top\n${many("b")}\nend`);
  assert.equal(mine.filter((line) => line.marked).length, 20_000);
  assert.ok(!theirs.at(0).marked && !theirs.at(-1).marked);
});

test("a difference as rows", () => {
  const diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n one\n-two\r\n+2\n@@ -9 +9 @@\n-x\n";
  assert.deepEqual(diffRows(diff).map(({ kind, text }) => `${kind} ${text}`), ["same one", "removed two", "added 2", "gap ", "removed x"]);
  assert.deepEqual(diffRows(""), []);
  assert.deepEqual(addedRows("a\nb\n").map(({ text }) => text), ["a", "b"]);
});

// Words

test("days, sizes and changes in words", () => {
  const day = new Date(2026, 2, 3);
  assert.equal(dailyPath(day), "daily/2026-03-03.md");
  assert.equal(firstText("daily/2026-03-03.md", day), "# Tuesday 3 March 2026\n\n");
  assert.equal(firstText("a/bread.md", day), "# bread\n\n");
  assert.equal(firstText("list.txt", day), "");
  assert.deepEqual([1, 812, 1400, 1_400_000, 999_960].map(sizeText), ["1 byte", "812 bytes", "1.4 kB", "1.4 MB", "1.0 MB"]);
  assert.equal(changeText({ change: "written", author: "agent" }), "changed by the assistant");
  assert.equal(changeText({ change: "deleted", author: "outside" }), "deleted outside");
});
