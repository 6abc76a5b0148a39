/**
 * The turns of one thread in order. Each stands here once: it is known by its `message_id`, and one that was written on this
 * page by the key under which it is sent, until the gateway has told its id. Pure.
 */

/** @template {{id: string|null, key: string|null}} T */
export class TurnList {
  /** @type {T[]} */
  all = [];
  #met = new Set(); // those of this page that the gateway took since a history was asked for

  find(id) {
    return this.all.find((turn) => turn.id === id);
  }

  /** The one that is sent from this page under *key*. */
  sentUnder(key) {
    return key ? this.all.find((turn) => turn.key === key) : undefined;
  }

  /** The one that the gateway speaks of, in its history or in an event. */
  match({ message_id: id, idempotency_key: key }) {
    return this.find(id) ?? this.sentUnder(key);
  }

  /** Where it stood; negative: it did not. */
  remove(turn) {
    const index = this.all.indexOf(turn);
    if (index >= 0) this.all.splice(index, 1);
    return index;
  }

  /** From here on a history is on its way, which may not have what is sent meanwhile. */
  asked() {
    this.#met.clear();
  }

  /** The gateway has taken *turn*. */
  accepted(turn) {
    this.#met.add(turn);
  }

  /** Has exactly these, and after them what the gateway did not have when it was asked. @param {T[]} loaded */
  replace(loaded) {
    const known = new Set(loaded);
    this.all = [...loaded, ...this.all.filter((turn) => !known.has(turn) && (turn.id === null || this.#met.has(turn)))];
  }

  /** Has these before the others; how many were new. @param {T[]} loaded */
  prepend(loaded) {
    const older = loaded.filter((turn) => !this.all.includes(turn));
    this.all.unshift(...older);
    return older.length;
  }
}
