/** Search is the list: while something is looked for, what is found stands in its place. */

import { fromTemplate, part, setText } from "../dom.js";

/**
 * Fires "change" when what is shown has changed; "go" with the address of the first place found, which Enter opens; "down" when
 * the list is wanted.
 */
export class Search extends EventTarget {
  #root;
  #input;
  #look;
  #patience;
  #timer = null;
  #run = 0;
  #found = null; // the query that was answered
  #opens = false; // whether the first place is opened when it is found

  /**
   * @param {Element} root has the parts "query", and "list", in whose place it puts what is found
   * @param {(query: string) => Promise<{nodes: Node[], words: string}>} look finds places, and says in words how many
   * @param {number} patience milliseconds without a key before it looks
   */
  constructor(root, look, patience = 200) {
    super();
    [this.#root, this.#input, this.#look, this.#patience] = [root, part(root, "query"), look, patience];
    part(root, "list").after(fromTemplate("found"));
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    part(root, "clear").addEventListener("click", () => {
      this.find("");
      this.#input.focus();
    });
  }

  get active() {
    return this.query !== "";
  }

  /** What is looked for; empty: nothing. */
  get query() {
    return this.#input.value.trim();
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  /** Looks for *text* at once; empty: the list again. */
  find(text) {
    this.#input.value = text;
    this.#typed(0);
  }

  /** Looks again: what can be found has changed. */
  refresh() {
    if (this.active) this.#typed();
  }

  close() {
    clearTimeout(this.#timer);
    this.#run += 1;
  }

  #typed(patience = this.#patience) {
    this.close();
    this.#opens = false;
    if (!this.active) this.#show(null);
    else if (patience === 0) this.#search(this.query);
    else this.#timer = setTimeout(() => this.#search(this.query), patience);
  }

  #key(event) {
    if (event.key === "Enter") this.#enter();
    else if (event.key === "ArrowDown") this.dispatchEvent(new Event("down"));
    else if (event.key === "Escape" && this.active) this.find("");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #enter() {
    if (!this.active) return;
    if (this.#found === this.query) return this.#openFirst();
    this.close();
    this.#opens = true;
    this.#search(this.query);
  }

  #openFirst() {
    const first = part(this.#root, "hits").querySelector("a");
    if (first) this.dispatchEvent(new CustomEvent("go", { detail: first.getAttribute("href") }));
  }

  async #search(query) {
    const run = this.#run;
    const [found, error] = await this.#look(query).then((some) => [some, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    part(this.#root, "hits").replaceChildren(...(found?.nodes ?? []));
    setText(part(this.#root, "found-text"), error?.message ?? found.words);
    this.#show(error === null ? query : null, true);
    if (this.#opens) this.#openFirst();
  }

  #show(query, found = query !== null) {
    this.#found = query;
    part(this.#root, "found").hidden = !found;
    part(this.#root, "list").hidden = found;
    this.dispatchEvent(new Event("change"));
  }
}
