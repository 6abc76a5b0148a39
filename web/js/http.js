/** Requests to the gateway with the token, and its refusals as errors that can be shown as they are. Which there are: `api.js`. */

import { COMMON } from "./words/common.js";

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

/** Fires "refused" when the gateway does not take the token (any more), "working" with the number of changes that are under way. */
export class Http extends EventTarget {
  #token;
  #underWay = new Map();

  /** @param {string|null} token null: somebody before the gateway says who we are */
  constructor(token) {
    super();
    this.#token = token;
  }

  /**
   * What the gateway answers, read as JSON, within *patience* milliseconds. A change that is under way is not asked for twice.
   * *told*: whoever asks says himself that he waits.
   */
  async json(method, path, { body, headers = {}, patience = TIMEOUT, told = false } = {}) {
    const request = { method, headers: { Accept: "application/json", ...headers } };
    if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers["Content-Type"] = "application/json";
    }
    if (method === "GET") return this.#read(path, request, patience);
    const key = JSON.stringify([path, request]);
    if (!this.#underWay.has(key)) this.#begin(key, this.#read(path, request, patience), told);
    return this.#underWay.get(key).answer;
  }

  #begin(key, answer, told) {
    const over = () => {
      this.#underWay.delete(key);
      this.#work();
    };
    this.#underWay.set(key, { answer, told });
    answer.then(over, over);
    this.#work();
  }

  #work() {
    const untold = [...this.#underWay.values()].filter(({ told }) => !told);
    this.dispatchEvent(new CustomEvent("working", { detail: untold.length }));
  }

  async #read(path, request, patience) {
    const response = await this.fetch(path, { ...request, signal: AbortSignal.timeout(patience) });
    try {
      return await response.json();
    } catch {
      throw unreachable();
    }
  }

  /** The answer as it is. */
  async fetch(path, request = {}) {
    const signal = request.signal ?? AbortSignal.timeout(TIMEOUT);
    const response = await this.#attempt(path, { ...request, signal });
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
    message: told?.message ?? COMMON.answeredWrong(response.status),
    status: response.status,
    field: told?.field ?? null,
    retryAfter: Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0,
  });
}

function unreachable() {
  return new ApiError({ code: "unreachable", message: COMMON.unreachable });
}
