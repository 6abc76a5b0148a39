/** The most that may be spent in a day and in a month, and what is spent of it. */

import { part, setText } from "../dom.js";
import { COMMON } from "../words/common.js";
import { budgetSpentText } from "../words/money.js";
import { SYSTEM } from "../words/system.js";

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
    if (budget === null) return this.#tell(SYSTEM.budgetUnreadable(error.message));
    this.#showSpent(budget);
    if (!this.#root.contains(document.activeElement)) this.#fill(budget);
  }

  async #save() {
    const limits = {};
    for (const name of ["day", "month"]) {
      const text = part(this.#root, name).value.trim();
      if (!AMOUNT.test(text)) return this.#tell(SYSTEM.amountWanted, name);
      limits[`${name}_usd`] = text === "" ? null : Number(text.replace(",", "."));
    }
    if (this.#busy) return;
    this.#busy = true;
    const [budget, error] = await this.#api.setBudget(limits).then((found) => [found, null], (reason) => [null, reason]);
    this.#busy = false;
    if (budget === null) return this.#tell(COMMON.notSaved(error.message), error.field?.replace("_usd", ""));
    this.#showSpent(budget);
    this.#fill(budget);
    this.#tell(COMMON.saved);
  }

  #fill({ day_usd: day, month_usd: month }) {
    part(this.#root, "day").value = day ?? "";
    part(this.#root, "month").value = month ?? "";
  }

  #showSpent(budget) {
    setText(part(this.#root, "spent"), budgetSpentText(budget));
  }

  #tell(words, field = null) {
    setText(part(this.#root, "told"), words);
    for (const name of ["day", "month"]) part(this.#root, name).setAttribute("aria-invalid", String(name === field));
    if (field) part(this.#root, field).focus();
  }
}
