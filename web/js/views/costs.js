/** What some days cost: a sentence, and one bar for each day, from a zero line. */

import { part, setText } from "../dom.js";
import { costText, dayCostText, dollars } from "../words/money.js";
import { SYSTEM } from "../words/system.js";
import { dayName } from "../words/times.js";

const DAYS = 14;

export class Costs {
  #root;
  #api;

  /** @param {Element} root has the parts "cost", "chart", "days", "first" and "most" */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
  }

  async refresh() {
    const [report, error] = await this.#api.usage(DAYS).then((found) => [found, null], (reason) => [null, reason]);
    if (report === null) return this.#tell(SYSTEM.costsUnreadable(error.message));
    this.#show(report.by_day);
    this.#tell(costText(report.totals));
  }

  #tell(words) {
    setText(part(this.#root, "cost"), words);
  }

  #show(days) {
    const most = Math.max(...days.map((day) => day.cost_usd ?? 0));
    part(this.#root, "chart").hidden = most === 0;
    if (most === 0) return;
    part(this.#root, "days").replaceChildren(...days.map((day) => dayNode(day, (day.cost_usd ?? 0) / most)));
    setText(part(this.#root, "first"), dayName(days[0].day));
    setText(part(this.#root, "most"), SYSTEM.mostADay(dollars(most)));
  }
}

function dayNode(day, share) {
  const [node, bar, words] = ["li", "span", "span"].map((tag) => document.createElement(tag));
  node.title = dayCostText(day);
  bar.className = "day-bar";
  bar.style.setProperty("height", `${Math.round(share * 100)}%`);
  words.className = "unseen";
  words.textContent = node.title;
  node.append(bar, words);
  return node;
}
