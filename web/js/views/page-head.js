/** Above what is open in a place: what it is, what can be done with it, and what is asked before that. */

import { arrange, fromTemplate, part, setText } from "../dom.js";
import { toggleMenu } from "./menu.js";

/** @typedef {{label: string, act: () => void, primary?: boolean}} Act @typedef {{label: string, items: Act[]}} Menu */

export class PageHead {
  #root;
  #about;
  #buttons = new Map();
  #form = null;

  /** @param {{menu: string, button: string}|null} about what the menu and its button are called; null: there is no menu */
  constructor(root, about) {
    this.#root = root;
    this.#about = about;
  }

  get asking() {
    return this.#form !== null;
  }

  /** @param {(Act|Menu)[]} acts */
  show(acts) {
    const [place, buttons] = [part(this.#root, "acts"), acts.map((act) => this.#button(act))];
    const shown = [...place.children].filter((node) => node.matches("button")); // an open menu stands among them, and stays
    if (shown.length !== buttons.length || shown.some((button, index) => button !== buttons[index])) arrange(place, buttons);
  }

  focus(label) {
    this.#buttons.get(label)?.focus();
  }

  /**
   * Asks in place of what can be done, until it is answered; the answer no puts the focus back.
   * @param {string} template a form @param {(form: Element) => void} yes
   */
  ask(template, yes, no = () => {}) {
    this.answered();
    const focused = document.activeElement;
    const form = (this.#form = fromTemplate(template));
    part(this.#root, "acts").hidden = true;
    part(this.#root, "where").hidden = true;
    part(this.#root, "asked").replaceChildren(form);
    const back = () => {
      this.answered();
      if (focused?.checkVisibility()) focused.focus();
      no();
    };
    this.#listen(form, yes, back);
    return form;
  }

  /** Nothing is asked any more. */
  answered() {
    this.#form?.remove();
    this.#form = null;
    part(this.#root, "acts").hidden = false;
    part(this.#root, "where").hidden = false;
  }

  #listen(form, yes, back) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      yes(form);
    });
    part(form, "cancel").addEventListener("click", back);
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      back();
    });
    (form.querySelector("input") ?? part(form, "cancel")).focus();
  }

  #button(act) {
    if (!this.#buttons.has(act.label)) this.#buttons.set(act.label, act.items ? this.#more() : document.createElement("button"));
    const button = this.#buttons.get(act.label);
    button.onclick = act.items ? () => toggleMenu(button, this.#about.menu, act.items) : act.act;
    if (act.items) return button;
    button.type = "button";
    button.className = act.primary ? "primary" : "quiet telling";
    setText(button, act.label);
    return button;
  }

  #more() {
    const button = fromTemplate("page-more");
    button.setAttribute("aria-label", this.#about.button);
    return button;
  }
}
