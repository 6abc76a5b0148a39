/** The jobs that calls of a conversation have started: a line each, that leads to the job and says how it is by now. */

import { setText } from "../dom.js";
import { jobAddress } from "../jobs-route.js";
import { lineText } from "../words/jobs.js";

const MOST = 200;

export class JobLines {
  #root;
  #session;

  /** @param {Element} root has the conversation; each call that starts a job is marked in it with `data-job`, its id once that is known */
  constructor(root, session) {
    this.#root = root;
    this.#session = session;
    session.addEventListener("event", ({ detail }) => this.#take(detail));
    root.addEventListener("loaded", () => this.#read());
  }

  // A history was read: how its jobs are is asked, if there are any.
  async #read() {
    if (this.#lines('[data-job^="job-"]').every((line) => line.dataset.jobState)) return;
    const reply = await this.#session.api.json("GET", `jobs?limit=${MOST}`).catch(() => null); // the lines lead there all the same
    for (const job of reply?.jobs ?? []) this.#show(job);
  }

  #take({ name, data }) {
    if (name !== "job_started" && name !== "job_updated") return;
    if (name === "job_started") this.#started(data);
    this.#show({ ...data, id: data.job_id });
  }

  // While the call still runs, nothing but its title says which job is its own.
  #started({ job_id: id, title, thread_id: thread }) {
    if (!thread || this.#lines(named(id)).length > 0) return;
    const line = this.#lines('[data-job=""]').find(({ dataset }) => dataset.jobTitle === title);
    if (line !== undefined) line.dataset.job = id;
  }

  #show(job) {
    for (const line of this.#lines(named(job.id))) {
      line.dataset.jobState = job.status;
      const link = line.querySelector("[data-part=job]");
      link.hidden = false;
      link.setAttribute("href", jobAddress(job.id));
      setText(link, lineText(job));
    }
  }

  #lines(selector) {
    return [...this.#root.querySelectorAll(`.step${selector}`)];
  }
}

function named(id) {
  return `[data-job="${CSS.escape(id)}"]`;
}
