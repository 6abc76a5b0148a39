/** Copies text, also on plain HTTP, where the browser offers no clipboard object. */

import { COMMON } from "./words/common.js";

const READING = 2000;

/** Copies the code that *button* stands above, and says so on it. */
export async function copyCode(button) {
  const copied = await copyText(button.closest(".code").querySelector("pre").textContent);
  button.textContent = copied ? COMMON.copied : COMMON.notCopied;
  setTimeout(() => (button.textContent = COMMON.copy), READING);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const { activeElement } = document;
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  activeElement?.focus({ preventScroll: true });
  return copied;
}
