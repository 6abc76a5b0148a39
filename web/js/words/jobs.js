/** Jobs in the words that people read. Pure. */

import { COMMON } from "./common.js";
import { facts, numberText } from "./language.js";
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

export const JOBS = Object.freeze({
  // Starting one
  whatToDo: "What is to be done",
  shellCommand: "A shell command",
  task: "Task",
  command: "Command",
  commandFirst: "Enter what is to be run.",
  minutesWanted: "Enter the minutes that it may take, like 10, or nothing.",
  megabytesWanted: "Enter megabytes, like 256, or nothing.",

  // One job
  about: { menu: "This job", button: "More about this job" },
  stoppingState: "Stopping",
  runAgain: "Run again",
  downloadOutput: "Download the output",
  unreadable: (why) => `The job can't be read. ${why}`,
  listUnreadable: (why) => `The jobs can't be read. ${why}`,

  // What it prints
  printsLater: "It waits for its turn.",
  printsNothingYet: "Nothing has been printed yet.",
  printedNothing: "It has printed nothing.",

  // Its files
  allFiles: "All files",
  noFiles: "There are no files.",
  moreFiles: (count) => `There are more than these ${numberText(count)}.`,
  filesUnreadable: (why) => `The files can't be read. ${why}`,
});

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
    job.tokens > 0 ? COMMON.tokens(job.tokens) : "",
  ].filter(Boolean);
}

/** What became of a job that somebody else tells of: "Done", "Failed, exit code 1". */
export function outcomeText({ status, exit_code: code }) {
  return `${stateText({ status })}${status === "failed" && code ? `, exit code ${code}` : ""}`;
}

/** A job that a call has started: "Job · Running · what it has printed last". */
export function lineText(job) {
  return facts(["Job", outcomeText(job), job.status === "running" ? job.last_line : ""]);
}
