/** The turns of one thread on the page; history and live events meet here. */

import { namedFile } from "../attaching.js";
import { arrange } from "../dom.js";
import { ListWindow } from "../list-window.js";
import { TurnList } from "../turn-list.js";

export class ChatLog {
  #container;
  #make;
  #turns = new TurnList();
  #window = new ListWindow();

  /** @param {(parts: object) => import("./turn.js").Turn} make */
  constructor(container, make) {
    this.#container = container;
    this.#make = make;
  }

  get empty() {
    return this.#turns.all.length === 0;
  }

  get active() {
    return this.#turns.all.some((turn) => turn.active);
  }

  get running() {
    return this.#turns.all.some((turn) => turn.state === "running" || turn.state === "waiting");
  }

  /** Whether the page shows the newest turn, and whether it shows the oldest one that was read. */
  get atEnd() {
    return this.#window.atEnd;
  }

  get atStart() {
    return this.#window.from === 0;
  }

  find(id) {
    return this.#turns.find(id);
  }

  /** The turn that is sent from this page under *key*. */
  sentUnder(key) {
    return this.#turns.sentUnder(key);
  }

  /** The turn that stands on the page as *node*. */
  turnOf(node) {
    return this.#turns.all.find((turn) => turn.root === node);
  }

  /** Shows a message of this page that the gateway does not have yet. */
  write(key, message, files = []) {
    return this.#add({ key, message, files });
  }

  remove(turn) {
    const index = this.#turns.remove(turn);
    if (index < 0) return;
    this.#window.removed(index);
    this.#arrange();
  }

  /** A history has been asked for: `replace` takes it when it has come. */
  asked() {
    this.#turns.asked();
  }

  /** Has exactly the turns of *history*, and after them what of this page came too late for it. */
  replace(history) {
    this.#turns.replace(this.#load(history));
    this.#window.length = this.#turns.all.length;
    this.showEnd();
  }

  /** Has an older page before what was read; `showOlder` or `showAround` bring it onto the page. */
  prepend(history) {
    this.#window.prepended(this.#turns.prepend(this.#load(history)));
  }

  showEnd() {
    this.#window.toEnd();
    this.#arrange();
  }

  showOlder() {
    this.#window.up();
    this.#arrange();
  }

  showNewer() {
    this.#window.down();
    this.#arrange();
  }

  showAround(turn) {
    this.#window.around(this.#turns.all.indexOf(turn));
    this.#arrange();
  }

  /** Shows calls that wait for an answer, each in its turn. */
  ask(approvals) {
    for (const approval of approvals) this.find(approval.message_id)?.ask(approval);
  }

  /** Takes one event of this thread; whether it changed anything. */
  apply({ id, name, data }) {
    if (!data.message_id) return false;
    const turn = this.#turns.match(data) ?? this.#add({ id: data.message_id, ...(name === "user_message" ? { message: data.content, files: (data.attachments ?? []).map(namedFile) } : {}) });
    this.accepted(turn, data.message_id);
    turn.apply(name, data, id);
    return true;
  }

  /** The gateway took *turn* as message *id*. */
  accepted(turn, id) {
    if (turn.id !== null) return;
    if (this.find(id)) return this.remove(turn); // an event spoke of it before, without its key
    turn.accepted(id);
    this.#turns.accepted(turn);
  }

  #add(parts) {
    const turn = this.#make(parts);
    this.#turns.all.push(turn);
    this.#window.appended();
    this.#arrange();
    return turn;
  }

  #arrange() {
    const shown = this.#turns.all.slice(this.#window.from, this.#window.to);
    arrange(this.#container, shown.map((turn) => turn.root));
  }

  #load({ turns, in_progress: progress }) {
    return turns.map((data) => {
      const turn = this.#turns.match(data) ?? this.#make({});
      turn.load(data, progress?.message_id === data.message_id ? progress : null);
      return turn;
    });
  }
}
