/** What a job prints, as it comes: text in pieces, of which the newest stay, and an end that is followed unless its reader goes up. */

import { part, showText } from "../dom.js";
import { hasEnded } from "../jobs-words.js";
import { ScrollFollower } from "../scroll.js";
import { tab } from "../storage.js";
import { EventStream } from "../stream.js";
import { troubleText } from "./notice.js";

const PIECE = 16384; // characters: then a new piece is begun at the end of a line
const MOST = 1000000;
const MOST_WHILE_READ = 4000000;

/** Fires "ended" with how the job ended; "trouble" with what to say, null: none; "gone" when there is no such job. */
export class JobLog extends EventTarget {
  #root;
  #name;
  #stream;
  #left;
  #waiting = [];
  #frame = null;
  #length = 0;
  #over = false;

  /** @param {Element} root has the parts "scroll", "content", "output", "cut", "none" and "pill" @param {import("../jobs-api.js").JobsApi} api */
  constructor(root, api, id) {
    super();
    this.#root = root;
    this.#name = `job-place.${id}`;
    this.#left = tab.getValue(this.#name, null);
    this.#stream = new EventStream((place, signal) => api.follow(id, place, signal), "end");
    this.follower = new ScrollFollower(part(root, "scroll"), part(root, "content"), part(root, "output"));
    this.follower.addEventListener("change", () => this.#moved());
    part(root, "pill").addEventListener("click", () => this.follower.toEnd());
    this.#stream.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#stream.addEventListener("open", () => this.#fire("trouble", null));
    this.#stream.addEventListener("lost", ({ detail }) => this.#lost(detail));
  }

  /** Reads on, where it is not over yet. */
  open() {
    if (!this.#over) this.#stream.start(this.#stream.lastId);
    if (document.hidden) this.unseen();
  }

  leave() {
    if (this.#root.checkVisibility()) tab.setValue(this.#name, this.#place);
    this.#stream.close();
  }

  close() {
    this.leave();
    cancelAnimationFrame(this.#frame);
    this.follower.close();
  }

  unseen() {
    this.#stream.unseen();
  }

  wake() {
    this.#stream.wake();
  }

  /** Says why there is nothing to read. */
  show({ status }) {
    const words = { pending: "It waits for its turn.", running: "Nothing has been printed yet." };
    const empty = this.#length === 0 && this.#waiting.length === 0;
    showText(part(this.#root, "none"), !empty || (hasEnded(status) && !this.#over) ? "" : words[status] ?? "It has printed nothing.");
  }

  get #place() {
    const first = this.follower.following ? null : this.follower.first;
    return first && { index: [...part(this.#root, "output").children].indexOf(first.node), offset: Math.round(first.offset) };
  }

  #take({ name, data }) {
    if (name === "end") {
      this.#over = true;
      this.#fire("ended", data);
    } else this.#waiting.push(data.text);
    this.#frame ??= requestAnimationFrame(() => this.#flush());
  }

  #lost({ error, wait }) {
    if (error?.status === 404) {
      this.#stream.close();
      this.#fire("gone", null);
    } else if (error?.status) this.#fire("trouble", troubleText(error, wait));
  }

  #flush() {
    this.#frame = null;
    const text = this.#waiting.join("");
    this.#waiting = [];
    if (text === "") return;
    part(this.#root, "none").hidden = true;
    this.follower.keepPlace(() => {
      this.#append(text);
      this.#trim();
    });
    part(this.#root, "pill").hidden = this.follower.following;
    this.#restore();
  }

  #append(text) {
    const output = part(this.#root, "output");
    this.#length += text.length;
    const last = output.lastElementChild?.firstChild;
    const room = last ? PIECE - last.data.length : 0;
    const end = room <= 0 ? 0 : text.indexOf("\n", room) + 1 || text.length;
    last?.appendData(text.slice(0, end));
    for (let from = end; from < text.length; ) {
      const to = text.indexOf("\n", from + PIECE) + 1 || text.length;
      output.append(pieceOf(text.slice(from, to)));
      from = to;
    }
  }

  #trim() {
    const output = part(this.#root, "output");
    const most = this.follower.following ? MOST : MOST_WHILE_READ;
    while (this.#length > most && output.children.length > 1) {
      this.#length -= output.firstElementChild.textContent.length;
      output.firstElementChild.remove();
      part(this.#root, "cut").hidden = false;
    }
  }

  // Once what was read has come again.
  #restore() {
    const node = this.#left && part(this.#root, "output").children[this.#left.index];
    if (!node || (this.#left.offset < 0 && node.offsetHeight < -this.#left.offset)) return;
    this.follower.show(node, this.#left.offset);
    this.#left = null;
  }

  #moved() {
    this.#left = null;
    if (this.follower.following) part(this.#root, "pill").hidden = true;
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function pieceOf(text) {
  const piece = document.createElement("div");
  piece.append(text);
  return piece;
}
