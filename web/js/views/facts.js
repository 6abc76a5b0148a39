/** What a call was given, as terms and details. */

/** @param {object} facts names and values; what is no text is shown as JSON */
export function factNodes(facts) {
  return Object.entries(facts).flatMap(([name, value]) => factNode(name.replaceAll("_", " "), value));
}

function factNode(word, value) {
  const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = word;
  detail.textContent = typeof value === "string" ? value : JSON.stringify(value);
  return [term, detail];
}
