/** One job in the table: how it is, what it does, since when, and for how long. */

import { fromTemplate, part, setText, showText, timeNode } from "../dom.js";
import { jobAddress } from "../jobs-route.js";
import { lastedText, stateText } from "../words/jobs.js";
import { shortTime } from "../words/times.js";

export class JobRow {
  constructor() {
    this.root = fromTemplate("job-row");
  }

  update(job) {
    const title = part(this.root, "title");
    this.root.dataset.state = job.status;
    setText(part(this.root, "state"), stateText(job));
    setText(title, job.title);
    title.title = job.title;
    title.setAttribute("href", jobAddress(job.id));
    showText(part(this.root, "last"), job.last_line ?? "");
    setText(part(this.root, "lasted"), lastedText(job));
    this.#time(new Date(job.created_at));
  }

  #time(time) {
    const [node, mark] = [timeNode(time, shortTime(time)), part(this.root, "time")];
    if (mark.firstChild?.isEqualNode(node) !== true) mark.replaceChildren(node);
  }
}
