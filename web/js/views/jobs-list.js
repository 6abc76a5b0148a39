/** The table of jobs, the newest first: read once, then moved on by events. Older ones come when they are asked for. */

import { arrange, part, setText } from "../dom.js";
import { JOBS } from "../words/jobs.js";
import { JobRow } from "./job-row.js";
import { ScrollPlace } from "./scroll-place.js";

const SOON = 5000; // after which what events told is read as the gateway has it
const SECOND = 1000;

export class JobsList {
  #root;
  #api;
  #book;
  #rows = new Map();
  #state = "new";
  #run = 0;
  #stale = null;
  #seconds = setInterval(() => this.#tick(), SECOND);

  /** @param {Element} root has the table @param {import("../jobs-api.js").JobsApi} api @param {import("../job-book.js").JobBook} book */
  constructor(root, api, book) {
    this.#root = root;
    this.#api = api;
    this.#book = book;
    this.place = new ScrollPlace(root, "jobs");
    part(root, "again").addEventListener("click", () => this.load());
    part(root, "older").addEventListener("click", () => this.#older());
  }

  /** Reads the newest ones; what was read before stays until then. */
  async load() {
    clearTimeout(this.#stale);
    this.#stale = null;
    const run = (this.#run += 1);
    if (this.#state !== "read") this.#become("reading");
    const [page, error] = await this.#api.list().then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    if (page === null) return this.#fail(error);
    this.#book.replace(page);
    this.#become("read");
  }

  /** Takes one event of a job. */
  apply(event) {
    if (this.#book.apply(event)) this.#stale ??= setTimeout(() => this.load(), SOON);
    this.show();
  }

  /** One was deleted: it is gone at once, whenever the list is read again. */
  remove(id) {
    this.#book.remove(id);
    this.show();
  }

  show() {
    const jobs = this.#book.newest;
    for (const id of this.#rows.keys()) if (this.#book.find(id) === undefined) this.#rows.delete(id);
    arrange(part(this.#root, "jobs"), jobs.map((job) => this.#row(job)));
    const empty = jobs.length === 0;
    part(this.#root, "table").hidden = empty;
    part(this.#root, "reading").hidden = this.#state !== "reading" || !empty;
    part(this.#root, "empty").hidden = this.#state !== "read" || !empty;
    part(this.#root, "failed").hidden = this.#state !== "failed";
    part(this.#root, "older").hidden = this.#book.cursor === null;
  }

  close() {
    clearInterval(this.#seconds);
    clearTimeout(this.#stale);
    this.place.close();
    this.#run += 1;
  }

  async #older() {
    const [page, error] = await this.#api.list(this.#book.cursor).then((found) => [found, null], (reason) => [null, reason]);
    if (page === null) return this.#fail(error);
    this.#book.append(page);
    this.show();
  }

  #fail(error) {
    setText(part(this.#root, "failed-text"), JOBS.listUnreadable(error.message));
    this.#become("failed");
  }

  #become(state) {
    const first = this.#state !== "read" && state === "read";
    this.#state = state;
    this.show();
    if (first) this.place.restore();
  }

  #tick() {
    if (document.hidden || !this.#root.checkVisibility()) return;
    for (const [id, row] of this.#rows) row.update(this.#book.find(id));
  }

  #row(job) {
    if (!this.#rows.has(job.id)) this.#rows.set(job.id, new JobRow());
    const row = this.#rows.get(job.id);
    row.update(job);
    return row.root;
  }
}
