/** The lines of the log that the page has: the newest of them, which are wanted, and which of these stand on the page. Pure. */

import { ListWindow } from "./list-window.js";

/** From the least to the gravest. */
export const LEVELS = ["trace", "debug", "info", "warn", "error"];
const KEPT = 5000;

/** @typedef {{id: number, level: string, timestamp: string, logger: string, message: string, trace?: string}} LogLine */

export class LogLines {
  window = new ListWindow();
  /** @type {LogLine[]} */
  #all = [];
  /** @type {LogLine[]} */
  #matching = [];
  #level = 0;
  #find = "";

  /** How many lines there are, and how many are wanted. */
  get count() {
    return this.#all.length;
  }

  get matching() {
    return this.#matching.length;
  }

  /** Those that stand on the page. */
  get shown() {
    return this.#matching.slice(this.window.from, this.window.to);
  }

  /** Takes newer lines, the oldest go; how many of the new ones are wanted. @param {LogLine[]} lines */
  add(lines) {
    const wanted = lines.filter((line) => this.#wants(line));
    this.#all.push(...lines);
    this.#matching.push(...wanted);
    this.window.grew(wanted.length);
    for (const line of this.#all.splice(0, Math.max(0, this.#all.length - KEPT))) this.#drop(line);
    return wanted.length;
  }

  /** From now on shows these, the newest first. @param {import("./system-route.js").Wanted} wanted */
  filter({ level, find }) {
    this.#level = Math.max(0, LEVELS.indexOf(level));
    this.#find = find.toLowerCase();
    this.#matching = this.#all.filter((line) => this.#wants(line));
    this.window.length = this.#matching.length;
    this.window.toEnd();
  }

  /** Brings the line *id* onto the page; whether it is among those that are wanted. */
  showAround(id) {
    const index = this.#matching.findIndex((line) => line.id === id);
    if (index >= 0) this.window.around(index);
    return index >= 0;
  }

  #drop(line) {
    if (this.#matching[0] !== line) return;
    this.#matching.shift();
    this.window.removed(0);
  }

  #wants({ level, message, logger, trace = "" }) {
    if (LEVELS.indexOf(level.toLowerCase()) < this.#level) return false;
    return this.#find === "" || [message, logger, trace].some((text) => text.toLowerCase().includes(this.#find));
  }
}
