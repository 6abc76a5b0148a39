/** One turn: what was asked, what was done for it, what was answered, and how it ended. */

import { announce, fromTemplate, part, setText, showText } from "../dom.js";
import { MarkdownView } from "../markdown.js";
import { linkPaths } from "../notes-paths.js";
import { sentences } from "../words/language.js";
import { ApprovalList } from "./approval-list.js";
import { AttachedFiles } from "./attached-files.js";
import { Reasoning } from "./reasoning.js";
import { SkillsUsed } from "./skills-used.js";
import { Steps } from "./steps.js";
import { TurnEnding } from "./turn-ending.js";
import { phaseText } from "./turn-phase.js";

const OVER = new Set(["completed", "stopped", "failed", "interrupted"]);
const BEGINNING = "Processing your request..."; // what the gateway says of every turn that begins

/**
 * `state`: sending, unsent (both only here), accepted, queued, running, waiting (for a person), completed, stopped, failed,
 * interrupted.
 * Fires "retry", "edit", "again" and "more", which bubble, from its root.
 */
export class Turn {
  state = "accepted";
  #text = "";
  #mine;
  #answer;
  #steps;
  #reasoning;
  #skills;
  #ending;
  #approvals;
  #doing = "";
  #frame = null;
  #chunksAfter = 0;
  #position = 0;
  #facts = {};

  /** *key*: what it is sent under from this page. *bring*: gets a file by message id and number. */
  constructor({ id = null, key = null, message = "", files = [], bring = null } = {}) {
    [this.id, this.key] = [id, key];
    this.root = fromTemplate("turn");
    this.#mine = part(this.root, "mine");
    this.files = new AttachedFiles(part(this.root, "files"), async (_, number) => this.id && bring(this.id, number));
    this.#answer = new MarkdownView(part(this.root, "answer"), linkPaths);
    this.#steps = new Steps(part(this.root, "steps"));
    this.#reasoning = new Reasoning(part(this.root, "reasoning"));
    this.#skills = new SkillsUsed(part(this.root, "skills"));
    this.#approvals = new ApprovalList(part(this.root, "asked"), part(this.root, "answers"));
    this.#ending = new TurnEnding(this.root);
    this.message = message;
    this.files.show(files);
    for (const name of ["retry", "edit", "again", "more"]) {
      part(this.root, name).addEventListener("click", () => this.root.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: this })));
    }
    this.#show();
  }

  get message() {
    return this.#mine.textContent;
  }

  set message(text) {
    showText(this.#mine, text);
    part(this.root, "more").setAttribute("aria-description", text.slice(0, 80)); // its beginning tells it from the others
  }

  get over() {
    return OVER.has(this.state);
  }

  /** Whether the gateway has it and works on it. */
  get active() {
    return this.id !== null && !this.over;
  }

  sending() {
    this.#become("sending");
  }

  /** @param {string} reason why it did not go out, and what happens next */
  unsent(reason) {
    setText(part(this.root, "reason"), reason);
    this.#become("unsent");
  }

  accepted(id) {
    this.id = id;
    this.#become(this.state === "sending" || this.state === "unsent" ? "accepted" : this.state);
  }

  /** Takes over what the history knows. */
  load(data, progress) {
    this.id = data.message_id;
    this.message = data.user_message;
    this.files.show(data.attachments ?? []);
    for (const call of data.tool_calls ?? []) {
      if (call.success === null || call.success === undefined) this.#steps.started(call);
      else this.#steps.completed(call);
    }
    for (const skill of data.skills ?? []) this.#skills.add(skill);
    if (data.state !== "waiting") this.#approvals.lapse();
    this.#chunksAfter = Number(progress?.last_id ?? 0);
    this.#text = progress?.content ?? data.response ?? ""; // what is stored of a turn that runs lags behind
    this.#facts = { ...data, at: new Date(data.ended_at ?? data.created_at) };
    this.state = data.state;
    this.#flush();
    this.#ended(data.error);
  }

  /** Takes one event of this turn. */
  apply(name, data, eventId) {
    if (name === "approval_settled") this.#approvals.settled(data);
    if (this.over) return;
    if (name === "queued") this.#become("queued", data.position);
    else if (name === "thinking") this.#think(data.message === BEGINNING ? "" : data.message);
    else if (name === "reasoning_chunk") this.#reason(data.content);
    else if (name === "stream_chunk") this.#chunk(data.content, Number(eventId));
    else if (name === "skill_used") this.#skills.add(data);
    else if (name === "tool_started") this.#step(() => this.#steps.started(data));
    else if (name === "tool_completed") this.#step(() => this.#steps.completed(data));
    else if (name === "approval_needed") this.ask(data);
    else if (name === "response") this.#finish("completed", data);
    else if (name === "stopped") this.#finish("stopped", data);
    else if (name === "turn_failed") this.#finish(data.code === "interrupted" ? "interrupted" : "failed", data);
  }

  /** A call of this turn waits for a person. */
  ask(request) {
    if (!this.over && this.#approvals.ask(request)) this.#become("waiting");
  }

  #think(message) {
    this.#doing = message;
    this.#become("running");
  }

  #reason(content) {
    this.#reasoning.add(content);
    this.#think("");
  }

  #chunk(content, id) {
    if (id <= this.#chunksAfter) return;
    this.#text += content;
    this.#doing = "";
    this.state = "running";
    this.#frame ??= requestAnimationFrame(() => this.#flush());
  }

  #step(change) {
    this.state = "running";
    this.#doing = "";
    change();
    this.#show();
  }

  #finish(state, data) {
    this.#text = data.content || (state === "completed" ? "" : this.#text);
    this.#facts = { ...data, at: new Date() };
    this.state = state;
    this.#flush();
    this.#ended(data);
    announce(sentences([TurnEnding.word(state, this.#facts), data.message, this.#text]));
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    if (this.#text !== "" && !this.#steps.running) this.#steps.fold();
    this.#answer.update(this.#text);
    this.#show();
  }

  #ended(error) {
    if (!this.over) return;
    this.#steps.close();
    this.#approvals.lapse();
    this.#ending.show(this.state, this.#facts, error);
  }

  #become(state, position = 0) {
    this.state = state;
    this.#position = position;
    this.#show();
  }

  #show() {
    this.root.dataset.state = this.state;
    showText(part(this.root, "phase"), this.#phase());
    part(this.root, "answered").hidden = this.state === "sending" || this.state === "unsent";
    part(this.root, "more").hidden = this.id === null;
    part(this.root, "unsent").hidden = this.state !== "unsent";
    part(this.root, "end").hidden = TurnEnding.word(this.state, this.#facts) === undefined;
  }

  #phase() {
    return phaseText({ state: this.state, position: this.#position, doing: this.#doing, text: this.#text, working: this.#steps.running });
  }
}
