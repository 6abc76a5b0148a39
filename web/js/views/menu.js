/** A small menu at a button: arrows move in it, Esc and a click elsewhere close it, and the focus goes back. */

import { fromTemplate } from "../dom.js";

const EDGE = 8;
const GAP = 4;
const MOVES = { ArrowDown: 1, ArrowUp: -1 };
let open = null;

/**
 * Opens the menu of *button*, or closes it when it is open.
 * @param {string} label what the menu is about
 * @param {{label: string, act: () => void}[]} items
 */
export function toggleMenu(button, label, items) {
  const same = open?.button === button;
  open?.close();
  if (!same) open = new Menu(button, label, items);
}

class Menu {
  #root = fromTemplate("menu");
  #closed = new AbortController();

  constructor(button, label, items) {
    this.button = button;
    this.#root.setAttribute("aria-label", label);
    this.#root.append(...items.map((item) => this.#item(item)));
    button.after(this.#root);
    this.#root.showPopover();
    this.#place();
    button.setAttribute("aria-expanded", "true");
    this.#root.firstElementChild.focus();
    this.#listen();
  }

  close() {
    this.#closed.abort();
    this.#root.remove();
    this.button.setAttribute("aria-expanded", "false");
    open = null;
  }

  #listen() {
    const { signal } = this.#closed;
    this.#root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#root.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && !this.#holds(relatedTarget) && this.close(), { signal });
    document.addEventListener("pointerdown", ({ target }) => this.#holds(target) || this.close(), { signal, capture: true });
    addEventListener("resize", () => this.close(), { signal });
    addEventListener("hashchange", () => this.close(), { signal });
  }

  #holds(node) {
    return this.#root.contains(node) || this.button.contains(node);
  }

  #item({ label, act }) {
    const item = fromTemplate("menu-item");
    item.textContent = label;
    item.addEventListener("click", () => {
      this.button.focus();
      this.close();
      act();
    });
    return item;
  }

  #key(event) {
    const items = [...this.#root.children];
    const at = items.indexOf(document.activeElement);
    if (event.key in MOVES) items.at((at + MOVES[event.key]) % items.length).focus();
    else if (event.key === "Home") items[0].focus();
    else if (event.key === "End") items.at(-1).focus();
    else if (event.key === "Escape") {
      this.button.focus();
      this.close();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #place() {
    const at = this.button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#root;
    const left = Math.min(Math.max(EDGE, at.right - width), innerWidth - width - EDGE);
    const below = at.bottom + GAP + height <= innerHeight - EDGE;
    const top = below ? at.bottom + GAP : Math.max(EDGE, at.top - GAP - height);
    this.#root.style.setProperty("left", `${left}px`);
    this.#root.style.setProperty("top", `${top}px`);
  }
}
