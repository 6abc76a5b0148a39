/** The keys that mean the same in all places. Pure. */

const writesIn = (node) => node.matches("input, textarea, select");

/** "/" where nothing is written, or Ctrl+K: to find something. @param {KeyboardEvent} event */
export function asksToFind({ key, target, ctrlKey, metaKey }) {
  return (key === "/" && !writesIn(target)) || (key === "k" && (ctrlKey || metaKey));
}

/** Alt+N: to begin something new. @param {KeyboardEvent} event */
export function asksToBegin({ altKey, code }) {
  return altKey && code === "KeyN";
}

/** Ctrl+S: to save what is written. @param {KeyboardEvent} event */
export function asksToSave({ key, ctrlKey, metaKey }) {
  return key?.toLowerCase() === "s" && (ctrlKey || metaKey);
}

/** "?" where nothing is written: to see the keys. @param {KeyboardEvent} event */
export function asksForKeys({ key, target, ctrlKey, metaKey, altKey }) {
  return key === "?" && !ctrlKey && !metaKey && !altKey && !writesIn(target);
}
