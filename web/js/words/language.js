/** The language of the page's words: its tag, how it writes numbers, and how it sets texts beside each other. Pure. */

/** For whatever writes or sorts by a language. */
export const LANGUAGE = "en";

/** "131,072" */
export function numberText(number) {
  return number.toLocaleString(LANGUAGE);
}

/** "A sentence. Another one.", of those that are there. @param {(string|null|undefined)[]} texts */
export function sentences(texts) {
  return texts.filter(Boolean).join(" ");
}

/** "read a note, search notes" @param {string[]} texts */
export function listed(texts) {
  return texts.join(", ");
}

/** "5 steps · 2.1 s", of those that are there. @param {(string|null|undefined)[]} texts */
export function facts(texts) {
  return texts.filter(Boolean).join(" · ");
}

/** " · 2.1 s · $0.02": facts that stand behind another one. @param {(string|null|undefined)[]} texts */
export function furtherFacts(texts) {
  return texts.filter(Boolean).map((text) => ` · ${text}`).join("");
}
