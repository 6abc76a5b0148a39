/** What the page asks of the gateway about jobs. How it asks: `http.js`. */

const STOPPING = 60000;

export class JobsApi {
  #api;

  /** @param {import("./http.js").Http} api */
  constructor(api) {
    this.#api = api;
  }

  /** The newest jobs, or those before *cursor*. */
  list(cursor = null) {
    return this.#api.json("GET", `jobs?limit=50${cursor === null ? "" : `&cursor=${cursor}`}`);
  }

  /** @param {{command?: string, prompt?: string, timeout_seconds?: number, memory_mb?: number, network?: boolean}} what */
  launch(what) {
    return this.#api.json("POST", "jobs", { body: what });
  }

  read(id) {
    return this.#api.json("GET", address(id));
  }

  /** Answered when it has ended. */
  stop(id) {
    return this.#api.json("POST", address(id, "/stop"), { patience: STOPPING });
  }

  /** A new job that does the same. */
  restart(id) {
    return this.#api.json("POST", address(id, "/restart"));
  }

  delete(id) {
    return this.#api.json("DELETE", address(id));
  }

  /** What it prints, from the byte *place* on, to its end. */
  follow(id, place, signal) {
    return this.#api.fetch(address(id, `/logs${place === null ? "" : `?last_event_id=${place}`}`), { headers: { Accept: "text/event-stream" }, signal });
  }

  /** What it has printed, byte by byte, to be saved. */
  output(id) {
    return this.#api.fetch(address(id, "/logs?raw=true"));
  }

  files(id, path) {
    return this.#api.json("GET", address(id, `/files/list?path=${encodeURIComponent(path)}`));
  }

  /** The reply with a file's bytes, to be saved. */
  file(id, path) {
    return this.#api.fetch(address(id, `/files/read?download=true&path=${encodeURIComponent(path)}`));
  }
}

function address(id, rest = "") {
  return `jobs/${encodeURIComponent(id)}${rest}`;
}
