/** The language of the page's words: how it writes numbers, and how it sets texts beside each other. Pure. */

/** "131,072", of a whole number. Not by `toLocaleString`: its first use takes 20 ms, and would fall on the end of an answer. */
export function numberText(number) {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ",");
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
