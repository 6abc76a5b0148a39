/** Makes the rows of a list one stop of the Tab key; arrows go from row to row. */

const LINK = "a[href]";
const MOVES = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export class Roving {
  #container;

  constructor(container) {
    this.#container = container;
    container.addEventListener("keydown", (event) => this.#key(event));
    container.addEventListener("focusin", () => this.refresh());
  }

  /** For when rows came, went or moved. */
  refresh() {
    const rows = this.#rows();
    const stop = stopOf(rows);
    for (const row of rows) {
      for (const node of row.querySelectorAll("a, button")) node.tabIndex = row === stop ? 0 : -1;
    }
  }

  focus() {
    stopOf(this.#rows())?.querySelector(LINK).focus();
  }

  #rows() {
    return [...this.#container.querySelectorAll("li")].filter((row) => row.checkVisibility() && row.querySelector(LINK));
  }

  #key(event) {
    if (!(event.key in MOVES) || !event.target.matches(LINK)) return;
    const rows = this.#rows();
    const to = rows.indexOf(event.target.closest("li")) + MOVES[event.key];
    rows[Math.min(Math.max(to, 0), rows.length - 1)].querySelector(LINK).focus();
    event.preventDefault();
    event.stopPropagation();
  }
}

function stopOf(rows) {
  return rows.find((row) => row.contains(document.activeElement)) ?? rows.find((row) => row.querySelector("[aria-current]")) ?? rows[0];
}
