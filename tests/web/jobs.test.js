// The jobs that are known, their words and their addresses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { JobBook } from "../../web/js/job-book.js";
import { jobAddress, jobFilesAddress, readJobRoute } from "../../web/js/jobs-route.js";
import { factTexts, lastedText, outcomeText, stateText } from "../../web/js/words/jobs.js";

const NOW = new Date("2026-03-03T14:02:00Z");

function job(id, more = {}) {
  return { id, title: id, status: "completed", created_at: "2026-03-03T14:00:00Z", started_at: "2026-03-03T14:00:00Z", ended_at: "2026-03-03T14:01:12Z", exit_code: 0, ...more };
}

function page(ids, cursor = null) {
  return { jobs: ids.map((id) => job(id)), next_cursor: cursor };
}

const ids = (book) => book.newest.map(({ id }) => id);

test("a job comes, runs and ends by events, and only another state is worth reading anew", () => {
  const book = new JobBook();
  book.replace(page(["a"]));
  const event = (name, facts) => book.apply({ name, data: { job_id: "b", title: "B", browse_path: "x", ...facts } }, NOW);
  assert.equal(event("job_started", { status: "pending" }), true);
  assert.deepEqual(ids(book), ["b", "a"]);
  assert.equal(book.find("b").started_at, null);
  assert.equal(event("job_updated", { status: "running", output_bytes: 0 }), true);
  assert.equal(event("job_updated", { status: "running", output_bytes: 7, last_line: "half" }), false);
  assert.deepEqual([book.find("b").started_at, book.find("b").last_line], [NOW.toISOString(), "half"]);
  assert.equal(event("job_updated", { status: "failed", exit_code: 3 }), true);
  assert.deepEqual([book.find("b").ended_at, book.find("b").exit_code, book.find("b").last_line], [NOW.toISOString(), 3, undefined]);
});

test("what an event says of a job that is not known is read, not made up", () => {
  const book = new JobBook();
  assert.equal(book.apply({ name: "job_updated", data: { job_id: "x", status: "running" } }, NOW), true);
  assert.deepEqual(ids(book), []);
});

test("the newest page is read again without losing older ones, and what was deleted goes", () => {
  const book = new JobBook();
  book.replace(page(["e", "d", "c"], "3"));
  book.append(page(["b", "a"], null));
  assert.deepEqual([ids(book), book.cursor], [["e", "d", "c", "b", "a"], null]);
  book.replace(page(["f", "e", "c"], "3"));
  assert.deepEqual([ids(book), book.cursor], [["f", "e", "c", "b", "a"], null]);
  book.replace(page(["z", "y", "x"], "9")); // too many came for the two to join
  assert.deepEqual([ids(book), book.cursor], [["z", "y", "x"], "9"]);
  book.replace(page(["z"]));
  assert.deepEqual([ids(book), book.cursor], [["z"], null]);
  book.put(job("far"));
  book.replace(page(["z"]));
  assert.equal(book.find("far").id, "far");
  book.remove("z");
  assert.deepEqual(ids(book), []);
});

test("states, spans and facts are words", () => {
  assert.equal(stateText({ status: "pending", queue_position: 3 }), "Waiting, 2 before it");
  assert.equal(stateText({ status: "pending", queue_position: 1 }), "Waiting");
  assert.equal(stateText({ status: "timed_out" }), "Out of time");
  assert.equal(outcomeText({ status: "failed", exit_code: 3 }), "Failed, exit code 3");
  assert.equal(outcomeText({ status: "completed", exit_code: 0 }), "Done");
  assert.equal(lastedText(job("a")), "1 min 12 s");
  assert.equal(lastedText(job("a", { ended_at: null }), NOW), "2 min 0 s");
  assert.equal(lastedText(job("a", { ended_at: "2026-03-03T14:00:00Z" })), "under 1 s");
  assert.equal(lastedText(job("a", { started_at: null }), NOW), "");
  assert.equal(lastedText(job("a", { started_at: "2026-03-03T15:00:00Z", ended_at: null }), NOW), "under 1 s"); // clocks differ
  assert.deepEqual(factTexts(job("a", { exit_code: 2, sandbox: "bubblewrap", network: true, tokens: 1200 })), ["exit code 2", "took 1 min 12 s", "in bubblewrap", "with network", "1,200 tokens"]);
  assert.deepEqual(factTexts(job("a", { status: "running", ended_at: null, exit_code: null }), NOW), ["for 2 min 0 s"]);
});

test("a job and each folder of its files have an address", () => {
  assert.deepEqual(readJobRoute("#/jobs"), { id: null, files: false, path: "" });
  assert.deepEqual(readJobRoute(jobAddress("job-1")), { id: "job-1", files: false, path: "" });
  assert.deepEqual(readJobRoute(jobFilesAddress("job-1")), { id: "job-1", files: true, path: "" });
  assert.deepEqual(readJobRoute(jobFilesAddress("job-1", "a b/<img>/50%?#")), { id: "job-1", files: true, path: "a b/<img>/50%?#" });
  assert.deepEqual(readJobRoute("#/jobs/%zz"), { id: null, files: false, path: "" });
});
