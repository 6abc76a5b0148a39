/** One picture, as large as there is room. */

import { part, showText } from "../dom.js";
import { saveBlob } from "../download.js";
import { CHAT } from "../words/chat.js";
import { openDialog } from "./dialog.js";

/** @param {string} name @param {() => Promise<Blob>} bring */
export async function showPicture(name, bring) {
  const dialog = openDialog("picture");
  const save = part(dialog, "save");
  dialog.setAttribute("aria-label", name);
  save.hidden = true;
  try {
    const blob = await bring();
    const picture = part(dialog, "picture");
    picture.alt = name;
    picture.src = URL.createObjectURL(blob);
    dialog.addEventListener("close", () => URL.revokeObjectURL(picture.src));
    save.addEventListener("click", () => saveBlob(blob, name));
    save.hidden = false;
  } catch (error) {
    showText(part(dialog, "problem"), CHAT.fileUnreadable(name, error.message));
  }
}
