/** Reads a thread's history: the newest page until it has come, older ones when asked. */

import { Backoff } from "../backoff.js";
import { Pause } from "../pause.js";

// A server that sends one reset after the other is not asked without pause.
const TOO_SOON = 2000;

/** Fires "trouble" with `{error, wait}` before it tries again. */
export class ThreadLoader extends EventTarget {
  #api;
  #run = 0;
  #pause = new Pause();
  #backoff = new Backoff();
  #loadedAt = -Infinity;
  #older = null;
  #loadingOlder = false;

  constructor(api) {
    super();
    this.#api = api;
  }

  get hasOlder() {
    return this.#older !== null;
  }

  /** The newest page of *threadId* (null: the default thread), or null when another call took over. Throws when it is gone. */
  async newest(threadId) {
    const run = ++this.#run;
    this.#pause.end();
    if (performance.now() - this.#loadedAt < TOO_SOON) await this.#pause.wait(this.#backoff.next());
    while (run === this.#run) {
      const [page, error] = await this.#api.history({ threadId }).then((found) => [found, null], (reason) => [null, reason]);
      if (run !== this.#run || error?.status === 401) return null;
      if (page) return this.#loaded(page);
      if (error.status === 404 || error.status === 422) throw error;
      const wait = this.#backoff.next(error.retryAfter);
      this.dispatchEvent(new CustomEvent("trouble", { detail: { error, wait } }));
      await this.#pause.wait(wait);
    }
    return null;
  }

  /** The page before the oldest one read, or null when it is on its way. */
  async older(threadId, limit) {
    if (this.#loadingOlder) return null;
    this.#loadingOlder = true;
    const run = this.#run;
    try {
      const page = await this.#api.history({ threadId, cursor: this.#older, limit });
      if (run !== this.#run) return null;
      this.#older = page.next_cursor ?? null;
      return page;
    } finally {
      this.#loadingOlder = false;
    }
  }

  /** Ends a wait, when there is reason to hope. */
  wake() {
    this.#pause.end();
  }

  close() {
    this.#run += 1;
    this.#pause.end();
  }

  #loaded(page) {
    this.#backoff.heldFor(performance.now() - this.#loadedAt);
    this.#loadedAt = performance.now();
    this.#older = page.next_cursor ?? null;
    return page;
  }
}
