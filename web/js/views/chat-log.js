/** The turns of one thread in order, known by their `message_id`; history and live events meet here. */

import { arrange } from "../dom.js";
import { TurnWindow } from "../turn-window.js";
import { Turn } from "./turn.js";

export class ChatLog {
  #container;
  #turns = [];
  #window = new TurnWindow();

  constructor(container) {
    this.#container = container;
  }

  get empty() {
    return this.#turns.length === 0;
  }

  get active() {
    return this.#turns.some((turn) => turn.active);
  }

  get running() {
    return this.#turns.some((turn) => turn.state === "running" || turn.state === "waiting");
  }

  /** Whether the page shows the newest turn, and whether it shows the oldest one that was read. */
  get atEnd() {
    return this.#window.atEnd;
  }

  get atStart() {
    return this.#window.from === 0;
  }

  find(id) {
    return this.#turns.find((turn) => turn.id === id);
  }

  /** The turn that stands on the page as *node*. */
  turnOf(node) {
    return this.#turns.find((turn) => turn.root === node);
  }

  /** Shows a message of this page that the gateway does not have yet. */
  add(turn) {
    this.#turns.push(turn);
    this.#window.appended();
    this.#arrange();
  }

  remove(turn) {
    const index = this.#turns.indexOf(turn);
    if (index < 0) return;
    this.#turns.splice(index, 1);
    this.#window.removed(index);
    this.#arrange();
  }

  /** Has exactly the turns of *history*, and after them what is still to be sent. */
  replace(history) {
    const loaded = this.#load(history);
    this.#turns = [...loaded, ...this.#turns.filter((turn) => turn.id === null)];
    this.#window.length = this.#turns.length;
    this.showEnd();
  }

  /** Has an older page before what was read; `showOlder` or `showAround` bring it onto the page. */
  prepend(history) {
    const older = this.#load(history).filter((turn) => !this.#turns.includes(turn));
    this.#turns.unshift(...older);
    this.#window.prepended(older.length);
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
    this.#window.around(this.#turns.indexOf(turn));
    this.#arrange();
  }

  /** Shows calls that wait for an answer, each in its turn. */
  ask(approvals) {
    for (const approval of approvals) this.find(approval.message_id)?.ask(approval);
  }

  /** Takes one event of this thread; whether it changed anything. */
  apply({ id, name, data }) {
    if (!data.message_id) return false;
    const turn = this.find(data.message_id) ?? this.#adopt(data, name);
    turn.apply(name, data, id);
    return true;
  }

  /** The gateway took *turn* as message *id*. */
  accepted(turn, id) {
    if (turn.id !== null) return;
    if (this.find(id)) this.remove(turn);
    else turn.accepted(id);
  }

  #arrange() {
    const shown = this.#turns.slice(this.#window.from, this.#window.to);
    arrange(this.#container, shown.map((turn) => turn.root));
  }

  // An unknown message is either ours, heard of before its sending was answered, or someone else's.
  #adopt({ message_id: id, content }, name) {
    const message = name === "user_message" ? content : "";
    const ours = this.#turns.find((turn) => turn.id === null && turn.message.trim() === message.trim());
    if (ours) {
      ours.accepted(id);
      return ours;
    }
    const turn = new Turn({ id, message });
    this.add(turn);
    return turn;
  }

  #load({ turns, in_progress: progress }) {
    return turns.map((data) => {
      const turn = this.find(data.message_id) ?? new Turn();
      turn.load(data, progress?.message_id === data.message_id ? progress : null);
      return turn;
    });
  }
}
