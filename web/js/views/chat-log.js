/** The turns of one thread in order, known by their `message_id`; history and live events meet here. */

import { Turn } from "./turn.js";

export class ChatLog {
  #container;
  #turns = [];

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
    return this.#turns.some((turn) => turn.state === "running");
  }

  find(id) {
    return this.#turns.find((turn) => turn.id === id);
  }

  /** Shows a message of this page that the gateway does not have yet. */
  add(turn) {
    this.#turns.push(turn);
    this.#container.append(turn.root);
  }

  remove(turn) {
    this.#turns = this.#turns.filter((other) => other !== turn);
    turn.root.remove();
  }

  /** Shows exactly the turns of *history*, and after them what is still to be sent. */
  replace(history) {
    const loaded = this.#load(history);
    this.#turns = [...loaded, ...this.#turns.filter((turn) => turn.id === null)];
    const nodes = this.#turns.map((turn) => turn.root);
    const same = nodes.length === this.#container.children.length && nodes.every((node, index) => node === this.#container.children[index]);
    if (!same) this.#container.replaceChildren(...nodes);
  }

  /** Puts an older page before what is shown. */
  prepend(history) {
    const older = this.#load(history).filter((turn) => !this.#turns.includes(turn));
    this.#turns.unshift(...older);
    this.#container.prepend(...older.map((turn) => turn.root));
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
