/** What is known of the threads: the list as it was read, moved on by events. Pure. */

const ENDS = new Set(["response", "stopped", "turn_failed"]);
const STATES = { thinking: "running", approval_needed: "waiting" };
const LONGEST_TITLE = 60;

/** @typedef {{id: string, title: string, pinned: boolean, updated_at: string, turn_count: number, state: string}} Thread */

export class ThreadBook {
  #threads = new Map(); // newest first
  #newest = new Map();
  #unread;

  /** @param {Iterable<string>} unread threads with an answer that was not seen */
  constructor(unread = []) {
    this.#unread = new Set(unread);
  }

  get unread() {
    return [...this.#unread];
  }

  /** @returns {Thread[]} */
  get pinned() {
    return [...this.#threads.values()].filter((thread) => thread.pinned);
  }

  /** @returns {Thread[]} */
  get others() {
    return [...this.#threads.values()].filter((thread) => !thread.pinned);
  }

  get empty() {
    return this.#threads.size === 0;
  }

  /** @returns {Thread|undefined} */
  find(id) {
    return this.#threads.get(id);
  }

  /** A thread in which nothing was said yet. */
  findBlank() {
    return [...this.#threads.values()].find((thread) => thread.turn_count === 0 && thread.title === "");
  }

  isUnread(id) {
    return this.#unread.has(id);
  }

  /** Whether that is news. */
  read(id) {
    return this.#unread.delete(id);
  }

  clear() {
    this.#threads.clear();
  }

  /** The newest page, as it is now. */
  putNewest(threads) {
    const page = threads.map((thread) => [thread.id, thread]);
    this.#threads = new Map([...page, ...[...this.#threads].filter(([id]) => !threads.some((thread) => thread.id === id))]);
  }

  /** A page of older ones. */
  putOlder(threads) {
    for (const thread of threads) this.#threads.set(thread.id, thread);
  }

  /** One thread as the gateway has just answered it. */
  put(thread) {
    if (this.#threads.has(thread.id)) this.#threads.set(thread.id, thread);
    else this.#threads = new Map([[thread.id, thread], ...this.#threads]);
  }

  /**
   * Takes one event; *open* is the thread that is being read.
   * @returns {"changed"|"unknown"|"same"} unknown: what it tells of must be read from the gateway
   */
  apply({ name, data }, open, now = new Date()) {
    const { thread_id: id } = data;
    if (name === "thread_updated") return this.#updated(id, data.change);
    if (name !== "user_message" && !(name in STATES) && !ENDS.has(name)) return "same";
    const thread = this.#threads.get(id);
    if (ENDS.has(name) && name !== "stopped" && id !== open) this.#unread.add(id);
    if (!thread) return "unknown";
    if (name === "user_message") this.#said(thread, data, now);
    else if (name in STATES) this.#threads.set(id, { ...thread, state: STATES[name] });
    else if ((this.#newest.get(id) ?? data.message_id) === data.message_id) this.#threads.set(id, { ...thread, state: "idle" });
    return "changed";
  }

  #updated(id, change) {
    if (change === "created" || change === "changed") return "unknown";
    if (change !== "deleted" || !this.#threads.delete(id)) return "same";
    this.#unread.delete(id);
    return "changed";
  }

  #said(thread, { message_id: message, content }, now) {
    const { id, title, turn_count: count } = thread;
    this.#newest.set(id, message);
    this.#threads.delete(id);
    const said = { ...thread, title: title || titleOf(content), turn_count: count + 1, state: "queued", updated_at: now.toISOString() };
    this.#threads = new Map([[id, said], ...this.#threads]);
  }
}

function titleOf(message) {
  const line = message.trim().split(/\s+/).join(" ");
  return line.length <= LONGEST_TITLE ? line : `${line.slice(0, LONGEST_TITLE - 1).trimEnd()}…`;
}
