// Times in words.
import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, dayAndTime, dayName, duration, fullTime, roughly, shortTime } from "../../web/js/words/times.js";

const NOW = new Date(2026, 2, 3, 14, 2, 9);

test("today is a clock", () => {
  assert.equal(clock(new Date(2026, 2, 3, 9, 5)), "09:05");
  assert.equal(shortTime(new Date(2026, 2, 3, 0, 0), NOW), "00:00");
  assert.equal(dayAndTime(NOW, NOW), "14:02");
});

test("other days are days", () => {
  assert.equal(shortTime(new Date(2026, 2, 2, 23, 59), NOW), "yesterday");
  assert.equal(shortTime(new Date(2026, 2, 1, 12, 0), NOW), "1 Mar");
  assert.equal(shortTime(new Date(2025, 2, 3, 14, 2), NOW), "3 Mar 2025");
  assert.equal(dayAndTime(new Date(2026, 2, 2, 8, 7), NOW), "yesterday 08:07");
});

test("the days of the clock change are whole days", () => {
  for (let day = 1; day < 365; day += 1) {
    assert.equal(shortTime(new Date(2026, 0, day, 12), new Date(2026, 0, day + 1, 0, 30)), "yesterday");
  }
});

test("the tooltip has everything", () => {
  assert.equal(fullTime(NOW), "Tuesday 3 Mar 2026, 14:02:09");
});

test("durations", () => {
  const said = [0, 40.4, 999, 2100, 59949, 59950, 72000, 7500000].map(duration);
  assert.deepEqual(said, ["0 ms", "40 ms", "999 ms", "2.1 s", "59.9 s", "1 min 0 s", "1 min 12 s", "2 h 5 min"]);
});

test("a day without a time is of no time zone, and a span goes by its largest unit", () => {
  assert.equal(dayName("2026-03-01"), "1 Mar");
  assert.deepEqual([0, 1, 59, 60, 7199, 3 * 86400].map(roughly), ["0 seconds", "1 second", "59 seconds", "1 minute", "1 hour", "3 days"]);
});
