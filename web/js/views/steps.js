/** The tool calls of a turn: one line each, known by `call_id`; many are folded once they are past. */

import { fromTemplate, part, setText } from "../dom.js";
import { jobAddress } from "../jobs-route.js";
import { duration } from "../words/times.js";
import { CALLS, doing, done } from "../words/calls.js";
import { factNodes } from "./facts.js";

const SHOWN = 2;
const JOB = /^(job-[0-9a-f]+) /;

export class Steps {
  #steps = new Map();

  constructor(placeholder) {
    this.root = fromTemplate("steps");
    placeholder.replaceWith(this.root);
  }

  get running() {
    return [...this.#steps.values()].some((step) => step.running);
  }

  get count() {
    return this.#steps.size;
  }

  started({ call_id: id, name, parameters }) {
    if (!this.#steps.has(id)) this.#add(id, name, parameters);
  }

  completed({ call_id: id, name, parameters, success, preview, duration_ms: took }) {
    const step = this.#steps.get(id) ?? this.#add(id, name, parameters);
    if (step.running) step.end(success ? preview : CALLS.failed(preview), took, success);
  }

  /** The turn has ended: no call runs on. */
  close() {
    for (const step of this.#steps.values()) if (step.running) step.end(CALLS.stopped, null, false);
    this.fold();
  }

  /** Puts calls that have ended behind one line when they are more than two. */
  fold() {
    const ended = [...this.#steps.values()].filter((step) => !step.running);
    if (ended.length <= SHOWN) return;
    const folded = part(this.root, "folded");
    for (const step of ended) if (step.root.parentNode !== folded) folded.append(step.root);
    part(this.root, "fold").hidden = false;
    setText(part(this.root, "summary"), summary(ended));
  }

  #add(id, name, parameters) {
    const step = new Step(name, parameters);
    this.#steps.set(id, step);
    part(this.root, "live").append(step.root);
    return step;
  }
}

class Step {
  running = true;
  failed = false;
  took = 0;

  constructor(name, parameters) {
    this.name = name;
    this.root = fromTemplate("step");
    setText(part(this.root, "name"), doing(name));
    this.#tell({ [CALLS.tool]: name, ...parameters });
    if (name === "JobStart") this.#startsJob(parameters);
  }

  end(result, took, success) {
    const preview = this.#started(result);
    this.running = false;
    this.failed = !success;
    this.took = took ?? 0;
    setText(part(this.root, "name"), done(this.name));
    setText(part(this.root, "preview"), (preview ?? "").trim().split("\n")[0]);
    setText(part(this.root, "time"), took === null || took === undefined ? "" : duration(took));
    this.root.title = preview ?? "";
    if (preview) this.#tell({ [CALLS.result]: preview });
  }

  // `job-lines.js` says how the job is.
  #startsJob({ title, command, prompt } = {}) {
    this.root.dataset.job = "";
    this.root.dataset.jobTitle = (title || command || prompt || "").trim().split("\n")[0].split(/\s+/).join(" ");
  }

  // A result that tells of a job begins with its id, which is no word for people.
  #started(result) {
    const id = JOB.exec(result ?? "")?.[1];
    if (id === undefined) return result;
    if (this.root.dataset.job === "") {
      this.root.dataset.job = id;
      part(this.root, "job").setAttribute("href", jobAddress(id));
      part(this.root, "job").hidden = false;
    }
    return result.slice(id.length + 1);
  }

  #tell(facts) {
    part(this.root, "facts").append(...factNodes(facts));
  }
}

function summary(steps) {
  const failed = steps.filter((step) => step.failed).length;
  const took = duration(steps.reduce((sum, step) => sum + step.took, 0));
  return CALLS.summary({ count: steps.length, failed, took });
}
