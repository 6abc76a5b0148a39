// Which items of a long list stand on the page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ListWindow } from "../../web/js/list-window.js";

function windowOf(length) {
  const window = new ListWindow();
  window.length = length;
  window.toEnd();
  return window;
}

test("begins at the end, with at most 150", () => {
  assert.deepEqual({ ...windowOf(20) }, { from: 0, to: 20, length: 20 });
  assert.deepEqual({ ...windowOf(1000) }, { from: 850, to: 1000, length: 1000 });
});

test("what comes at the end is shown when the end is, and the oldest goes", () => {
  const window = windowOf(150);
  window.appended();
  assert.deepEqual({ ...window }, { from: 1, to: 151, length: 151 });
  window.up();
  window.up();
  window.appended();
  assert.deepEqual({ ...window }, { from: 0, to: 150, length: 152 });
});

test("an older page moves nothing until one goes up", () => {
  const window = windowOf(50);
  window.prepended(50);
  assert.deepEqual({ ...window }, { from: 50, to: 100, length: 100 });
  window.up();
  assert.deepEqual({ ...window }, { from: 0, to: 100, length: 100 });
});

test("all the way up and down meets every turn and never more than 150", () => {
  const window = windowOf(1000);
  const seen = new Set();
  const look = () => {
    assert.ok(window.to - window.from <= 150 && window.from >= 0 && window.to <= 1000);
    for (let index = window.from; index < window.to; index += 1) seen.add(index);
  };
  look();
  for (; window.from > 0; look()) window.up();
  assert.equal(seen.size, 1000);
  for (; !window.atEnd; look()) window.down();
  assert.equal(window.to, 1000);
});

test("has a place to go to in it", () => {
  const window = windowOf(1000);
  window.around(500);
  assert.deepEqual({ ...window }, { from: 450, to: 550, length: 1000 });
  window.around(460);
  assert.equal(window.from, 450);
});

test("a turn that is gone leaves no hole", () => {
  const window = windowOf(200);
  window.removed(199);
  window.removed(0);
  assert.deepEqual({ ...window }, { from: 49, to: 198, length: 198 });
});
