/** Search over all threads: while something is looked for, what is found stands in place of the list. */

import { fromTemplate, part, setText, timeNode } from "../dom.js";
import { markedPieces } from "../marks.js";
import { addressOf } from "../route.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { shortTime } from "../words/times.js";

const PATIENCE = 200;

/** Fires "change" when what is shown has changed. */
export class ThreadSearch extends EventTarget {
  #api;
  #root;
  #input;
  #timer = null;
  #run = 0;

  constructor(root, api) {
    super();
    this.#api = api;
    this.#root = root;
    this.#input = part(root, "query");
    this.#input.addEventListener("input", () => this.#typed());
    part(root, "clear").addEventListener("click", () => {
      this.clear();
      this.#input.focus();
    });
  }

  get active() {
    return this.#query !== "";
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  clear() {
    this.#input.value = "";
    this.#typed();
  }

  close() {
    clearTimeout(this.#timer);
    this.#run += 1;
  }

  get #query() {
    return this.#input.value.trim();
  }

  #typed() {
    this.close();
    if (this.active) this.#timer = setTimeout(() => this.#search(this.#query), PATIENCE);
    else this.#show(false);
  }

  async #search(query) {
    const run = this.#run;
    const [reply, error] = await this.#api.search(query).then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    const hits = reply?.results ?? [];
    part(this.#root, "hits").replaceChildren(...hits.map((hit) => hitNode(hit, query)));
    setText(part(this.#root, "found-text"), error?.message ?? summary(hits, reply, query));
    this.#show(true);
  }

  #show(found) {
    part(this.#root, "found").hidden = !found;
    part(this.#root, "list").hidden = found;
    this.dispatchEvent(new Event("change"));
  }
}

function summary(hits, { truncated }, query) {
  if (hits.length === 0) return COMMON.nothingFound(query);
  if (truncated) return CHAT.newestPlaces(hits.length);
  return COMMON.places(hits.length);
}

function hitNode({ thread_id: thread, message_id: message, title, role, snippet, created_at: created }, query) {
  const node = fromTemplate("hit");
  const time = new Date(created);
  part(node, "link").setAttribute("href", addressOf(thread, message));
  part(node, "title").append(...marked(title || CHAT.untitled, query));
  part(node, "mark").append(timeNode(time, shortTime(time)));
  const pieces = marked(snippet, query);
  if (role !== "title") part(node, "snippet").append(...(role === "user" ? CHAT.saidByYou(pieces) : pieces));
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
