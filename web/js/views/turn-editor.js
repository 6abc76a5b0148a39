/** An own message opened for change, in its place on the page. */

import { fromTemplate, part } from "../dom.js";
import { fitToText } from "./composer.js";

/** @param {(text: string) => void} onSend what to do with the changed text */
export function editTurn(turn, onSend) {
  const mine = part(turn.root, "mine");
  const [line, form] = [mine.parentNode, fromTemplate("turn-editor")];
  const input = part(form, "input");
  const close = () => {
    form.replaceWith(line);
    part(turn.root, "more").focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim() === "") return;
    close();
    onSend(input.value.trim());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  part(form, "cancel").addEventListener("click", close);
  input.addEventListener("input", () => fitToText(input));
  line.replaceWith(form);
  input.value = turn.message;
  fitToText(input);
  input.focus();
}
