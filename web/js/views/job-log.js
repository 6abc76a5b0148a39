/** What a job prints, as it comes; its end is followed unless its reader goes up, and then nothing moves. */

import { arrange, part, showText } from "../dom.js";
import { hasEnded, JOBS } from "../words/jobs.js";
import { OutputPieces } from "../output-pieces.js";
import { ScrollFollower } from "../scroll.js";
import { tab } from "../storage.js";
import { EventStream } from "../stream.js";
import { troubleText } from "./notice.js";

const AHEAD = 1000; // pixels from an edge at which what lies behind it is brought
const EMPTY = { pending: JOBS.printsLater, running: JOBS.printsNothingYet };

/** Fires "ended" with how the job ended; "trouble" with what to say, null: none; "gone" when there is no such job. */
export class JobLog extends EventTarget {
  #root;
  #name;
  #stream;
  #pieces = new OutputPieces();
  #nodes = new Map();
  #left; // where it was left
  #waiting = [];
  #frame = null;
  #open = false;
  #over = false;

  /** @param {Element} root has the parts "scroll", "content", "output", "cut", "none" and "pill" @param {import("../jobs-api.js").JobsApi} api */
  constructor(root, api, id) {
    super();
    this.#root = root;
    this.#name = `job-place.${id}`;
    this.#left = tab.getValue(this.#name, null);
    this.#stream = new EventStream((place, signal) => api.follow(id, place, signal), "end");
    this.follower = new ScrollFollower(part(root, "scroll"), part(root, "content"), part(root, "output"));
    this.#listen();
  }

  /** Reads on, where it is not over yet. */
  open() {
    if (this.#over || this.#open) return;
    this.#open = true;
    this.#stream.start(this.#stream.lastId);
    if (document.hidden) this.unseen();
  }

  leave() {
    this.#open = false;
    if (part(this.#root, "scroll").checkVisibility()) tab.setValue(this.#name, this.#place);
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
    const empty = this.#pieces.empty && this.#waiting.length === 0;
    showText(part(this.#root, "none"), !empty || (hasEnded(status) && !this.#over) ? "" : EMPTY[status] ?? JOBS.printedNothing);
  }

  #listen() {
    const scroller = part(this.#root, "scroll");
    this.follower.addEventListener("change", () => this.#moved());
    this.#stream.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#stream.addEventListener("open", () => this.#fire("trouble", null));
    this.#stream.addEventListener("lost", ({ detail }) => this.#lost(detail));
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("keydown", ({ key }) => key === "End" && this.#toEnd());
    part(this.#root, "pill").addEventListener("click", () => this.#toEnd());
  }

  get #place() {
    const first = this.follower.following ? null : this.follower.first;
    if (first === null) return null;
    const index = [...part(this.#root, "output").children].indexOf(first.node);
    return { number: this.#pieces.dropped + this.#pieces.window.from + index, offset: Math.round(first.offset) };
  }

  // What comes

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
    this.#pieces.add(text);
    part(this.#root, "cut").hidden = this.#pieces.dropped === 0;
    this.#change(() => this.follower.following && this.#pieces.window.toEnd());
    part(this.#root, "pill").hidden = this.follower.following;
    this.#restore();
  }

  // What stands on the page

  #change(move) {
    this.follower.keepPlace(() => {
      move();
      this.#show();
    });
  }

  #show() {
    const { shown, window } = this.#pieces;
    this.#nodes = new Map(shown.map((piece) => [piece, grown(this.#nodes.get(piece) ?? document.createElement("div"), piece.text)]));
    arrange(part(this.#root, "output"), [...this.#nodes.values()]);
    this.follower.whole = window.atEnd;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = part(this.#root, "scroll");
    const { window } = this.#pieces;
    if (scrollTop < AHEAD && window.from > 0 && !this.follower.following) this.#change(() => window.up());
    else if (scrollHeight - scrollTop - clientHeight < AHEAD && !window.atEnd) this.#change(() => window.down());
  }

  #toEnd() {
    this.#pieces.window.toEnd();
    this.#show();
    this.follower.toEnd();
  }

  // Once what was read has come again.
  #restore() {
    const { number, offset } = this.#left ?? {};
    if (number === undefined || !this.#pieces.showAround(number)) return;
    this.#show();
    const node = part(this.#root, "output").children[number - this.#pieces.dropped - this.#pieces.window.from];
    if (node.offsetHeight >= -offset) this.follower.show(node, offset);
  }

  #moved() {
    this.#left = null;
    if (this.follower.following) part(this.#root, "pill").hidden = true;
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// Adds what *node* does not have yet of *text*, so that a selection in it stays.
function grown(node, text) {
  if (node.firstChild === null) node.append(text);
  else node.firstChild.appendData(text.slice(node.firstChild.data.length));
  return node;
}
