/** Messages on their way, kept in the tab until the gateway has them: a reload loses no word. */

import { tab } from "./storage.js";

const NAME = "outbox";
const WORDS = "words";

/** @typedef {{key: string, text: string, threadId: string|null, reason: string|null, files?: string[]}} Letter */

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

/** Words from another place of the page, for the composer to be gone on with. */
export function putWords(text) {
  tab.set(WORDS, text);
}

/** They are taken once. @returns {string|null} */
export function takeWords() {
  const words = tab.get(WORDS);
  tab.set(WORDS, null);
  return words;
}

function all() {
  return tab.getValue(NAME, []);
}
