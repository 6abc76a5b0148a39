/** Messages on their way, kept in the tab until the gateway has them: a reload loses no word. */

const KEY = "ironclaw.outbox";

/** @typedef {{key: string, text: string, threadId: string|null, reason: string|null}} Letter */

/** @returns {Letter[]} */
export function letters() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {Letter} letter */
export function putLetter(letter) {
  save([...letters().filter((other) => other.key !== letter.key), letter]);
}

export function removeLetter(key) {
  save(letters().filter((letter) => letter.key !== key));
}

export function forgetLetters() {
  save([]);
}

function save(all) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    return; // Without storage a message lives as long as the page.
  }
}
