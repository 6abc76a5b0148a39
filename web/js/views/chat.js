/** The chat: the list of threads, the open one beside it, and the one event stream for both. */

import { fromTemplate, part } from "../dom.js";
import { addressOf, readRoute } from "../route.js";
import { EventStream } from "../stream.js";
import { Conversation } from "./conversation.js";
import { troubleText } from "./notice.js";
import { ThreadList } from "./thread-list.js";
import { UNTITLED } from "./thread-row.js";

const NARROW = matchMedia("(max-width: 719px)");
const TOUCH = matchMedia("(pointer: coarse)");

/** Fires on its root: "connected" when the stream opens, "titled" with the open thread's title. */
export class ChatView {
  #api;
  #status = null;
  #started = false;
  #everOpen = false;
  #closed = new AbortController();
  #conversation = null;

  constructor(api) {
    this.root = fromTemplate("chat");
    this.#api = api;
    this.list = new ThreadList(part(this.root, "threads"), api);
    this.stream = new EventStream(api);
    this.#listen();
  }

  opened() {
    this.#goTo();
    this.#conversation?.composer.focus();
  }

  close() {
    this.#closed.abort();
    this.#conversation?.close();
    this.list.close();
    this.stream.close();
    delete document.body.dataset.screen;
  }

  /** @param {object} status the gateway's, for the introduction of an empty thread */
  introduce(status) {
    this.#status = status;
    this.#conversation?.introduce(status);
  }

  #listen() {
    const { signal } = this.#closed;
    this.stream.addEventListener("event", ({ detail }) => this.#take(detail));
    this.stream.addEventListener("open", () => this.#connected());
    this.stream.addEventListener("lost", ({ detail }) => this.#trouble(detail));
    this.root.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.root.addEventListener("loaded", ({ detail }) => this.#loaded(detail));
    this.root.addEventListener("go", ({ detail }) => this.#push(addressOf(detail)));
    this.root.addEventListener("new", () => this.#new());
    this.root.addEventListener("changed", () => this.#title());
    part(this.root, "new").addEventListener("click", () => this.#new());
    addEventListener("hashchange", () => this.#moved(), { signal });
    NARROW.addEventListener("change", () => this.#goTo(), { signal });
    addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stream.unseen() : this.#wake()), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  // Where we are

  get #listOnly() {
    return NARROW.matches && readRoute(location.hash).listed;
  }

  #push(address) {
    if (address !== location.hash) history.pushState(null, "", address);
    this.#moved();
  }

  // A finger wants to see the page, not the keyboard.
  #moved() {
    this.#goTo();
    if (TOUCH.matches) return;
    if (this.#listOnly) this.list.roving.focus();
    else this.#conversation.composer.focus();
  }

  #goTo() {
    const { listed, threadId, messageId } = readRoute(location.hash);
    document.body.dataset.screen = listed ? "list" : "thread";
    const stays = this.#conversation !== null && (listed || threadId === this.#conversation.threadId);
    if (!stays) this.#open(threadId, messageId);
    else if (messageId !== null && !listed) this.#conversation.reading.goTo(messageId);
    this.list.open(this.#conversation.threadId, { seen: !this.#listOnly });
  }

  #open(threadId, messageId) {
    this.#conversation?.close();
    this.#conversation = new Conversation(this.#api, threadId);
    part(this.root, "conversation").replaceChildren(this.#conversation.root);
    this.#conversation.opened(messageId);
    if (this.#status !== null) this.#conversation.introduce(this.#status);
  }

  #loaded(page) {
    const { listed, threadId } = readRoute(location.hash);
    if (threadId === null && !listed) history.replaceState(null, "", addressOf(page.thread_id));
    this.list.open(page.thread_id, { seen: !this.#listOnly });
    if (this.#started) return;
    this.#started = true;
    const lastIds = [page.last_id, page.in_progress?.last_id ?? page.last_id];
    this.stream.start(Math.min(...lastIds.map(Number)));
    this.list.load();
  }

  #title() {
    const { threadId, blank } = this.#conversation;
    const title = this.list.find(threadId)?.title || (blank ? UNTITLED : "");
    this.root.dispatchEvent(new CustomEvent("titled", { detail: title }));
  }

  async #new() {
    const { threadId, blank, notice } = this.#conversation;
    try {
      const known = blank ? threadId : this.list.findBlank()?.id;
      this.#push(addressOf(known ?? (await this.#api.createThread()).id));
    } catch (error) {
      notice.tell(`No new conversation was made. ${error.message}`);
    }
  }

  // Live

  #take(event) {
    if (event.name === "reset") {
      this.list.load();
      this.#conversation.load();
      return;
    }
    const { threadId } = this.#conversation;
    this.list.take(event);
    this.#conversation.take(event);
    if (event.name === "thread_updated" && event.data.change === "deleted" && event.data.thread_id === threadId) this.#leave();
  }

  // The open thread is gone.
  #leave() {
    history.replaceState(null, "", NARROW.matches ? addressOf() : location.pathname + location.search);
    this.#open(null, null);
    this.#moved();
  }

  #connected() {
    this.#conversation.notice.clear();
    this.list.notice.clear();
    if (this.#everOpen || this.#status === null) this.root.dispatchEvent(new Event("connected"));
    this.#everOpen = true;
  }

  #trouble({ error, wait }) {
    const { notice } = this.#listOnly ? this.list : this.#conversation;
    notice.trouble(troubleText(error, wait, { first: !this.#everOpen }));
  }

  #wake() {
    this.stream.wake();
    this.#conversation.wake();
  }

  // Keys

  #key(event) {
    const { key, target } = event;
    if ((key === "/" && !target.matches("input, textarea")) || (key === "k" && (event.ctrlKey || event.metaKey))) this.#search();
    else if (event.altKey && event.code === "KeyN") this.#new();
    else if (key === "End" && (this.#conversation.composer.empty || !target.matches("input, textarea"))) this.#conversation.reading.toEnd();
    else if (key === "Escape") this.#escape(target);
    else return;
    if (key !== "End") event.preventDefault();
  }

  #search() {
    if (NARROW.matches && !this.#listOnly) this.#push(addressOf());
    this.list.search.focus();
  }

  #escape(target) {
    const fold = target.closest?.("details[open]");
    if (fold) {
      fold.open = false;
      fold.querySelector("summary").focus();
      return;
    }
    if (this.list.search.active) this.list.search.clear();
    this.#conversation.composer.focus();
  }
}
