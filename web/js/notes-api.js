/** What the page asks of the gateway about notes. How it asks: `http.js`. */

/** *etag* is always the one of the text that was read; an empty one: there must not be such a file yet. */
export class NotesApi {
  #api;

  /** @param {import("./http.js").Http} api */
  constructor(api) {
    this.#api = api;
  }

  /** All files by path, a thousand at a time. */
  tree(cursor = null) {
    return this.#get("tree", { cursor });
  }

  read(path) {
    return this.#get("read", { path });
  }

  search(text) {
    return this.#get("search", { query: text, limit: 50 });
  }

  write(path, content, etag) {
    return this.#post("write", { path, content, etag });
  }

  move(path, to, etag) {
    return this.#post("move", { path, to, etag });
  }

  delete(path, etag) {
    return this.#api.json("DELETE", address("raw", { path }), { headers: { "If-Match": `"${etag}"` } });
  }

  versions(path, { cursor = null, limit = 30 } = {}) {
    return this.#get("versions", { path, cursor, limit });
  }

  /** The text of a version. */
  version(path, id) {
    return this.#get("versions", { path, id });
  }

  /** What is different in the version *other* from the version *id*. */
  difference(path, id, other) {
    return this.#get("versions", { path, id, diff: other });
  }

  restore(path, id, etag) {
    return this.#post("restore", { path, id, etag });
  }

  /** The reply with a file's bytes, to be saved; with "HEAD" only what they are. */
  file(path, method = "GET") {
    return this.#api.fetch(address("raw", { path, download: true }), { method });
  }

  #get(what, values) {
    return this.#api.json("GET", address(what, values));
  }

  #post(what, body) {
    return this.#api.json("POST", `memory/${what}`, { body });
  }
}

function address(what, values) {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return `memory/${what}?${new URLSearchParams(given)}`;
}
