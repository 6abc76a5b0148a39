/** Where the page is in the place System: `#/system?level=warn&find=WORDS`, which say what of the log is shown. Pure. */

import { LEVELS } from "./log-lines.js";

const SYSTEM = /^#\/system(?:\?(.*))?$/;

/** @typedef {{level: string, find: string}} Wanted lines of this level and graver ones, with these words; empty: all */

/** @returns {Wanted} */
export function readSystemRoute(hash) {
  const values = new URLSearchParams(SYSTEM.exec(hash)?.[1] ?? "");
  const level = values.get("level") ?? "";
  return { level: LEVELS.includes(level) ? level : "", find: values.get("find") ?? "" };
}

/** @param {Wanted} wanted */
export function systemAddress({ level, find }) {
  const given = Object.entries({ level, find }).filter(([, value]) => value !== "");
  return given.length === 0 ? "#/system" : `#/system?${new URLSearchParams(given)}`;
}
