/** How a turn ended: the word and reason where there is no whole answer, what can be done, and its time, tokens and cost. */

import { part, setText, timeNode } from "../dom.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { furtherFacts } from "../words/language.js";
import { dollars } from "../words/money.js";
import { dayAndTime, duration } from "../words/times.js";

const OF_THE_MODEL = new Set(["unreachable", "key_refused", "model_missing", "timeout", "bad_reply", "refused", "provider_failed", "empty_reply"]);

export class TurnEnding {
  #root;

  /** @param {Element} root that of the turn */
  constructor(root) {
    this.#root = root;
  }

  /** The word for a turn in *state*; undefined where none is needed. */
  static word(state, { undone = false } = {}) {
    return undone ? CHAT.takenBack : CHAT.endings[state];
  }

  /**
   * @param {string} state that of a turn that is over
   * @param {{at: Date, usage?: object, cost_usd?: number|null, duration_ms?: number|null, undone?: boolean}} facts
   * @param {{code: string, message: string}|null} error
   */
  show(state, facts, error) {
    const failed = state === "failed" || state === "interrupted";
    setText(part(this.#root, "end-word"), TurnEnding.word(state, facts) ?? "");
    setText(part(this.#root, "end-reason"), failed ? (error?.message ?? "") : "");
    part(this.#root, "again").hidden = !failed;
    part(this.#root, "model-settings").hidden = !(failed && OF_THE_MODEL.has(error?.code));
    part(this.#root, "budget-settings").hidden = error?.code !== "budget_spent";
    this.#showMeta(facts);
  }

  #showMeta({ at, usage, cost_usd: cost, duration_ms: took }) {
    const tokens = usage?.total_tokens ? COMMON.tokens(usage.total_tokens) : "";
    const rest = furtherFacts([took ? duration(took) : "", tokens, cost ? dollars(cost) : ""]);
    part(this.#root, "meta").replaceChildren(timeNode(at, dayAndTime(at)), rest);
  }
}
