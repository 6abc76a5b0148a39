/** The jobs: one field that starts one, the table of them, and one of them with what it prints. */

import { fromTemplate, part } from "../dom.js";
import { JobBook } from "../job-book.js";
import { JobsApi } from "../jobs-api.js";
import { jobAddress, readJobRoute } from "../jobs-route.js";
import { asksToBegin, asksToFind } from "../keys.js";
import { COMMON } from "../words/common.js";
import { JobLaunch } from "./job-launch.js";
import { JobPage } from "./job-page.js";
import { JobsList } from "./jobs-list.js";
import { troubleText } from "./notice.js";
import { Said } from "./said.js";

const TOUCH = matchMedia("(pointer: coarse)");

/** Fires "titled" on its root. */
export default class JobsView {
  #session;
  #api;
  #book = new JobBook();
  #page = null;
  #shown = false;
  #closed = new AbortController();

  constructor(session) {
    this.root = fromTemplate("jobs");
    this.#session = session;
    this.#api = new JobsApi(session.api);
    this.list = new JobsList(part(this.root, "list"), this.#api, this.#book);
    this.launch = new JobLaunch(part(this.root, "launch"), this.#api);
    this.said = new Said(this.root);
    this.#listen();
    this.list.load();
  }

  open() {
    const again = !this.#shown;
    this.#shown = true;
    const route = readJobRoute(location.hash);
    document.body.dataset.screen = route.id === null ? "list" : "thread";
    part(this.root, "list").hidden = route.id !== null;
    if (route.id !== (this.#page?.id ?? null)) this.#turnTo(route.id);
    else if (again) this.list.load();
    this.#page?.open(route);
    if (route.id === null) this.#openList();
    else if (!TOUCH.matches && document.activeElement === document.body) this.#page.focus();
    this.#titled();
  }

  leave() {
    this.#shown = false;
    this.#page?.leave();
    delete document.body.dataset.screen;
  }

  close() {
    this.#closed.abort();
    this.#page?.close();
    this.list.close();
    this.said.clear();
    delete document.body.dataset.screen;
  }

  #listen() {
    const { signal } = this.#closed;
    this.#session.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#session.addEventListener("status", () => this.#possible());
    this.#session.addEventListener("connected", () => this.#connected());
    this.#session.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.launch.addEventListener("launched", ({ detail }) => this.#launched(detail));
    this.root.addEventListener("told", ({ detail }) => this.#told(detail));
    this.root.addEventListener("named", () => this.#titled());
    this.root.addEventListener("go", ({ detail }) => this.#goAfter(detail));
    document.addEventListener("keydown", (event) => this.#shown && this.#key(event), { signal });
    document.addEventListener("visibilitychange", () => this.#shown && (document.hidden ? this.#page?.log.unseen() : this.#page?.log.wake()), { signal });
    addEventListener("online", () => this.#page?.log.wake(), { signal });
  }

  // Where we are

  #turnTo(id) {
    this.#page?.close();
    this.#page?.root.remove();
    this.#page = id === null ? null : new JobPage(this.#api, this.#book, id);
    if (this.#page !== null) part(this.root, "list").after(this.#page.root);
  }

  #openList() {
    this.#possible();
    this.launch.open();
    this.list.place.restore();
    if (!TOUCH.matches && document.activeElement === document.body) this.launch.focus();
  }

  #titled() {
    this.root.dispatchEvent(new CustomEvent("titled", { detail: this.#page?.title || COMMON.jobs }));
  }

  #launched({ logs: _, ...job }) {
    this.#book.put(job);
    this.list.load();
    location.hash = jobAddress(job.id);
  }

  // Another job takes this one's place, or it is gone: its address must not stay behind.
  #goAfter(id) {
    if (id === null) {
      this.list.remove(this.#page.id);
      this.said.tell(COMMON.deleted);
    }
    this.list.load();
    if (!this.#shown) return;
    if (id === null) location.replace(jobAddress());
    else location.hash = jobAddress(id);
  }

  // Live

  #take(event) {
    if (event.name === "reset") this.list.load();
    if (event.name !== "job_started" && event.name !== "job_updated") return;
    this.list.apply(event);
    if (event.data.job_id === this.#page?.id) this.#page.show();
  }

  // Why none can be started is known to the status, when it is.
  #possible() {
    const sandbox = this.#session.status?.parts.sandbox;
    this.launch.impossible(sandbox?.state === "degraded" ? sandbox.reason : "");
  }

  #connected() {
    this.said.well();
    this.list.load();
  }

  #trouble({ error, wait }) {
    if (this.#shown) this.said.trouble(troubleText(error, wait, { first: !this.#session.connected }));
  }

  #told(words) {
    if (typeof words === "function") this.said.trouble(words);
    else if (words === "") this.said.well();
    else this.said.tell(words);
  }

  #key(event) {
    if (!asksToFind(event) && !asksToBegin(event)) return;
    event.preventDefault();
    if (this.#page !== null) location.hash = jobAddress();
    this.root.querySelector(".jobs-list").scrollTop = 0;
    this.launch.focus();
  }
}
