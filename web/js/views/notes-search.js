/** Search is the list: while something is looked for, what is found stands in its place. */

import { fromTemplate, part, setText } from "../dom.js";
import { markedPieces } from "../marks.js";
import { folderOf, titleOf } from "../notes.js";
import { noteAddress } from "../notes-route.js";
import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";

const PATIENCE = 200;

/** Fires "change" when what is shown has changed; "go" with an address; "down" when the list is wanted. */
export class NotesSearch extends EventTarget {
  #api;
  #book;
  #root;
  #input;
  #timer = null;
  #run = 0;
  #found = null; // the query that was answered
  #opens = false; // whether the first place is opened when it is found

  constructor(root, api, book) {
    super();
    this.#api = api;
    this.#book = book;
    this.#root = root;
    this.#input = part(root, "query");
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    part(root, "clear").addEventListener("click", () => {
      this.clear();
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

  clear() {
    this.find("");
  }

  /** Looks for *text* at once. */
  find(text) {
    this.#input.value = text;
    this.#typed(0);
  }

  /** Looks again: notes have changed. */
  refresh() {
    if (this.active) this.#typed(PATIENCE);
  }

  close() {
    clearTimeout(this.#timer);
    this.#run += 1;
  }

  #typed(patience = PATIENCE) {
    this.close();
    this.#opens = false;
    if (this.active) this.#timer = setTimeout(() => this.#search(this.query), patience);
    else this.#show(null);
  }

  #key(event) {
    if (event.key === "Enter") this.#enter();
    else if (event.key === "ArrowDown") this.dispatchEvent(new Event("down"));
    else if (event.key === "Escape" && this.active) this.clear();
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
    const [reply, error] = await this.#api.search(query).then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    const hits = [...this.#called(query, reply?.results ?? []), ...(reply?.results ?? [])];
    part(this.#root, "hits").replaceChildren(...hits.map((hit) => hitNode(hit, query)));
    setText(part(this.#root, "found-text"), error?.message ?? summary(hits, reply, query));
    this.#show(error === null ? query : null, true);
    if (this.#opens) this.#openFirst();
  }

  // Notes of that name, also where no line of them has the words.
  #called(query, results) {
    const seen = new Set(results.map(({ path }) => path));
    return this.#book.called(query).filter(({ path }) => !seen.has(path)).map(({ path }) => ({ path, line: null, snippet: "" }));
  }

  #show(query, found = query !== null) {
    this.#found = query;
    part(this.#root, "found").hidden = !found;
    part(this.#root, "list").hidden = found;
    this.dispatchEvent(new Event("change"));
  }
}

function summary(hits, { truncated }, query) {
  if (hits.length === 0) return COMMON.nothingFound(query);
  if (truncated) return NOTES.bestPlaces(hits.length);
  return COMMON.places(hits.length);
}

function hitNode({ path, line, snippet }, query) {
  const node = fromTemplate("hit");
  part(node, "link").setAttribute("href", noteAddress(path, line));
  part(node, "link").title = path;
  part(node, "title").append(...marked(titleOf(path), query));
  setText(part(node, "mark"), NOTES.place(folderOf(path), line));
  part(node, "snippet").append(...marked(snippet, query));
  return node;
}

function marked(text, query) {
  return markedPieces(text, query).map((piece) => {
    if (!piece.marked) return piece.text;
    const node = document.createElement("mark");
    node.textContent = piece.text;
    return node;
  });
}
