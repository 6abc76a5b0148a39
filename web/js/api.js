/** The gateway's API: one method for each thing that the page asks of it. */

import { Http } from "./http.js";

const UPLOADING = 300000; // milliseconds: pictures over a slow line
const LOADING = 330000; // milliseconds: a machine at home may first have to read the model from its disk

/** Fires "refused" when the gateway does not take the token (any more). */
export class Api extends Http {
  status() {
    return this.json("GET", "status");
  }

  /** @param {{threadId?: string|null, cursor?: string|null, limit?: number}} which without a thread: the default one */
  history({ threadId = null, cursor = null, limit = 50 } = {}) {
    return this.json("GET", `chat/history?${query({ thread_id: threadId, cursor, limit })}`);
  }

  threads(cursor = null) {
    return this.json("GET", `chat/threads?${query({ cursor, limit: 100 })}`);
  }

  createThread() {
    return this.json("POST", "chat/threads", { body: {} });
  }

  /** @param {{title?: string, pinned?: boolean}} changes */
  changeThread(threadId, changes) {
    return this.json("PATCH", threadPath(threadId), { body: changes });
  }

  deleteThread(threadId) {
    return this.json("DELETE", threadPath(threadId));
  }

  /** A new thread with what was said before *messageId*. */
  forkThread(threadId, messageId) {
    return this.json("POST", `${threadPath(threadId)}/fork`, { body: { message_id: messageId } });
  }

  /** @param {"markdown"|"json"} format */
  exportThread(threadId, format) {
    return this.fetch(`${threadPath(threadId)}/export?${query({ format })}`);
  }

  search(text) {
    return this.json("GET", `chat/search?${query({ query: text, limit: 50 })}`);
  }

  /** The same *key* never runs a message twice, however often it is sent. */
  send(message, threadId, key, files = []) {
    const body = threadId === null ? { message } : { message, thread_id: threadId };
    if (files.length > 0) body.attachments = files.map(({ name, media_type, data }) => ({ name, media_type, data }));
    return this.json("POST", "chat/send", { body, headers: { "Idempotency-Key": key }, patience: files.length > 0 ? UPLOADING : undefined, told: true });
  }

  /** The bytes of a file that came with a message. */
  async attachment(messageId, number) {
    return (await this.fetch(`chat/attachments/${encodeURIComponent(messageId)}/${number}`)).blob();
  }

  /** Ends the running turn; with *waiting* also what waits behind it. */
  stop(threadId, { waiting }) {
    return this.json("POST", "chat/stop", { body: { thread_id: threadId, queued: waiting ? "drop" : "keep" } });
  }

  /** All tool calls that wait for an answer. */
  approvals() {
    return this.json("GET", "chat/approvals");
  }

  /** @param {"approve"|"always"|"deny"} action */
  settle(requestId, action) {
    return this.json("POST", "chat/approval", { body: { request_id: requestId, action } });
  }

  model() {
    return this.json("GET", "model");
  }

  /** The models of the connected server. */
  models() {
    return this.json("GET", "model/available");
  }

  /** The model servers of the gateway's own machine. */
  discoverModels() {
    return this.json("GET", "model/discover");
  }

  /** @param {{address: string, api_key?: string, model?: string}} what nothing of it is kept */
  testModel(what) {
    return this.json("POST", "model/test", { body: what, patience: LOADING, told: true });
  }

  /** @param {{base_url?: string, api_key?: string, model?: string, test?: boolean}} what */
  useModel(what) {
    return this.json("PUT", "model", { body: what, patience: LOADING, told: true });
  }

  forgetModel() {
    return this.json("DELETE", "model");
  }

  usage(days) {
    return this.json("GET", `usage?${query({ days })}`);
  }

  budget() {
    return this.json("GET", "budget");
  }

  /** @param {{day_usd: number|null, month_usd: number|null}} limits null: none */
  setBudget(limits) {
    return this.json("PUT", "budget", { body: limits });
  }

  /** The open event stream, from after *lastId*; null: from now on. */
  events(lastId, signal) {
    return this.fetch(`chat/events?${query({ last_event_id: lastId })}`, { headers: { Accept: "text/event-stream" }, signal });
  }
}

function threadPath(threadId) {
  return `chat/threads/${encodeURIComponent(threadId)}`;
}

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return new URLSearchParams(given).toString();
}
