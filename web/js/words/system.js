/** What the page says of the gateway itself: how it is, its backups, its budget, its log. Pure. */

import { modelText } from "./model.js";
import { roughly } from "./times.js";

const WELL = new Set(["none", "ready", "loading"]);

export const SYSTEM = Object.freeze({
  // Backups
  backupsUnreadable: (why) => `The backups can't be read. ${why}`,
  noBackup: "There is no backup yet.",
  lastBackup: (time, size) => ["The last one: ", time, `, ${size}.`],
  noneByThemselves: "None are made by themselves.",
  nextBackup: (time, keep) => ["The next one: ", time, `; ${keep} nightly ones are kept.`],
  backupsIn: (folder) => `In ${folder}`,
  backUp: "Back up now",
  backingUp: "Backing up…",
  notBackedUp: (why) => `No backup was made. ${why}`,
  lastAttemptFailed: (why) => `The last attempt failed. ${why}`,

  // Budget and costs
  budgetUnreadable: (why) => `The budget can't be read. ${why}`,
  amountWanted: "Enter an amount like 2.50, or nothing for no limit.",
  costsUnreadable: (why) => `The costs can't be read. ${why}`,
  mostADay: (amount) => `at most ${amount} a day`,

  // The log
  levels: { trace: "Trace", debug: "Debug", info: "Info", warn: "Warn", error: "Error" },
  noLines: "There are no lines yet.",
  noSuchLine: "No line is like that.",
  pause: "Pause",
  goOn: "Go on",
  paused: "Paused. What is written meanwhile comes when you go on.",
  levelWritten: (level) => `Lines of the level ${level} and graver ones are written, until the gateway ends.`,
});

/** "All well. Up 3 days." */
export function conditionText(status) {
  const count = unwellTexts(status).length;
  const how = count === 0 ? "All well." : count === 1 ? "One thing is not well." : `${count} things are not well.`;
  return `${how} Up ${roughly(status.uptime_seconds)}.`;
}

/** @returns {{name: string, reason: string}[]} what is not well, and why; the model's own card says the rest of it */
export function unwellTexts({ parts, model }) {
  const unwell = Object.entries(parts)
    .filter(([name, { state }]) => state !== "ok" && name !== "model")
    .map(([name, { reason }]) => ({ name: `${name.charAt(0).toUpperCase()}${name.slice(1)}:`, reason: reason ?? "It is not well." }));
  if (!WELL.has(model.state)) unwell.push({ name: "Model:", reason: `${modelText(model)}. Below is what to do.` });
  return unwell;
}
