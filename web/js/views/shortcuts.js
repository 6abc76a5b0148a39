/** The overview of the keys, on `?`. */

import { asksForKeys } from "../keys.js";
import { openDialog } from "./dialog.js";

/** Opens it when `?` is pressed outside of a text, until *signal* is aborted. */
export function showOnKey(signal) {
  document.addEventListener("keydown", (event) => {
    if (!asksForKeys(event)) return;
    event.preventDefault();
    if (document.querySelector("dialog[open]") === null) openDialog("shortcuts");
  }, { signal });
}
