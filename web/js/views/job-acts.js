/** What can be done with a job, and what is said when it can't. */

import { saveReply } from "../download.js";

/** Fires "changed"; "go" with the id of a job to be opened, null: this one is gone; "told" with a text. */
export class JobActs extends EventTarget {
  /** Whether its end was asked for and has not come yet. */
  stopping = false;
  #api;
  #id;

  /** @param {import("../jobs-api.js").JobsApi} api */
  constructor(api, id) {
    super();
    this.#api = api;
    this.#id = id;
  }

  async stop() {
    if (this.stopping) return;
    this.stopping = true;
    this.#fire("changed", null);
    await this.#attempt("Not stopped.", () => this.#api.stop(this.#id));
    this.stopping = false;
    this.#fire("changed", null);
  }

  restart() {
    return this.#attempt("Not started.", async () => this.#fire("go", (await this.#api.restart(this.#id)).id));
  }

  delete() {
    return this.#attempt("Not deleted.", async () => {
      await this.#api.delete(this.#id);
      this.#fire("go", null);
    });
  }

  download() {
    return this.#attempt("Not downloaded.", async () => saveReply(await this.#api.output(this.#id), `${this.#id}.log`));
  }

  async #attempt(failed, act) {
    try {
      await act();
    } catch (error) {
      this.#fire("told", `${failed} ${error.message}`);
    }
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
