/** The gateway's API with the token: JSON in and out, and errors that can be shown as they are. */

const TIMEOUT = 30000;

/** What the gateway or the network refused. `message` is for people. */
export class ApiError extends Error {
  /** @param {{code: string, message: string, status?: number, field?: string|null, retryAfter?: number}} parts */
  constructor({ code, message, status = 0, field = null, retryAfter = 0 }) {
    super(message);
    this.code = code;
    this.status = status;
    this.field = field;
    this.retryAfter = retryAfter;
  }
}

/** Fires "refused" when the gateway does not take the token (any more). */
export class Api extends EventTarget {
  #token;

  /** @param {string|null} token null: somebody before the gateway says who we are */
  constructor(token) {
    super();
    this.#token = token;
  }

  status() {
    return this.#json("GET", "status");
  }

  /** @param {{threadId?: string|null, cursor?: string|null, limit?: number}} which without a thread: the default one */
  history({ threadId = null, cursor = null, limit = 50 } = {}) {
    return this.#json("GET", `chat/history?${query({ thread_id: threadId, cursor, limit })}`);
  }

  threads(cursor = null) {
    return this.#json("GET", `chat/threads?${query({ cursor, limit: 100 })}`);
  }

  createThread() {
    return this.#json("POST", "chat/threads", { body: {} });
  }

  /** @param {{title?: string, pinned?: boolean}} changes */
  changeThread(threadId, changes) {
    return this.#json("PATCH", threadPath(threadId), { body: changes });
  }

  deleteThread(threadId) {
    return this.#json("DELETE", threadPath(threadId));
  }

  /** A new thread with what was said before *messageId*. */
  forkThread(threadId, messageId) {
    return this.#json("POST", `${threadPath(threadId)}/fork`, { body: { message_id: messageId } });
  }

  /** @param {"markdown"|"json"} format */
  exportThread(threadId, format) {
    return this.#fetch(`${threadPath(threadId)}/export?${query({ format })}`, { signal: timeout(TIMEOUT) });
  }

  search(text) {
    return this.#json("GET", `chat/search?${query({ query: text, limit: 50 })}`);
  }

  /** The same *key* never runs a message twice, however often it is sent. */
  send(message, threadId, key) {
    const body = threadId === null ? { message } : { message, thread_id: threadId };
    return this.#json("POST", "chat/send", { body, headers: { "Idempotency-Key": key } });
  }

  /** Ends the running turn; with *waiting* also what waits behind it. */
  stop(threadId, { waiting }) {
    return this.#json("POST", "chat/stop", { body: { thread_id: threadId, queued: waiting ? "drop" : "keep" } });
  }

  /** The open event stream, from after *lastId*. */
  events(lastId, signal) {
    return this.#fetch(`chat/events?${query({ last_event_id: lastId })}`, { headers: { Accept: "text/event-stream" }, signal });
  }

  async #json(method, path, { body, headers = {} } = {}) {
    const request = { method, headers: { Accept: "application/json", ...headers }, signal: timeout(TIMEOUT) };
    if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers["Content-Type"] = "application/json";
    }
    const response = await this.#fetch(path, request);
    try {
      return await response.json();
    } catch {
      throw unreachable();
    }
  }

  async #fetch(path, request) {
    const response = await this.#attempt(path, request);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401) this.dispatchEvent(new Event("refused"));
    throw error;
  }

  async #attempt(path, request) {
    const headers = { ...request.headers };
    if (this.#token !== null) {
      // A header can't carry other characters: such a token is wrong without asking.
      if (!/^[\x21-\x7e]+$/.test(this.#token)) return new Response(null, { status: 401 });
      headers.Authorization = `Bearer ${this.#token}`;
    }
    try {
      return await fetch(`./api/${path}`, { ...request, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    }
  }
}

async function errorOf(response) {
  const told = await response.json().then((body) => body.error, () => null);
  return new ApiError({
    code: told?.code ?? "unknown",
    message: told?.message ?? `The gateway answered with an error (${response.status}). Try again in a moment.`,
    status: response.status,
    field: told?.field ?? null,
    retryAfter: Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0,
  });
}

function unreachable() {
  return new ApiError({ code: "unreachable", message: "The gateway can't be reached. Check that it is running and that you are on its network." });
}

function threadPath(threadId) {
  return `chat/threads/${encodeURIComponent(threadId)}`;
}

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return new URLSearchParams(given).toString();
}

function timeout(milliseconds) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new DOMException("too slow", "TimeoutError")), milliseconds);
  return controller.signal;
}
