// Addresses of the page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf, placeOf, readRoute } from "../../web/js/route.js";

test("the list, a thread, a message", () => {
  assert.deepEqual(readRoute("#/chat"), { listed: true, threadId: null, messageId: null });
  assert.deepEqual(readRoute("#/chat/t.1:x"), { listed: false, threadId: "t.1:x", messageId: null });
  assert.deepEqual(readRoute("#/chat/t/m"), { listed: false, threadId: "t", messageId: "m" });
});

test("anything else means the default thread", () => {
  for (const hash of ["", "#", "#/", "#/notes", "#/chat/a/b/c", "#/chat/%zz", "#token=x"]) {
    assert.deepEqual(readRoute(hash), { listed: false, threadId: null, messageId: null }, hash);
  }
});

test("what is written can be read", () => {
  for (const [thread, message] of [[null, null], ["t-1", null], ["a b/ü", "m#1"]]) {
    const { threadId, messageId } = readRoute(addressOf(thread, message));
    assert.deepEqual([threadId, messageId], [thread, message]);
  }
});

test("the place is the first part of the address", () => {
  assert.deepEqual(["#/chat", "#/chat/t/m", "#/system", "#/notes/a/b.md", "#/notes?find=x"].map(placeOf), ["chat", "chat", "system", "notes", "notes"]);
  assert.deepEqual(["", "#", "#/", "#/Chat", "#token=x", "#/chat.x"].map(placeOf), [null, null, null, null, null, null]);
});
