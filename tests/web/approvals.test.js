// What the page knows of calls that wait for an answer.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApprovalBook } from "../../web/js/approvals.js";

function request(id, threadId = "t") {
  return { request_id: id, thread_id: threadId, message_id: "m", name: "Lamp", subject: "lamp", parameters: {}, always: true };
}

function ids(approvals) {
  return approvals.map((one) => one.request_id).join("");
}

test("what is asked waits, the oldest first, until it is settled", () => {
  const book = new ApprovalBook();
  assert.ok(book.apply({ name: "approval_needed", data: request("a") }));
  book.apply({ name: "approval_needed", data: request("b", "u") });
  assert.equal(ids(book.all), "ab");
  assert.equal(ids(book.in("u")), "b");
  assert.ok(book.apply({ name: "approval_settled", data: { request_id: "a", action: "deny" } }));
  assert.equal(ids(book.all), "b");
  assert.ok(!book.apply({ name: "approval_settled", data: { request_id: "a", action: "deny" } }));
  assert.ok(!book.apply({ name: "thinking", data: { thread_id: "t" } }));
});

test("a list that was read before an answer came does not bring the answered one back", () => {
  const book = new ApprovalBook();
  book.apply({ name: "approval_settled", data: { request_id: "a", action: "approve" } });
  book.apply({ name: "approval_needed", data: request("c") });
  book.add([request("a"), request("b")]);
  assert.equal(ids(book.all), "cb");
});

test("with a thread go its questions, and after missed events all is read anew", () => {
  const book = new ApprovalBook();
  book.add([request("a"), request("b", "u")]);
  assert.ok(!book.apply({ name: "thread_updated", data: { thread_id: "t", change: "changed" } }));
  assert.ok(book.apply({ name: "thread_updated", data: { thread_id: "t", change: "deleted" } }));
  assert.equal(ids(book.all), "b");
  book.clear();
  assert.equal(book.all.length, 0);
});
