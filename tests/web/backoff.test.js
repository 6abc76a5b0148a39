// The waits between two attempts.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../web/js/backoff.js";

const middle = () => 0.5;

function waits(backoff, count) {
  return Array.from({ length: count }, () => backoff.next());
}

test("doubles from one second to thirty", () => {
  assert.deepEqual(waits(new Backoff(middle), 7), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
});

test("jitter is a fifth to each side", () => {
  assert.equal(new Backoff(() => 0).next(), 800);
  assert.equal(new Backoff(() => 1).next(), 1200);
});

test("a connection that held fifteen seconds starts it over, the first time at once", () => {
  const backoff = new Backoff(middle);
  waits(backoff, 5);
  backoff.heldFor(15000);
  assert.deepEqual(waits(backoff, 3), [250, 1000, 2000]);
});

test("a short connection changes nothing", () => {
  const backoff = new Backoff(middle);
  waits(backoff, 2);
  backoff.heldFor(14999);
  assert.equal(backoff.next(), 4000);
});

test("the server's wish goes first, and never earlier", () => {
  const backoff = new Backoff(() => 0);
  waits(backoff, 5);
  assert.equal(backoff.next(7), 7000);
  assert.equal(new Backoff(() => 1).next(10), 11000);
});
