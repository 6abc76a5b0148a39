/** One thread: its history, what happens in it, and the composer, wired together. */

import { copyCode } from "../clipboard.js";
import { fromTemplate, part, setText } from "../dom.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { modelText } from "../words/model.js";
import { Branching } from "./branching.js";
import { ChatLog } from "./chat-log.js";
import { Composer } from "./composer.js";
import { Delivery } from "./delivery.js";
import { Introduction } from "./introduction.js";
import { Notice } from "./notice.js";
import { Outgoing } from "./outgoing.js";
import { Reading } from "./reading.js";
import { ThreadLoader } from "./thread-loader.js";
import { Turn } from "./turn.js";

/**
 * Fires on its root, bubbling: "loaded" with the history, or "gone"; "trouble" with `{error, wait}`; "go" with a thread to open;
 * "new" when a new one is asked for.
 */
export class Conversation {
  #session;
  #threadId;
  #loaded = false;
  #early = [];
  #stopping = false;
  #movesOn = false;

  /** @param {string|null} threadId null: the default thread */
  constructor(session, threadId) {
    const { api } = session;
    this.root = fromTemplate("conversation");
    [this.#session, this.#threadId] = [session, threadId];
    this.log = new ChatLog(part(this.root, "turns"), (parts) => new Turn({ ...parts, bring: (id, number) => api.attachment(id, number) }));
    this.notice = new Notice(part(this.root, "notice"));
    this.composer = new Composer(part(this.root, "composer"));
    this.introduction = new Introduction(session);
    this.delivery = new Delivery(api, this.log);
    this.outgoing = new Outgoing(this.root, { ...this, thread: () => this.#threadId });
    this.branching = new Branching(api);
    this.loader = new ThreadLoader(api);
    this.reading = new Reading(this.root, this.log, this.loader);
    this.#listen();
  }

  get threadId() {
    return this.#threadId;
  }

  /** Whether nothing was said in it yet. */
  get blank() {
    return this.#loaded && this.log.empty;
  }

  /** For when it has come onto the page. */
  opened(messageId) {
    if (this.#threadId !== null) this.#resume();
    this.load(messageId);
  }

  /** Another place takes its room on the page. */
  leave() {
    this.reading.leave();
  }

  /** It can be seen again: it is read on where it was left. */
  back() {
    if (this.#loaded) this.reading.opened(this.#threadId, null);
  }

  close() {
    this.reading.close();
    this.notice.clear();
    this.loader.close();
    this.delivery.close();
  }

  /** The gateway's status has been read: who answers, and who introduces an empty thread. */
  introduce({ model }) {
    setText(part(this.root, "answering"), modelText(model));
    this.#refresh();
  }

  /** Reads the history, anew when it was read before; what happens meanwhile is taken after it. */
  async load(messageId = null) {
    this.reading.leave();
    this.#loaded = false;
    this.log.asked();
    const history = await this.loader.newest(this.#threadId).catch(() => this.#gone());
    if (!history) return;
    if (this.#threadId === null) {
      this.#threadId = history.thread_id;
      this.#resume();
    }
    this.#loaded = true;
    part(this.root, "reading").hidden = true;
    this.log.replace(history);
    if (history.pending_approval) this.log.ask([history.pending_approval]);
    this.ask();
    for (const event of this.#early.splice(0)) this.take(event);
    this.#refresh();
    this.#fire("loaded", history);
    await this.reading.opened(this.#threadId, messageId);
  }

  #gone() {
    this.root.dataset.gone = "";
    this.#fire("gone");
  }

  /** Takes one event of the stream. */
  take(event) {
    if (event.name === "thread_updated") this.#threadChanged(event.data);
    else if (event.data.thread_id !== this.#threadId && this.#threadId !== null) return;
    else if (!this.#loaded) this.#early.push(event);
    else if (event.data.thread_id === this.#threadId && this.log.apply(event)) {
      this.#refresh();
      this.reading.grew();
    }
  }

  /** Shows what is known to wait for an answer here. */
  ask() {
    if (!this.#loaded) return;
    this.log.ask(this.#session.approvals.in(this.#threadId));
    this.#refresh();
  }

  wake() {
    this.loader.wake();
  }

  #listen() {
    this.outgoing.addEventListener("sending", ({ detail }) => (this.#movesOn = detail === "/new"));
    this.outgoing.addEventListener("sent", () => this.#sent());
    this.outgoing.addEventListener("changed", () => this.#refresh());
    this.composer.addEventListener("stop", () => this.#stop());
    this.introduction.addEventListener("example", ({ detail }) => this.composer.fill(detail));
    this.delivery.addEventListener("sent", () => this.#refresh());
    this.branching.addEventListener("go", ({ detail }) => this.#fire("go", detail));
    this.branching.addEventListener("trouble", ({ detail }) => this.notice.tell(CHAT.notBegun(detail.message)));
    this.loader.addEventListener("trouble", ({ detail }) => this.#fire("trouble", detail));
    this.reading.addEventListener("trouble", ({ detail }) => this.notice.tell(CHAT.earlierUnreadable(detail.message)));
    this.root.addEventListener("more", ({ detail }) => this.branching.menu(detail, this.#threadId));
    this.root.addEventListener("over", () => this.reading.follower.settle());
    this.root.addEventListener("answer", ({ detail }) => detail.settle(this.#session.api));
    part(this.root, "instead").addEventListener("click", () => this.#fire("new"));
    part(this.root, "pill").addEventListener("click", () => this.composer.focus());
    part(this.root, "turns").addEventListener("click", ({ target }) => target.matches(".copy") && copyCode(target));
  }

  #fire(name, detail = null) {
    this.root.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }

  #resume() {
    this.composer.keepDraftOf(this.#threadId);
    this.delivery.resume(this.#threadId);
  }

  #threadChanged({ thread_id: id, change }) {
    if (change === "undone" && id === this.#threadId) this.load();
    else if (change === "default" && this.#movesOn) this.#fire("go", id);
  }

  #sent() {
    this.#refresh();
    this.reading.toEnd();
  }

  async #stop() {
    this.#stopping = true;
    this.#refresh();
    const stopped = await this.#session.api.stop(this.#threadId, { waiting: !this.log.running }).catch((error) => this.notice.tell(COMMON.notStopped(error.message)));
    if (stopped && stopped.status !== "idle") return;
    this.#stopping = false;
    this.#refresh();
    if (stopped) this.load(); // Nothing runs there: what we show is out of date.
  }

  // What follows from the state

  #refresh() {
    this.delivery.told();
    const { active } = this.log;
    if (!active) this.#stopping = false;
    this.composer.show(!active ? "idle" : this.#stopping ? "stopping" : "running");
    this.reading.refresh();
    if (this.blank && this.#session.status !== null) this.introduction.showIn(part(this.root, "content"));
    else this.introduction.hide();
  }
}
