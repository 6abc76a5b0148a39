// What a job has printed, in pieces.
import assert from "node:assert/strict";
import { test } from "node:test";

import { OutputPieces } from "../../web/js/output-pieces.js";

const all = (pieces) => pieces.shown.map(({ text }) => text).join("");

test("text that comes in any pieces is the same text, in pieces of 40 lines", () => {
  const text = Array.from({ length: 500 }, (_, index) => `line ${index}\n`).join("");
  const [whole, bits] = [new OutputPieces(), new OutputPieces()];
  whole.add(text);
  for (let at = 0; at < text.length; at += 7) bits.add(text.slice(at, at + 7));
  for (const pieces of [whole, bits]) {
    pieces.window.toEnd();
    assert.equal(all(pieces), text);
    assert.deepEqual(pieces.shown.map(({ lines }) => lines), [...Array(12).fill(40), 20]);
  }
});

test("a line without an end is cut into pieces, too", () => {
  const pieces = new OutputPieces();
  pieces.add("x".repeat(20000));
  pieces.window.toEnd();
  assert.deepEqual(pieces.shown.map(({ text }) => text.length), [8000, 8000, 4000]);
  pieces.add("y\n");
  assert.equal(pieces.shown.at(-1).text.length, 4002);
});

test("few pieces stand on the page, the oldest go, and who reads them is not moved by new ones", () => {
  const pieces = new OutputPieces();
  const line = `${"z".repeat(99)}\n`;
  pieces.add(line.repeat(20000));
  pieces.window.toEnd();
  assert.equal(pieces.shown.length, 150);
  assert.ok(pieces.showAround(100));
  const before = pieces.shown[0];
  pieces.add(line.repeat(10000));
  assert.equal(pieces.shown[0], before);
  assert.equal(pieces.dropped, 0);
  pieces.add(line.repeat(20000));
  assert.equal(pieces.dropped, 250);
  assert.equal(pieces.showAround(100), false);
  assert.ok(pieces.showAround(300));
});
