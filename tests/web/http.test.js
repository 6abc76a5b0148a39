import assert from "node:assert/strict";
import { test } from "node:test";
import { Http } from "../../web/js/http.js";

/** What is asked of the network, each with the way to answer it. */
function listen(t) {
  const asked = [];
  t.mock.method(globalThis, "fetch", (path, { method }) => new Promise((resolve) => asked.push({ path, method, answer: (body) => resolve(Response.json(body)) })));
  return asked;
}

test("a change that is under way is not asked for twice, and both who asked get the answer", async (t) => {
  const [asked, http] = [listen(t), new Http("token")];
  const press = () => http.json("POST", "jobs/one/restart", { body: {} });
  const both = [press(), press()];
  assert.equal(asked.length, 1);
  asked[0].answer({ id: "two" });
  assert.deepEqual(await Promise.all(both), [{ id: "two" }, { id: "two" }]);
  press();
  assert.equal(asked.length, 2);
});

test("what differs in anything, and what only reads, is asked for each time", (t) => {
  const [asked, http] = [listen(t), new Http("token")];
  http.json("POST", "jobs", { body: { command: "true" } });
  http.json("POST", "jobs", { body: { command: "false" } });
  http.json("POST", "jobs", { body: { command: "true" }, headers: { "Idempotency-Key": "one" } });
  http.json("PUT", "jobs", { body: { command: "true" } });
  http.json("GET", "jobs");
  http.json("GET", "jobs");
  assert.equal(asked.length, 6);
});

test("it tells how many changes are under way, but for those whose waiting is said elsewhere", async (t) => {
  const [asked, http, told] = [listen(t), new Http("token"), []];
  http.addEventListener("working", ({ detail }) => told.push(detail));
  const answers = [http.json("DELETE", "jobs/one"), http.json("POST", "chat/send", { body: {}, told: true })];
  for (const { answer } of asked) answer({});
  await Promise.all(answers);
  await new Promise(setImmediate);
  assert.deepEqual(told, [1, 1, 0, 0]);
});
