/** One thread: its history, what happens in it, and the composer, wired together. */

import { copyCode } from "../clipboard.js";
import { fromTemplate, part, randomKey } from "../dom.js";
import { putLetter } from "../outbox.js";
import { ChatLog } from "./chat-log.js";
import { Composer } from "./composer.js";
import { Delivery } from "./delivery.js";
import { Introduction } from "./introduction.js";
import { toggleMenu } from "./menu.js";
import { Notice } from "./notice.js";
import { Reading } from "./reading.js";
import { ThreadLoader } from "./thread-loader.js";
import { editTurn } from "./turn-editor.js";

/**
 * Fires on its root, bubbling: "loaded" with the history; "trouble" with `{error, wait}`; "go" with a thread to open;
 * "new" when a new one is asked for.
 */
export class Conversation {
  #api;
  #threadId;
  #loaded = false;
  #early = [];
  #stopping = false;
  #status = null;
  #movesOn = false;

  /** @param {string|null} threadId null: the default thread */
  constructor(api, threadId) {
    this.root = fromTemplate("conversation");
    this.#api = api;
    this.#threadId = threadId;
    this.log = new ChatLog(part(this.root, "turns"));
    this.notice = new Notice(part(this.root, "notice"));
    this.composer = new Composer(part(this.root, "composer"));
    this.introduction = new Introduction();
    this.delivery = new Delivery(api, this.log);
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

  close() {
    this.reading.close();
    this.notice.clear();
    this.loader.close();
    this.delivery.close();
  }

  /** @param {object} status the gateway's, for the introduction of an empty thread */
  introduce(status) {
    this.#status = status;
    this.#refresh();
  }

  /** Reads the history, anew when it was read before; what happens meanwhile is taken after it. */
  async load(messageId = null) {
    this.reading.leave();
    this.#loaded = false;
    const history = await this.loader.newest(this.#threadId).catch(() => this.#gone());
    if (!history) return;
    if (this.#threadId === null) {
      this.#threadId = history.thread_id;
      this.#resume();
    }
    this.#loaded = true;
    part(this.root, "reading").hidden = true;
    this.log.replace(history);
    for (const event of this.#early.splice(0)) this.take(event);
    this.#refresh();
    this.#fire("loaded", history);
    await this.reading.opened(this.#threadId, messageId);
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

  wake() {
    this.loader.wake();
  }

  #listen() {
    this.composer.addEventListener("send", ({ detail }) => this.#send(detail));
    this.composer.addEventListener("stop", () => this.#stop());
    this.introduction.addEventListener("example", ({ detail }) => this.composer.fill(detail));
    this.delivery.addEventListener("sent", () => this.#refresh());
    this.loader.addEventListener("trouble", ({ detail }) => this.#fire("trouble", detail));
    this.reading.addEventListener("trouble", ({ detail }) => this.notice.tell(`Earlier messages can't be read. ${detail.message}`));
    this.root.addEventListener("retry", ({ detail }) => this.#retry(detail));
    this.root.addEventListener("edit", ({ detail }) => this.#edit(detail));
    this.root.addEventListener("again", ({ detail }) => this.#send(detail.message));
    this.root.addEventListener("more", ({ detail }) => this.#more(detail));
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

  #gone() {
    this.root.dataset.gone = "";
  }

  #threadChanged({ thread_id: id, change }) {
    if (change === "undone" && id === this.#threadId) this.load();
    else if (change === "default" && this.#movesOn) this.#fire("go", id);
  }

  // Writing

  #send(text) {
    this.#movesOn = text === "/new";
    this.delivery.post(text, this.#threadId);
    this.#refresh();
    this.reading.toEnd();
    this.composer.focus();
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

  #more(turn) {
    toggleMenu(part(turn.root, "more"), "This message", [
      { label: "Edit in a new conversation", act: () => editTurn(turn, (text) => this.#branch(turn, text)) },
      { label: "Retry in a new conversation", act: () => this.#branch(turn, turn.message) },
    ]);
  }

  async #branch(turn, text) {
    try {
      const { id } = await this.#api.forkThread(this.#threadId, turn.id);
      putLetter({ key: randomKey(), text, threadId: id, reason: null });
      this.#fire("go", id);
    } catch (error) {
      this.notice.tell(`No new conversation was made. ${error.message}`);
    }
  }

  async #stop() {
    this.#stopping = true;
    this.#refresh();
    const stopped = await this.#api.stop(this.#threadId, { waiting: !this.log.running }).catch((error) => this.notice.tell(`Not stopped. ${error.message}`));
    if (stopped && stopped.status !== "idle") return;
    this.#stopping = false;
    this.#refresh();
    if (stopped) this.load(); // Nothing runs there: what we show is out of date.
  }

  // What follows from the state

  #refresh() {
    const { active } = this.log;
    if (!active) this.#stopping = false;
    this.composer.show(!active ? "idle" : this.#stopping ? "stopping" : "running");
    this.reading.refresh();
    if (this.blank && this.#status !== null) this.introduction.showIn(part(this.root, "content"), this.#status);
    else this.introduction.hide();
  }
}
