// A message is on the page once, in whatever order its history, its event and the answer to its sending come.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ChatLog } from "../../web/js/views/chat-log.js";
import { Delivery } from "../../web/js/views/delivery.js";
import { lettersTo, putLetter, removeLetter } from "../../web/js/outbox.js";

class Shown {
  files = { all: [], torn: false };
  state = "accepted";

  constructor({ id = null, key = null, message = "" }) {
    Object.assign(this, { id, key, message });
    this.root = { turn: this, remove: () => page.children.splice(page.children.indexOf(this.root), 1) };
  }

  sending() {
    this.state = "sending";
  }

  unsent() {
    this.state = "unsent";
  }

  accepted(id) {
    Object.assign(this, { id, state: "accepted" });
  }

  load(data) {
    Object.assign(this, { id: data.message_id, message: data.user_message, state: data.state });
  }

  apply() {}
}

// The gateway: each sending waits until the test lets it be answered.
class Gateway {
  sent = [];

  send(message, threadId, key) {
    return new Promise((resolve, reject) => this.sent.push({ message, key, resolve, reject }));
  }
}

// The part of the page where the turns stand.
class Container {
  children = [];

  insertBefore(node, before) {
    this.children = this.children.filter((child) => child !== node);
    this.children.splice(before === null ? this.children.length : this.children.indexOf(before), 0, node);
  }
}

let page, gateway, log, delivery;

beforeEach(() => {
  for (const { key } of lettersTo(null)) removeLetter(key);
  page = new Container();
  gateway = new Gateway();
  log = new ChatLog(page, (parts) => new Shown(parts));
  delivery = new Delivery(gateway, log);
});

function history(...turns) {
  return { turns: turns.map(([id, text, key]) => ({ message_id: id, user_message: text, state: "running", idempotency_key: key })) };
}

function event(id, content, key) {
  return { id: "7", name: "user_message", data: { message_id: id, content, idempotency_key: key } };
}

function shown() {
  return page.children.map(({ turn }) => turn.message);
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

// As a conversation does it when the default thread has become known.
function arrive(history) {
  delivery.resume("t");
  log.replace(history);
  delivery.told();
}

test("what is sent while the page opens is not sent or shown again when its thread becomes known", async () => {
  delivery.post("hello", null);
  arrive(history());
  assert.equal(gateway.sent.length, 1);
  gateway.sent[0].resolve({ message_id: "m" });
  await settled();
  assert.deepEqual(shown(), ["hello"]);
});

test("a history that has the message before its sending was answered shows it once", async () => {
  delivery.post("hello", null);
  const { key } = gateway.sent[0];
  arrive(history(["m", "hello", key]));
  assert.deepEqual(shown(), ["hello"]);
  gateway.sent[0].resolve({ message_id: "m" });
  await settled();
  assert.deepEqual(shown(), ["hello"]);
  assert.deepEqual(lettersTo("t"), []);
});

test("a history that was read before the message came does not take it away", async () => {
  log.asked();
  delivery.post("hello", null);
  gateway.sent[0].resolve({ message_id: "m" });
  await settled();
  arrive(history(["other", "before"]));
  assert.deepEqual(shown(), ["before", "hello"]);
  log.apply(event("m", "hello", gateway.sent[0].key));
  assert.deepEqual(shown(), ["before", "hello"]);
  log.asked();
  arrive(history(["other", "before"]));
  assert.deepEqual(shown(), ["before"]);
});

test("an event that comes before the answer is of the same message; one of another client with the same text is not", async () => {
  delivery.post("yes", "t");
  log.apply(event("other", "yes"));
  assert.deepEqual(shown(), ["yes", "yes"]);
  log.apply(event("m", "yes", gateway.sent[0].key));
  assert.deepEqual(shown(), ["yes", "yes"]);
  gateway.sent[0].resolve({ message_id: "m" });
  await settled();
  assert.deepEqual(shown(), ["yes", "yes"]);
});

test("what arrived though its answer was lost is no more to be sent, also after a reload", () => {
  putLetter({ key: "k", text: "hello", threadId: "t", reason: "The gateway can't be reached." });
  arrive(history(["m", "hello", "k"]));
  assert.deepEqual(shown(), ["hello"]);
  assert.equal(log.find("m").state, "running");
  assert.deepEqual(lettersTo("t"), []);
});

test("what was not sent stays, though the same was said before", () => {
  putLetter({ key: "k", text: "yes", threadId: "t", reason: "The gateway can't be reached." });
  arrive(history(["m", "yes", "an earlier key"]));
  assert.deepEqual(shown(), ["yes", "yes"]);
  assert.equal(log.sentUnder("k").state, "unsent");
  assert.equal(lettersTo("t").length, 1);
});
