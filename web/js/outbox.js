/** Messages on their way, kept in the tab until the gateway has them: a reload loses no word. */

import { tab } from "./storage.js";

const NAME = "outbox";

/** @typedef {{key: string, text: string, threadId: string|null, reason: string|null}} Letter */

/**
 * The letters of one thread. One without a thread was written before the default one was known.
 * @returns {Letter[]}
 */
export function lettersTo(threadId) {
  return all().filter((letter) => letter.threadId === threadId || letter.threadId === null);
}

/** @param {Letter} letter */
export function putLetter(letter) {
  tab.setValue(NAME, [...all().filter((other) => other.key !== letter.key), letter]);
}

export function removeLetter(key) {
  tab.setValue(NAME, all().filter((letter) => letter.key !== key));
}

function all() {
  return tab.getValue(NAME, []);
}
