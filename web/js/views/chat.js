/** The chat: one thread, its history, the live stream and the composer, wired together. */

import { fromTemplate, part } from "../dom.js";
import { ScrollFollower } from "../scroll.js";
import { EventStream } from "../stream.js";
import { ChatLog } from "./chat-log.js";
import { Composer } from "./composer.js";
import { Delivery } from "./delivery.js";
import { Introduction } from "./introduction.js";
import { Notice, troubleText } from "./notice.js";
import { ThreadLoader } from "./thread-loader.js";

export class ChatView {
  #api;
  #threadId = null;
  #loaded = false;
  #everOpen = false;
  #stopping = false;
  #status = null;
  #closed = new AbortController();

  constructor(api) {
    this.root = fromTemplate("chat");
    this.#api = api;
    this.log = new ChatLog(part(this.root, "turns"));
    this.notice = new Notice(part(this.root, "notice"));
    this.composer = new Composer(part(this.root, "composer"));
    this.follower = new ScrollFollower(part(this.root, "scroller"), part(this.root, "content"));
    this.introduction = new Introduction();
    this.delivery = new Delivery(api, this.log);
    this.loader = new ThreadLoader(api);
    this.stream = new EventStream(api);
    this.#listen();
  }

  opened() {
    document.title = "IronClaw";
    this.composer.opened();
    this.delivery.resume();
    this.#load();
  }

  close() {
    this.#closed.abort();
    this.notice.clear();
    this.loader.close();
    this.stream.close();
    this.delivery.close();
    this.follower.close();
  }

  /** @param {object} status the gateway's, for the introduction of an empty thread */
  introduce(status) {
    this.#status = status;
    this.#refresh();
  }

  #listen() {
    this.composer.addEventListener("send", ({ detail }) => this.#send(detail));
    this.composer.addEventListener("stop", () => this.#stop());
    this.introduction.addEventListener("example", ({ detail }) => this.composer.fill(detail));
    this.delivery.addEventListener("sent", () => this.#refresh());
    this.stream.addEventListener("event", ({ detail }) => this.#take(detail));
    this.stream.addEventListener("open", () => this.#connected());
    this.stream.addEventListener("lost", ({ detail }) => this.#trouble(detail));
    this.loader.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.follower.addEventListener("change", () => this.#pill(false));
    this.root.addEventListener("retry", ({ detail }) => this.#retry(detail));
    this.root.addEventListener("edit", ({ detail }) => this.#edit(detail));
    this.root.addEventListener("again", ({ detail }) => this.#send(detail.message));
    part(this.root, "pill").addEventListener("click", () => this.#toEnd());
    part(this.root, "earlier").addEventListener("click", () => this.#loadOlder());
    const { signal } = this.#closed;
    addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  // History

  async #load() {
    this.stream.close();
    const history = await this.loader.newest(this.#threadId);
    if (history === null) return;
    this.#threadId = history.thread_id;
    this.#loaded = true;
    this.log.replace(history);
    this.#refresh();
    const lastIds = [history.last_id, history.in_progress?.last_id ?? history.last_id];
    this.stream.start(Math.min(...lastIds.map(Number)));
  }

  async #loadOlder() {
    const page = await this.loader.older(this.#threadId).catch((error) => this.notice.tell(error.message));
    if (!page) return;
    this.follower.keepPlace(() => {
      this.log.prepend(page);
      this.#refresh();
    });
    if (!this.loader.hasOlder) part(this.root, "scroller").focus({ preventScroll: true });
  }

  // Live

  #connected() {
    this.notice.clear();
    if (this.#everOpen || this.#status === null) this.root.dispatchEvent(new Event("connected"));
    this.#everOpen = true;
  }

  #trouble({ error, wait }) {
    this.notice.trouble(troubleText(error, wait, { first: !this.#everOpen }));
  }

  #wake() {
    this.stream.wake();
    this.loader.wake();
  }

  #take(event) {
    if (event.name === "reset") this.#load();
    else if (event.name === "thread_updated") this.#threadChanged(event.data);
    else if (event.data.thread_id === this.#threadId && this.log.apply(event)) {
      this.#pill(true);
      this.#refresh();
    }
  }

  // The page shows the default thread; /new begins another one.
  #threadChanged({ thread_id: id, change }) {
    if (change === "undone" && id === this.#threadId) return void this.#load();
    const moved = change === "default" && id !== this.#threadId;
    if (!moved && !(change === "deleted" && id === this.#threadId)) return;
    this.#threadId = moved ? id : null;
    this.#load();
  }

  // Writing

  #send(text) {
    this.delivery.post(text, this.#threadId);
    this.#refresh();
    this.#toEnd();
  }

  #retry(turn) {
    this.delivery.send(turn, this.#threadId);
    this.composer.focus();
  }

  #edit(turn) {
    this.delivery.withdraw(turn);
    this.composer.fill(turn.message);
    this.#refresh();
  }

  async #stop() {
    this.#stopping = true;
    this.#refresh();
    const stopped = await this.#api.stop(this.#threadId, { waiting: !this.log.running }).catch((error) => this.notice.tell(`Not stopped. ${error.message}`));
    if (stopped && stopped.status !== "idle") return;
    this.#stopping = false;
    this.#refresh();
    if (stopped) this.#load(); // Nothing runs there: what we show is out of date.
  }

  // What follows from the state

  #refresh() {
    const { active } = this.log;
    if (!active) this.#stopping = false;
    this.composer.show(!active ? "idle" : this.#stopping ? "stopping" : "running");
    part(this.root, "earlier").hidden = !this.loader.hasOlder;
    const empty = this.#loaded && this.log.empty && this.#status !== null;
    if (empty) this.introduction.showIn(part(this.root, "content"), this.#status);
    else this.introduction.hide();
  }

  #pill(newText) {
    part(this.root, "pill").hidden = this.follower.following || !newText;
  }

  #toEnd() {
    this.follower.toEnd();
    this.composer.focus();
  }

  #key(event) {
    const fold = event.target.closest?.("details[open]");
    if (event.key === "End" && (this.composer.empty || !event.target.matches("textarea"))) this.follower.toEnd();
    else if (event.key === "Escape" && fold) {
      fold.open = false;
      fold.querySelector("summary").focus();
    } else if (event.key === "Escape") this.composer.focus();
  }
}
