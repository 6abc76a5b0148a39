/** Jobs in the words that people read. Pure. */

import { numberText } from "./language.js";
import { duration } from "./times.js";

const STATES = {
  pending: "Waiting",
  running: "Running",
  completed: "Done",
  failed: "Failed",
  stopped: "Stopped",
  timed_out: "Out of time",
  interrupted: "Interrupted",
};

/** Whether a job of this status has come to its end. */
export function hasEnded(status) {
  return status !== "pending" && status !== "running";
}

/** "Running", "Waiting, 2 before it" */
export function stateText({ status, queue_position: position }) {
  const before = status === "pending" && position > 1 ? `, ${position - 1} before it` : "";
  return `${STATES[status] ?? status}${before}`;
}

/** How long it took, or runs by now; empty while it waits, or ended without having run. */
export function lastedText({ started_at: started, ended_at: ended }, now = new Date()) {
  if (!started) return "";
  const seconds = Math.max(0, Math.round((new Date(ended ?? now) - new Date(started)) / 1000));
  if (seconds === 0) return "under 1 s";
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

/** What else there is to say of it, in one line: "exit code 1", "took 12 s", "bubblewrap", "with network". */
export function factTexts(job, now = new Date()) {
  const lasted = lastedText(job, now);
  return [
    job.exit_code ? `exit code ${job.exit_code}` : "",
    lasted && `${hasEnded(job.status) ? "took" : "for"} ${lasted}`,
    job.sandbox ? `in ${job.sandbox}` : "",
    job.network ? "with network" : "",
    job.tokens > 0 ? `${numberText(job.tokens)} tokens` : "",
  ].filter(Boolean);
}

/** What became of a job that somebody else tells of: "Done", "Failed, exit code 1". */
export function outcomeText({ status, exit_code: code }) {
  return `${stateText({ status })}${status === "failed" && code ? `, exit code ${code}` : ""}`;
}
