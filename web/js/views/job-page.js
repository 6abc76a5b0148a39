/** One job: what it prints, above it how it is in one line and what can be done, and its files. */

import { fromTemplate, part, setText, showText, timeNode } from "../dom.js";
import { jobAddress, jobFilesAddress } from "../jobs-route.js";
import { COMMON } from "../words/common.js";
import { factTexts, hasEnded, JOBS, stateText } from "../words/jobs.js";
import { addressOf } from "../route.js";
import { furtherFacts } from "../words/language.js";
import { dayAndTime } from "../words/times.js";
import { JobActs } from "./job-acts.js";
import { JobFiles } from "./job-files.js";
import { JobLog } from "./job-log.js";
import { PageHead } from "./page-head.js";

/** Fires on its root, bubbling: "told" with a text or, for what goes on, a function; "go" with the id of another job; "named". */
export class JobPage {
  #api;
  #book;
  #files;
  #open = false;
  #seconds = setInterval(() => this.#open && !document.hidden && this.show(), 1000);

  /** @param {import("../jobs-api.js").JobsApi} api @param {import("../job-book.js").JobBook} book */
  constructor(api, book, id) {
    this.root = fromTemplate("job");
    this.#api = api;
    this.#book = book;
    this.id = id;
    this.head = new PageHead(part(this.root, "head"), JOBS.about);
    this.acts = new JobActs(api, id);
    this.log = new JobLog(this.root, api, id);
    this.#files = new JobFiles(part(this.root, "files"), api, id);
    part(this.root, "to-output").setAttribute("href", jobAddress(id));
    part(this.root, "to-files").setAttribute("href", jobFilesAddress(id));
    this.#listen();
  }

  get title() {
    return this.#job?.title ?? "";
  }

  /** @param {import("../jobs-route.js").JobRoute} route */
  async open({ files, path }) {
    this.#open = true;
    this.#turnTo(files);
    if (this.#job === undefined || !("command" in this.#job)) await this.#read();
    this.show();
    if (!this.#open) return;
    this.log.open();
    if (files) this.#files.open(path, this.#job?.browse_url);
  }

  leave() {
    this.#open = false;
    this.log.leave();
  }

  close() {
    this.#open = false;
    clearInterval(this.#seconds);
    this.log.close();
  }

  /** What is known of it may have changed. */
  show() {
    const job = this.#job;
    if (job === undefined) return;
    this.root.dataset.state = job.status;
    setText(part(this.root, "state"), this.acts.stopping && !hasEnded(job.status) ? JOBS.stoppingState : stateText(job));
    setText(part(this.root, "facts"), furtherFacts(factTexts(job)));
    this.#since(new Date(job.started_at ?? job.created_at));
    showText(part(this.root, "detail"), job.reason === "exit_code" ? "" : job.detail);
    setText(part(this.root, "given"), job.command ?? job.prompt ?? "");
    part(this.root, "given").classList.toggle("in-words", Boolean(job.prompt));
    part(this.root, "chat").hidden = !job.thread_id;
    if (job.thread_id) part(this.root, "chat").setAttribute("href", addressOf(job.thread_id));
    if (job.browse_url) part(this.root, "browse").setAttribute("href", job.browse_url);
    this.log.show(job);
    this.head.show(this.#possible(job));
  }

  /** The focus goes to the text. */
  focus() {
    part(this.root, "scroll").focus({ preventScroll: true });
  }

  get #job() {
    return this.#book.find(this.id);
  }

  #listen() {
    part(this.root, "instead").addEventListener("click", () => (location.hash = jobAddress()));
    this.acts.addEventListener("changed", () => this.show());
    this.acts.addEventListener("go", ({ detail }) => this.#fire("go", detail));
    this.acts.addEventListener("told", ({ detail }) => this.#fire("told", detail));
    this.log.addEventListener("trouble", ({ detail }) => this.#fire("told", detail ?? ""));
    this.log.addEventListener("gone", () => this.#gone());
    this.log.addEventListener("ended", ({ detail }) => this.#ended(detail));
  }

  async #read() {
    try {
      const { logs: _, ...job } = await this.#api.read(this.id);
      this.#book.put(job);
      this.#fire("named", null);
    } catch (error) {
      if (error.status === 404) this.#gone();
      else this.#fire("told", JOBS.unreadable(error.message));
    }
  }

  #ended(outcome) {
    this.#book.apply({ name: "job_updated", data: { ...this.#job, job_id: this.id, ...outcome } });
    this.show();
    this.#files.refresh();
  }

  #gone() {
    this.root.dataset.gone = "";
  }

  #turnTo(files) {
    part(this.root, "log").hidden = files;
    part(this.root, "files").hidden = !files;
    for (const [name, current] of [["to-output", !files], ["to-files", files]]) {
      if (current) part(this.root, name).setAttribute("aria-current", "page");
      else part(this.root, name).removeAttribute("aria-current");
    }
  }

  #since(time) {
    const node = timeNode(time, dayAndTime(time));
    const mark = part(this.root, "since");
    if (mark.firstChild?.isEqualNode(node) !== true) mark.replaceChildren(node);
  }

  #possible({ status }) {
    const more = [{ label: JOBS.downloadOutput, act: () => this.acts.download() }];
    if (!hasEnded(status)) return [this.#stop, { label: COMMON.more, items: more }];
    return [
      { label: JOBS.runAgain, act: () => this.acts.restart(), primary: true },
      { label: COMMON.more, items: [...more, { label: COMMON.delete, act: () => this.head.ask("job-delete", () => this.acts.delete()) }] },
    ];
  }

  get #stop() {
    return this.acts.stopping ? { label: COMMON.stopping, act: () => {}, primary: true } : { label: COMMON.stop, act: () => this.acts.stop(), primary: true };
  }

  #fire(name, detail) {
    this.root.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}
