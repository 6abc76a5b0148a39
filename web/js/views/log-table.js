/** The table of the log: lines are added once a frame, at most a stretch of them stands on the page, and what is read stays where it is. */

import { arrange, part } from "../dom.js";
import { LogLines } from "../log-lines.js";
import { ScrollFollower } from "../scroll.js";
import { LogRow } from "./log-row.js";

const AHEAD = 400; // pixels from an edge at which what lies behind it is brought
const MOST_WAITING = 5000;

/** Fires "change" when there are other lines. */
export class LogTable extends EventTarget {
  lines = new LogLines();
  #root;
  #rows = new Map();
  #waiting = [];
  #frame = null;
  #left = null; // the line at which it was left, and how far below the top it stood

  /** @param {Element} root has the parts "scroll", "table", "lines" and "pill" */
  constructor(root) {
    super();
    this.#root = root;
    this.follower = new ScrollFollower(part(root, "scroll"), part(root, "table"), part(root, "lines"));
    this.follower.addEventListener("change", () => this.#moved());
    part(root, "scroll").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    part(root, "scroll").addEventListener("keydown", ({ key }) => key === "End" && this.toEnd());
    part(root, "pill").addEventListener("click", () => this.toEnd());
  }

  /** Where somebody reads, to be shown again; null: at the end. */
  get place() {
    const first = this.follower.following ? null : this.follower.first;
    const id = first && [...this.#rows].find(([, row]) => row.root === first.node)?.[0].id;
    return id ? { id, offset: Math.round(first.offset) } : null;
  }

  /** Goes to *place* when its line is there. */
  goTo(place) {
    this.#left = place;
    this.#restore();
  }

  /** Takes the next line. */
  take(line) {
    this.#waiting.push(line);
    if (this.#waiting.length > MOST_WAITING) this.#flush();
    else this.#frame ??= requestAnimationFrame(() => this.#flush());
  }

  /** @param {import("../system-route.js").Wanted} wanted */
  filter(wanted) {
    this.lines.filter(wanted);
    this.toEnd();
    this.dispatchEvent(new Event("change"));
  }

  toEnd() {
    this.lines.window.toEnd();
    this.#show();
    this.follower.toEnd();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.follower.close();
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    const wanted = this.lines.add(this.#waiting);
    this.#waiting = [];
    this.follower.keepPlace(() => {
      if (this.follower.following) this.lines.window.toEnd();
      this.#show();
    });
    if (wanted > 0) this.#pill(true);
    this.#restore();
    this.dispatchEvent(new Event("change"));
  }

  #restore() {
    const place = this.#left;
    if (place === null || !this.lines.showAround(place.id)) return;
    this.#show();
    this.follower.show([...this.#rows].find(([line]) => line.id === place.id)[1].root, place.offset);
  }

  #moved() {
    this.#left = null;
    this.#pill(false);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = part(this.#root, "scroll");
    const { window } = this.lines;
    if (scrollTop < AHEAD && window.from > 0 && !this.follower.following) this.#move(() => window.up());
    else if (scrollHeight - scrollTop - clientHeight < AHEAD && !window.atEnd) this.#move(() => window.down());
  }

  #move(change) {
    this.follower.keepPlace(() => {
      change();
      this.#show();
    });
  }

  #show() {
    const { shown, window } = this.lines;
    this.#rows = new Map(shown.map((line) => [line, this.#rows.get(line) ?? new LogRow(line)]));
    arrange(part(this.#root, "lines"), [...this.#rows.values()].map((row) => row.root));
    this.follower.whole = window.atEnd;
  }

  #pill(newLines) {
    part(this.#root, "pill").hidden = this.follower.following || !newLines;
  }
}
