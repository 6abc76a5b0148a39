/** The overview of the keys, on `?`. */

import { openDialog } from "./dialog.js";

/** Opens it when `?` is pressed outside of a text, until *signal* is aborted. */
export function showOnKey(signal) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    if (document.querySelector("dialog[open]") === null) openDialog("shortcuts");
  }, { signal });
}
