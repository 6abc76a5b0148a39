/** The overview of the keys, on `?`. */

import { fromTemplate } from "../dom.js";

/** Opens it when `?` is pressed outside of a text, until *signal* is aborted. */
export function showOnKey(signal) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    if (document.querySelector(".shortcuts") === null) show();
  }, { signal });
}

// A dialog of the browser: Esc closes it and gives the focus back.
function show() {
  const dialog = fromTemplate("shortcuts");
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // not for the place below it
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close()); // beside it
  document.body.append(dialog);
  dialog.showModal();
}
