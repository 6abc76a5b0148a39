/** What the page asks of the gateway about its log. How it asks: `http.js`. */

const MOST = 2000; // lines that the gateway keeps

export class LogsApi {
  #api;

  /** @param {import("./http.js").Http} api */
  constructor(api) {
    this.#api = api;
  }

  /** The lines after the line *lastId*, or the last ones, and then those that come. */
  follow(lastId, signal) {
    const after = lastId === null ? "" : `&after=${lastId}`;
    return this.#api.fetch(`logs/stream?backlog=${MOST}${after}`, { headers: { Accept: "text/event-stream" }, signal });
  }

  /** The last lines as text. */
  text() {
    return this.#api.fetch(`logs/stream?backlog=${MOST}&follow=0`, { headers: { Accept: "text/plain" } });
  }

  /** From which level on lines are written. */
  level() {
    return this.#api.json("GET", "logs/level");
  }

  /** @param {string} level for as long as the gateway runs */
  setLevel(level) {
    return this.#api.json("POST", "logs/level", { body: { level } });
  }
}
