/** What all places share while somebody is signed in: the API, the one event stream, the status, and what waits for an answer. */

import { ApprovalBook } from "./approvals.js";
import { EventStream } from "./stream.js";

/**
 * Fires "event" with one of the stream's events; "connected" when the stream is open; "trouble" with `{error, wait}` when it
 * is not; "wake" when there is reason to hope; "status" and "approvals" when these have changed.
 */
export class Session extends EventTarget {
  /** The gateway's status as it was last read. */
  status = null;
  approvals = new ApprovalBook();
  /** Whether the stream was ever open. */
  connected = false;
  #stream;
  #begun = false;
  #closed = new AbortController();

  constructor(api) {
    super();
    this.api = api;
    this.#stream = new EventStream((lastId, signal) => api.events(lastId, signal));
    this.#listen();
    this.readStatus();
  }

  /** Opens the stream, once: after the event *lastId*, or from now on. */
  begin(lastId = null) {
    if (this.#begun) return;
    this.#begun = true;
    this.#stream.start(lastId);
    if (document.hidden) this.#stream.unseen();
  }

  close() {
    this.#closed.abort();
    this.#stream.close();
  }

  /** Reads the status; what fails here is tried again when the stream opens. */
  async readStatus() {
    const status = await this.api.status().catch(() => null);
    if (status === null || this.#closed.signal.aborted) return;
    this.status = status;
    this.#fire("status");
  }

  #listen() {
    const { signal } = this.#closed;
    this.#stream.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#stream.addEventListener("open", () => this.#opened());
    this.#stream.addEventListener("lost", ({ detail }) => this.#fire("trouble", detail));
    addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stream.unseen() : this.#wake()), { signal });
  }

  #fire(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #wake() {
    this.#stream.wake();
    this.#fire("wake");
  }

  #opened() {
    const again = this.connected;
    this.connected = true;
    this.#fire("connected");
    if (again || this.status === null) this.readStatus();
    // A break before the first event: nobody knows from where to go on.
    if (again && this.#stream.lastId === null) this.#take({ id: null, name: "reset", data: {} });
    if (!again) this.#readApprovals();
  }

  #take(event) {
    if (event.name === "reset") this.#anew();
    if (event.name === "model_updated") this.readStatus();
    if (this.approvals.apply(event)) this.#fire("approvals");
    this.#fire("event", event);
  }

  #anew() {
    this.approvals.clear();
    this.#readApprovals();
  }

  async #readApprovals() {
    const reply = await this.api.approvals().catch(() => null); // a thread that is opened also says what waits in it
    if (reply === null || this.#closed.signal.aborted) return;
    this.approvals.add(reply.approvals);
    this.#fire("approvals");
  }
}
