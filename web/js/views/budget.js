/** The most that may be spent in a day and in a month, and what is spent of it. */

import { part, setText } from "../dom.js";
import { spentText } from "../words/money.js";

const AMOUNT = /^\d{0,7}(?:[.,]\d{0,6})?$/;

export class Budget {
  #root;
  #api;
  #busy = false;

  constructor(root, api) {
    this.#root = root;
    this.#api = api;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  async refresh() {
    const [budget, error] = await this.#api.budget().then((found) => [found, null], (reason) => [null, reason]);
    this.#root.hidden = false;
    if (budget === null) return this.#tell(`The budget can't be read. ${error.message}`);
    this.#showSpent(budget);
    if (!this.#root.contains(document.activeElement)) this.#fill(budget);
  }

  async #save() {
    const limits = {};
    for (const name of ["day", "month"]) {
      const text = part(this.#root, name).value.trim();
      if (!AMOUNT.test(text)) return this.#tell("Enter an amount like 2.50, or nothing for no limit.", name);
      limits[`${name}_usd`] = text === "" ? null : Number(text.replace(",", "."));
    }
    if (this.#busy) return;
    this.#busy = true;
    const [budget, error] = await this.#api.setBudget(limits).then((found) => [found, null], (reason) => [null, reason]);
    this.#busy = false;
    if (budget === null) return this.#tell(`Not saved. ${error.message}`, error.field?.replace("_usd", ""));
    this.#showSpent(budget);
    this.#fill(budget);
    this.#tell("Saved.");
  }

  #fill({ day_usd: day, month_usd: month }) {
    part(this.#root, "day").value = day ?? "";
    part(this.#root, "month").value = month ?? "";
  }

  #showSpent({ day, month }) {
    setText(part(this.#root, "spent"), `${spentText("Today", day)} ${spentText("This month", month)}`);
  }

  #tell(words, field = null) {
    setText(part(this.#root, "told"), words);
    for (const name of ["day", "month"]) part(this.#root, name).setAttribute("aria-invalid", String(name === field));
    if (field) part(this.#root, field).focus();
  }
}
