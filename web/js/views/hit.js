/** A place that a search found, with what was looked for marked in it. */

import { fromTemplate, part } from "../dom.js";
import { markedPieces } from "../marks.js";

/** @param {{href: string, title: (string|Node)[], mark: string|Node, snippet: (string|Node)[]}} place */
export function hitNode({ href, title, mark, snippet }) {
  const node = fromTemplate("hit");
  part(node, "link").setAttribute("href", href);
  part(node, "title").append(...title);
  part(node, "mark").append(mark);
  part(node, "snippet").append(...snippet);
  return node;
}

/** *text* with each word of *query* in a mark. @returns {(string|Node)[]} */
export function marked(text, query) {
  return markedPieces(text, query).map((piece) => {
    if (!piece.marked) return piece.text;
    const node = document.createElement("mark");
    node.textContent = piece.text;
    return node;
  });
}
