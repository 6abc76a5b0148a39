/** One tool call that waits for an answer: what it would do, whole, and three ways to answer. Later: one quiet line. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { CALLS } from "../words/calls.js";
import { factNodes } from "./facts.js";

let last = 0;

/** Fires on its root, bubbling, "answer" with itself: who hears it calls `settle`; and "over" when it became a line. */
export class Approval {
  #request;
  #action = null;
  #busy = false;
  #over = false;

  /** @param {import("../approvals.js").Approval} request */
  constructor(request) {
    this.#request = request;
    this.root = fromTemplate("approval");
    this.#show();
    for (const action of Object.keys(CALLS.answers)) part(this.root, action).addEventListener("click", () => this.#answer(action));
  }

  /** What is asked, in one sentence. */
  get question() {
    return CALLS.question(this.#request.name);
  }

  /** Brings the chosen answer to the gateway. */
  async settle(api) {
    this.#busy = true;
    this.#tell("");
    try {
      this.settled((await api.settle(this.#request.request_id, this.#action)).action);
    } catch (error) {
      // The stream says how; should it not, the sentence stands in its place.
      if (error.status === 404 || error.status === 409) this.#end(error.message);
      else this.#tell(CALLS.notAnswered(error.message));
    }
    this.#busy = false;
  }

  /** @param {"approve"|"always"|"deny"} action how it was answered: here, elsewhere, or by word */
  settled(action) {
    this.#end(CALLS.answers[action]);
  }

  /** It is not asked any more; how it was answered is not known. */
  lapse() {
    if (!this.#over) this.#end(CALLS.notAskedAnyMore);
  }

  #show() {
    const { subject, parameters, always } = this.#request;
    const question = part(this.root, "question");
    question.id = `approval-${(last += 1)}`;
    part(this.root, "card").setAttribute("aria-labelledby", question.id);
    setText(question, this.question);
    setText(part(this.root, "subject"), subject);
    part(this.root, "facts").append(...factNodes({ [CALLS.tool]: this.#request.name, ...parameters }));
    part(this.root, "always").hidden = !always;
    part(this.root, "extent").hidden = !always;
  }

  #answer(action) {
    if (this.#busy) return;
    this.#action = action;
    this.root.dispatchEvent(new CustomEvent("answer", { bubbles: true, detail: this }));
  }

  #tell(problem) {
    showText(part(this.root, "problem"), problem);
  }

  #end(words) {
    this.#over = true;
    const focused = this.root.contains(document.activeElement);
    setText(part(this.root, "word"), words);
    setText(part(this.root, "about"), CALLS.asked(this.#request.name, this.#request.subject));
    part(this.root, "about").title = this.#request.subject;
    part(this.root, "card").hidden = true;
    part(this.root, "line").hidden = false;
    this.root.dispatchEvent(new Event("over", { bubbles: true }));
    if (focused) part(this.root, "line").focus({ preventScroll: true }); // who reads at the end stays there
  }
}
