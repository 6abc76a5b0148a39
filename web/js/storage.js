/** What the browser keeps for us, in this tab or on this device; where storage is switched off, as long as the page. */

// Two gateways may be mounted on one origin: each keeps its own things, under the folder that its page is served from.
const PREFIX = `ironclaw:${new URL(".", globalThis.location?.href ?? "http://localhost/").pathname}:`;

class Keep {
  #storage;
  #held = new Map();

  /** @param {() => Storage} storage a function, since already asking for it may be refused */
  constructor(storage) {
    this.#storage = storage;
  }

  /** @returns {string|null} */
  get(name) {
    try {
      return this.#storage().getItem(PREFIX + name) ?? this.#held.get(name) ?? null;
    } catch {
      return this.#held.get(name) ?? null;
    }
  }

  /** @param {string|null} text null: forget it */
  set(name, text) {
    this.#held.delete(name);
    try {
      if (text === null) this.#storage().removeItem(PREFIX + name);
      else this.#storage().setItem(PREFIX + name, text);
    } catch {
      if (text !== null) this.#held.set(name, text);
    }
  }

  /** The value that was kept by `setValue`, or *missing*. */
  getValue(name, missing) {
    try {
      return JSON.parse(this.get(name)) ?? missing;
    } catch {
      return missing;
    }
  }

  setValue(name, value) {
    this.set(name, value === null ? null : JSON.stringify(value));
  }

  /** Forgets all that is ours. */
  clear() {
    this.#held.clear();
    try {
      const names = Object.keys(this.#storage()).filter((name) => name.startsWith(PREFIX));
      for (const name of names) this.#storage().removeItem(name);
    } catch {
      return;
    }
  }
}

export const tab = new Keep(() => sessionStorage);
export const device = new Keep(() => localStorage);
