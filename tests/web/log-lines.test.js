// Which lines of the log there are, and which of them are shown.
import assert from "node:assert/strict";
import { test } from "node:test";

import { LogLines } from "../../web/js/log-lines.js";
import { readSystemRoute, systemAddress } from "../../web/js/system-route.js";
import { exactTime } from "../../web/js/words/times.js";

function line(id, more = {}) {
  return { id, level: "INFO", timestamp: "2026-03-03T14:02:09Z", logger: "ironclaw.requests", message: `line ${id}`, ...more };
}

function some(count, from = 0) {
  return Array.from({ length: count }, (_, index) => line(from + index));
}

const ids = (lines) => lines.shown.map(({ id }) => id);

test("the newest 150 are shown, and 5,000 are kept", () => {
  const lines = new LogLines();
  lines.add(some(6000));
  assert.equal(lines.count, 5000);
  lines.window.toEnd();
  assert.deepEqual([ids(lines).length, ids(lines)[0], ids(lines).at(-1)], [150, 5850, 5999]);
});

test("who reads further up keeps these lines while newer ones come and the oldest go", () => {
  const lines = new LogLines();
  lines.add(some(4000));
  assert.ok(lines.showAround(2500));
  const before = ids(lines);
  assert.ok(before.includes(2500));
  assert.equal(lines.add(some(2000, 4000)), 2000);
  assert.deepEqual(ids(lines), before);
  assert.equal(lines.window.atEnd, false);
  lines.add(some(5000, 6000)); // those that are read are too old now
  assert.ok(ids(lines).every((id) => id >= 6000));
});

test("a level has the graver ones with it, and words are looked for in text, logger and traceback", () => {
  const lines = new LogLines();
  const wanted = (wish) => {
    lines.filter({ level: "", find: "", ...wish });
    return ids(lines);
  };
  lines.add([line(1, { level: "DEBUG" }), line(2), line(3, { level: "WARN", logger: "ironclaw.Jobs" }), line(4, { level: "ERROR", trace: "ValueError: Bad" })]);
  assert.deepEqual(wanted({}), [1, 2, 3, 4]);
  assert.deepEqual(wanted({ level: "warn" }), [3, 4]);
  assert.deepEqual(wanted({ level: "info", find: "LINE 2" }), [2]);
  assert.deepEqual(wanted({ find: "jobs" }), [3]);
  assert.deepEqual(wanted({ find: "valueerror" }), [4]);
  assert.equal(lines.add([line(5), line(6, { message: "a VALUEERROR" })]), 1);
});

test("what is shown of the log stands in the address", () => {
  assert.equal(systemAddress({ level: "", find: "" }), "#/system");
  for (const wanted of [{ level: "warn", find: "" }, { level: "", find: "50 % & <b>" }, { level: "error", find: "ä?#" }]) {
    assert.deepEqual(readSystemRoute(systemAddress(wanted)), wanted);
  }
  assert.deepEqual(readSystemRoute("#/system?level=loud"), { level: "", find: "" });
  assert.deepEqual(readSystemRoute("#/chat"), { level: "", find: "" });
});

test("a line of today has its time, another one its day too", () => {
  const now = new Date(2026, 2, 3, 15);
  assert.equal(exactTime(new Date(2026, 2, 3, 14, 2, 9), now), "14:02:09");
  assert.equal(exactTime(new Date(2026, 2, 2, 14, 2, 9), now), "2 Mar 14:02:09");
});
