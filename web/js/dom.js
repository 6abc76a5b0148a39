/** Small helpers for the page's nodes. Repeated things stand as templates in index.html. */

import { fullTime } from "./words/times.js";

/** A fresh copy of the first element in the template *name*. */
export function fromTemplate(name) {
  return document.getElementById(`${name}-template`).content.firstElementChild.cloneNode(true);
}

/** The one element under *root* that is marked with `data-part="name"`. */
export function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

/** Sets text only when it differs, so that a selection in it and its node stay. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows *text* or, when there is none, hides the node. */
export function showText(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}

/** Makes *nodes* the children of *parent*; only those that are out of place are moved. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/** A `<time>` with the full time as its tooltip. */
export function timeNode(date, words) {
  const node = document.createElement("time");
  node.dateTime = date.toISOString();
  node.title = fullTime(date);
  node.textContent = words;
  return node;
}

/** Says *text* to screen readers, once. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A random name of 128 bits; works without HTTPS, unlike crypto.randomUUID. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
