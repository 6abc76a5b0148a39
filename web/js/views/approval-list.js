/** The calls of one turn that wait for a person, or waited: each one card, known by its `request_id`. */

import { announce } from "../dom.js";
import { sentences } from "../words/language.js";
import { Approval } from "./approval.js";

export class ApprovalList {
  #asked;
  #answered;
  #cards = new Map();

  /** @param {Element} asked where the cards stand @param {Element} answered where what is left of them stands */
  constructor(asked, answered) {
    this.#asked = asked;
    this.#answered = answered;
  }

  /** Shows one more; whether it was new. */
  ask(request) {
    if (this.#cards.has(request.request_id)) return false;
    const card = new Approval(request);
    this.#cards.set(request.request_id, card);
    this.#asked.append(card.root);
    card.root.addEventListener("over", () => this.#answered.append(card.root));
    announce(sentences([card.question, request.subject]));
    return true;
  }

  settled({ request_id: id, action }) {
    this.#cards.get(id)?.settled(action);
  }

  /** The turn does not wait any more, whatever was heard of its requests. */
  lapse() {
    for (const card of this.#cards.values()) card.lapse();
  }
}
