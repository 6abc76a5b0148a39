// What is marked in a search result.
import assert from "node:assert/strict";
import { test } from "node:test";

import { markedPieces } from "../../web/js/marks.js";

function shown(text, query) {
  return markedPieces(text, query).map((piece) => (piece.marked ? `[${piece.text}]` : piece.text)).join("");
}

test("beginnings of words, in any case, with or without accents", () => {
  assert.equal(shown("Call the Plumber, plumbing", "plumb"), "Call the [Plumb]er, [plumb]ing");
  assert.equal(shown("Café Müller", "cafe mull"), "[Café] [Müll]er");
  assert.equal(shown("unplumbed", "plumb"), "unplumbed");
});

test("several words, the longest one where two fit", () => {
  assert.equal(shown("note notes", "note notes"), "[note] [notes]");
});

test("nothing of a query is markup or a pattern", () => {
  assert.equal(shown("a.b <b>c</b>", ".* <b>"), "a.[b] <[b]>c</[b]>");
  assert.equal(shown("abc", ""), "abc");
  assert.equal(shown("", "a"), "");
});

test("no character is lost", () => {
  for (const text of ["ﬁne ﬁsh", "Straße", "é́x", "日本語 text", "a\u0000b"]) {
    for (const query of ["fi", "s", "e", "日", "a"]) assert.equal(markedPieces(text, query).map((piece) => piece.text).join(""), text);
  }
});
