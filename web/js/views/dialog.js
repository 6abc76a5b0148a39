/** Dialogs of the browser: Esc closes them and gives the focus back. */

import { fromTemplate } from "../dom.js";

/** Opens the one of the template *name*; once it is closed it is gone. */
export function openDialog(name) {
  const dialog = fromTemplate(name);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // not for the place below it
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close()); // beside it
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
