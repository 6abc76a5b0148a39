/** What can be done with a job, and what is said when it can't. */

import { saveReply } from "../download.js";
import { COMMON } from "../words/common.js";

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
    await this.#attempt(COMMON.notStopped, () => this.#api.stop(this.#id));
    this.stopping = false;
    this.#fire("changed", null);
  }

  restart() {
    return this.#attempt(COMMON.notStarted, async () => this.#fire("go", (await this.#api.restart(this.#id)).id));
  }

  delete() {
    return this.#attempt(COMMON.notDeleted, async () => {
      await this.#api.delete(this.#id);
      this.#fire("go", null);
    });
  }

  download() {
    return this.#attempt(COMMON.notDownloaded, async () => saveReply(await this.#api.output(this.#id), `${this.#id}.log`));
  }

  async #attempt(failed, act) {
    try {
      await act();
    } catch (error) {
      this.#fire("told", failed(error.message));
    }
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
