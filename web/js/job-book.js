/** The jobs that the page knows, the newest first: read in pages, moved on by events. Pure. */

import { hasEnded } from "./words/jobs.js";

/** @typedef {{id: string, title: string, status: string, created_at: string, started_at: string|null, ended_at: string|null}} Job */

export class JobBook {
  /** Where the next older page begins; null: there is none. */
  cursor = null;
  #jobs = new Map();
  #order = [];

  /** @returns {Job[]} */
  get newest() {
    return this.#order.map((id) => this.#jobs.get(id));
  }

  /** @returns {Job|undefined} */
  find(id) {
    return this.#jobs.get(id);
  }

  /** Has the newest page, and behind it what was read of older ones. */
  replace({ jobs, next_cursor: cursor }) {
    const ids = jobs.map(({ id }) => id);
    const joint = this.#order.indexOf(ids.at(-1));
    const older = cursor === null || joint < 0 ? [] : this.#order.slice(joint + 1).filter((id) => !ids.includes(id));
    if (older.length === 0) this.cursor = cursor;
    this.#set(jobs, [...ids, ...older]);
  }

  /** Has an older page, too. */
  append({ jobs, next_cursor: cursor }) {
    this.cursor = cursor;
    this.#set(jobs, [...new Set([...this.#order, ...jobs.map(({ id }) => id)])]);
  }

  /** Takes what was read of one job, also of one that is further down than the list was read. */
  put(job) {
    this.#jobs.set(job.id, { ...this.#jobs.get(job.id), ...job });
  }

  remove(id) {
    this.#jobs.delete(id);
    this.#order = this.#order.filter((one) => one !== id);
  }

  /** Takes an event; whether a job came, or goes on in another state. Its times are about right until it is read again. */
  apply({ name, data }, now = new Date()) {
    const { job_id: id, browse_path: _, ...facts } = data;
    const known = this.#jobs.get(id);
    if (known === undefined && name !== "job_started") return true;
    const job = { created_at: now.toISOString(), started_at: null, ended_at: null, ...known, ...facts, id };
    if (job.status === "running") job.started_at ??= now.toISOString();
    if (hasEnded(job.status)) {
      job.ended_at ??= now.toISOString();
      delete job.last_line;
    }
    this.#jobs.set(id, job);
    if (known === undefined) this.#order.unshift(id);
    return known?.status !== job.status;
  }

  #set(jobs, order) {
    const kept = new Set(order);
    for (const id of this.#order) if (!kept.has(id)) this.#jobs.delete(id);
    for (const job of jobs) this.#jobs.set(job.id, job);
    this.#order = order;
  }
}
