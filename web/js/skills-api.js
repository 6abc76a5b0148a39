/** What the page asks of the gateway about skills. */

export class SkillsApi {
  #api;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** Installed or not, the best first; all without words. */
  search(query = "") {
    return this.#api.json("GET", `skills/search?${new URLSearchParams({ query })}`);
  }

  /** The installed ones, and the folders that are no usable skill. */
  list() {
    return this.#api.json("GET", "skills/list");
  }

  /** One that is on the gateway's machine; else what an install by that name would bring. */
  async read(name) {
    try {
      return await this.#api.json("GET", path(name));
    } catch (error) {
      if (error.status !== 404) throw error;
      return this.preview({ name });
    }
  }

  /** @param {{name?: string, url?: string, archive?: string, content?: string}} what nothing of it is kept */
  preview(what) {
    return this.#api.json("POST", "skills/preview", { body: what });
  }

  /** @param {object} what as in `preview`; with `hash` only what was looked at, with `update` in place of an installed one */
  install(what) {
    return this.#api.json("POST", "skills/install", { body: what });
  }

  /** @param {{hash?: string, tools?: "read"|"all"}} how */
  enable(name, how) {
    return this.#api.json("POST", `${path(name)}/enable`, { body: how });
  }

  disable(name) {
    return this.#api.json("POST", `${path(name)}/disable`);
  }

  remove(name) {
    return this.#api.json("DELETE", path(name));
  }

  /** @param {string} hash of the text that was changed; empty: there must be none */
  save(name, content, hash) {
    return this.#api.json("PUT", path(name), { body: { content, hash } });
  }
}

function path(name) {
  return `skills/${encodeURIComponent(name)}`;
}
