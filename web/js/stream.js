/** A stream of events or lines: read by fetch, opened again for ever, resumed where it broke. */

import { Backoff } from "./backoff.js";
import { Pause } from "./pause.js";
import { FrameParser } from "./sse.js";

// The gateway sends at least a comment every 15 s; three missed ones mean a dead line.
const SILENCE = 45000;
const UNSEEN = 10000;

/**
 * Fires "open"; "lost" with `{error, wait}` (the next attempt in *wait* ms); "event" with `{id, name, data}`.
 */
export class EventStream extends EventTarget {
  #ask;
  #last;
  #backoff = new Backoff();
  #lastId = null;
  #running = null;
  #resting = false;
  #unseen = null;
  #pause = new Pause();

  /**
   * @param {(lastId: string|number|null, signal: AbortSignal) => Promise<Response>} ask opens it after *lastId*; null: from now on
   * @param {string|null} last the event after which nothing comes
   */
  constructor(ask, last = null) {
    super();
    this.#ask = ask;
    this.#last = last;
  }

  /** The last event that was seen, or from which on was asked; null: none yet. */
  get lastId() {
    return this.#lastId;
  }

  /** Opens (or opens anew) after the event *lastId*; null: from now on. */
  start(lastId) {
    this.close();
    this.#lastId = lastId;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  close() {
    this.#running?.abort();
    this.#running = null;
    this.#resting = false;
    clearTimeout(this.#unseen);
    this.#pause.end();
  }

  /** Nobody looks: after a while the connection is given back, as a browser has only six for one server in all tabs. */
  unseen() {
    clearTimeout(this.#unseen);
    this.#unseen = setTimeout(() => this.#rest(), UNSEEN);
  }

  #rest() {
    if (this.#running === null) return;
    this.close();
    this.#resting = true;
  }

  /** Ends a rest, or a wait between two attempts when there is reason to hope. */
  wake() {
    clearTimeout(this.#unseen);
    if (this.#resting) this.start(this.#lastId);
    else this.#pause.end();
  }

  async #run(signal) {
    while (!signal.aborted) {
      const attempt = new Attempt(signal);
      const error = await this.#read(attempt).then(() => null, (reason) => reason);
      attempt.end();
      if (signal.aborted || error?.status === 401) return;
      this.#backoff.heldFor(attempt.heldFor);
      const wait = this.#backoff.next(error?.retryAfter);
      this.#fire("lost", { error, wait });
      await this.#pause.wait(wait);
    }
  }

  async #read(attempt) {
    const response = await this.#ask(this.#lastId, attempt.signal);
    attempt.opened();
    this.#fire("open", null);
    const parser = new FrameParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      attempt.alive();
      for (const frame of parser.push(decoder.decode(value, { stream: true }))) {
        if (attempt.signal.aborted) return;
        this.#take(frame);
      }
    }
  }

  // The lines of the log have their id among their fields.
  #take({ id: named, name, data }) {
    let fields;
    try {
      fields = JSON.parse(data);
    } catch {
      return;
    }
    const id = named ?? (Number.isInteger(fields.id) ? fields.id : null);
    if (isOld(id, this.#lastId) && name !== "reset" && name !== this.#last) return;
    if (id !== null) this.#lastId = id;
    if (name === this.#last) this.close();
    if (name === "reset") this.#lastId = fields.last_id;
    this.#fire("event", { id, name, data: fields });
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** One try at the connection, with the watchdog that gives it up when nothing comes. */
class Attempt {
  #controller = new AbortController();
  #timer = null;
  #openedAt = null;
  #stop = () => this.#controller.abort();

  constructor(parent) {
    this.parent = parent;
    parent.addEventListener("abort", this.#stop);
    this.alive();
  }

  get signal() {
    return this.#controller.signal;
  }

  get heldFor() {
    return this.#openedAt === null ? 0 : performance.now() - this.#openedAt;
  }

  opened() {
    this.#openedAt = performance.now();
  }

  alive() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#stop, SILENCE);
  }

  end() {
    clearTimeout(this.#timer);
    this.parent.removeEventListener("abort", this.#stop);
    this.#stop();
  }
}

function isOld(id, lastId) {
  return id !== null && lastId !== null && Number(id) <= Number(lastId);
}
