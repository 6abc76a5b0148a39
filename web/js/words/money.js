/** Amounts of US dollars in the words that people read. Pure. */

import { numberText, sentences } from "./language.js";
import { dayName } from "./times.js";

/** "$0.0042", "$0.25", "$12.00" */
export function dollars(amount) {
  return `$${amount > 0 && amount < 0.01 ? amount.toFixed(4) : amount.toFixed(2)}`;
}

/** What to say of a `budget_warning`. */
export function budgetText({ period, spent_usd: spent, limit_usd: limit }) {
  const share = Math.floor((spent / limit) * 100);
  return `${share} % of the budget for ${period === "day" ? "today" : "this month"} is spent: ${dollars(spent)} of ${dollars(limit)}.`;
}

/** "Today $0.12 of $1.00.", "This month $3.40." */
export function spentText(words, { spent_usd: spent, limit_usd: limit }) {
  return limit === null ? `${words} ${dollars(spent)}.` : `${words} ${dollars(spent)} of ${dollars(limit)}.`;
}

/** "Today $0.12 of $1.00. This month $3.40." @param {{day: object, month: object}} budget */
export function budgetSpentText({ day, month }) {
  return sentences([spentText("Today", day), spentText("This month", month)]);
}

/** What some days cost, of a sum of the usage: a price that is not known is no zero. */
export function costText({ cost_usd: cost, total_tokens: tokens, unpriced_tokens: unpriced }) {
  if (tokens === 0) return "Nothing was used.";
  const used = `${numberText(tokens)} tokens`;
  if (cost === null) return `${used}; their price is not known.`;
  const rest = unpriced > 0 ? `, and ${numberText(unpriced)} tokens of which the price is not known` : "";
  return `${dollars(cost)} for ${numberText(tokens - unpriced)} tokens${rest}.`;
}

/** What one day cost: "3 Mar: $0.50 for 1,200 tokens." */
export function dayCostText(day) {
  return `${dayName(day.day)}: ${costText(day)}`;
}
