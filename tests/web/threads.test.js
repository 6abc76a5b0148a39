// What the list of threads makes of events.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ThreadBook } from "../../web/js/threads.js";

const NOW = new Date("2026-03-03T14:02:00Z");

function thread(id, more = {}) {
  return { id, title: id, pinned: false, updated_at: "2026-03-01T00:00:00Z", turn_count: 1, state: "idle", ...more };
}

function book(...threads) {
  const made = new ThreadBook();
  made.putNewest(threads);
  return made;
}

function event(name, threadId, more = {}) {
  return { name, data: { thread_id: threadId, message_id: "m", content: "", ...more } };
}

function ids(threads) {
  return threads.map((one) => one.id).join("");
}

test("pinned ones are apart, the newest is first", () => {
  const made = book(thread("a"), thread("b", { pinned: true }), thread("c"));
  assert.equal(ids(made.pinned), "b");
  assert.equal(ids(made.others), "ac");
});

test("a message takes its thread to the top, names it, and is waiting until it runs and ends", () => {
  const made = book(thread("a"), thread("b", { title: "", turn_count: 0 }));
  assert.equal(made.findBlank().id, "b");
  assert.equal(made.apply(event("user_message", "b", { content: " call\n the plumber " }), "b", NOW), "changed");
  assert.equal(ids(made.others), "ba");
  assert.deepEqual(made.find("b"), thread("b", { title: "call the plumber", state: "queued", updated_at: NOW.toISOString() }));
  made.apply(event("thinking", "b"), "b");
  assert.equal(made.find("b").state, "running");
  made.apply(event("response", "b"), "b");
  assert.equal(made.find("b").state, "idle");
  assert.equal(made.findBlank(), undefined);
});

test("a thread runs until its newest message has ended", () => {
  const made = book(thread("a"));
  made.apply(event("user_message", "a", { message_id: "1" }), "a");
  made.apply(event("user_message", "a", { message_id: "2" }), "a");
  made.apply(event("response", "a", { message_id: "1" }), "a");
  assert.equal(made.find("a").state, "queued");
  made.apply(event("stopped", "a", { message_id: "2" }), "a");
  assert.equal(made.find("a").state, "idle");
});

test("an answer in a thread that is not open is unread until it is opened", () => {
  const made = book(thread("a"), thread("b"));
  made.apply(event("response", "a"), "a");
  made.apply(event("turn_failed", "b"), "a");
  assert.deepEqual(made.unread, ["b"]);
  assert.ok(made.isUnread("b"));
  assert.ok(made.read("b"));
  assert.ok(!made.isUnread("b"));
});

test("what is not known must be read, what does not matter is nothing", () => {
  const made = book(thread("a"));
  assert.equal(made.apply(event("user_message", "x"), "a"), "unknown");
  assert.equal(made.apply(event("thread_updated", "x", { change: "created" }), "a"), "unknown");
  assert.equal(made.apply(event("thread_updated", "a", { change: "changed" }), "a"), "unknown");
  assert.equal(made.apply(event("stream_chunk", "a"), "a"), "same");
  assert.equal(made.apply(event("thread_updated", "x", { change: "deleted" }), "a"), "same");
  assert.equal(made.apply(event("thread_updated", "a", { change: "deleted" }), "a"), "changed");
  assert.ok(made.empty);
});

test("the newest page goes on top of older ones that were read", () => {
  const made = book(thread("a"), thread("b"));
  made.putOlder([thread("c"), thread("d")]);
  made.putNewest([thread("n"), thread("c"), thread("a")]);
  assert.equal(ids(made.others), "ncabd");
});

test("a long first message is cut for the title", () => {
  const made = book(thread("a", { title: "" }));
  made.apply(event("user_message", "a", { content: "x".repeat(80) }), "a");
  assert.equal(made.find("a").title, `${"x".repeat(59)}…`);
});

test("a thread in which a call waits needs an answer until the turn goes on", () => {
  const made = book(thread("a"));
  made.apply(event("approval_needed", "a"), "a");
  assert.equal(made.find("a").state, "waiting");
  assert.equal(made.apply(event("approval_settled", "a"), "a"), "same");
  made.apply(event("thinking", "a"), "a");
  assert.equal(made.find("a").state, "running");
});
