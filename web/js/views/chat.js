/** The chat: the list of threads, and the open one beside it. */

import { fromTemplate, part } from "../dom.js";
import { asksToBegin, asksToFind } from "../keys.js";
import { CHAT } from "../words/chat.js";
import { budgetText } from "../words/money.js";
import { takeWords } from "../outbox.js";
import { addressOf, placeOf, readRoute } from "../route.js";
import { Conversation } from "./conversation.js";
import { JobLines } from "./job-lines.js";
import { troubleText } from "./notice.js";
import { ThreadList } from "./thread-list.js";

const NARROW = matchMedia("(max-width: 719px)");
const TOUCH = matchMedia("(pointer: coarse)");

/** Fires on its root: "titled" with the open thread's title. */
export default class ChatView {
  #session;
  #shown = false;
  #closed = new AbortController();
  #conversation = null;

  constructor(session) {
    this.root = fromTemplate("chat");
    this.#session = session;
    this.list = new ThreadList(part(this.root, "threads"), session.api);
    this.#listen();
    this.jobs = new JobLines(this.root, session);
  }

  open() {
    const [first, back] = [this.#conversation === null, !this.#shown];
    this.#shown = true;
    this.#moved({ back });
    const words = takeWords();
    if (words !== null) this.#conversation.composer.fill(words);
    else if (first) this.#conversation.composer.focus();
  }

  leave() {
    this.#shown = false;
    this.#conversation.leave();
    this.list.open(this.#conversation.threadId, { seen: false });
    delete document.body.dataset.screen;
  }

  close() {
    this.#closed.abort();
    this.#conversation?.close();
    this.list.close();
    delete document.body.dataset.screen;
  }

  #listen() {
    const { signal } = this.#closed;
    this.#session.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#session.addEventListener("connected", () => this.#connected());
    this.#session.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.#session.addEventListener("wake", () => this.#conversation?.wake());
    this.#session.addEventListener("status", () => this.#conversation?.introduce(this.#session.status));
    this.#session.addEventListener("approvals", () => this.#conversation?.ask());
    this.root.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.root.addEventListener("loaded", ({ detail }) => this.#loaded(detail));
    this.root.addEventListener("gone", () => this.#begin());
    this.root.addEventListener("go", ({ detail }) => this.#push(addressOf(detail)));
    this.root.addEventListener("new", () => this.#new());
    this.root.addEventListener("changed", () => this.#title());
    part(this.root, "new").addEventListener("click", () => this.#new());
    this.list.search.addEventListener("go", ({ detail }) => this.#push(detail));
    NARROW.addEventListener("change", () => this.#shown && this.#goTo(), { signal });
    document.addEventListener("keydown", (event) => this.#shown && this.#key(event), { signal });
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
  #moved({ back = false } = {}) {
    this.#goTo({ back });
    if (TOUCH.matches) return;
    if (this.#listOnly) this.list.roving.focus();
    else this.#conversation.composer.focus();
  }

  #goTo({ back = false } = {}) {
    const { listed, threadId, messageId } = readRoute(location.hash);
    document.body.dataset.screen = listed ? "list" : "thread";
    const stays = this.#conversation !== null && (listed || threadId === this.#conversation.threadId);
    if (!stays) this.#open(threadId, messageId);
    else if (messageId !== null && !listed) this.#conversation.reading.goTo(messageId);
    else if (back) this.#conversation.back();
    this.list.open(this.#conversation.threadId, { seen: !this.#listOnly });
  }

  #open(threadId, messageId) {
    this.#conversation?.close();
    this.#conversation = new Conversation(this.#session, threadId);
    part(this.root, "conversation").replaceChildren(this.#conversation.root);
    this.#conversation.opened(messageId);
    if (this.#session.status !== null) this.#conversation.introduce(this.#session.status);
  }

  #loaded(page) {
    const { listed, threadId } = readRoute(location.hash);
    const here = this.#shown && (placeOf(location.hash) ?? "chat") === "chat"; // not on the way to another place
    if (here && threadId === null && !listed) history.replaceState(null, "", addressOf(page.thread_id));
    this.list.open(page.thread_id, { seen: this.#shown && !this.#listOnly });
    this.#begin(Math.min(...[page.last_id, page.in_progress?.last_id ?? page.last_id].map(Number)));
  }

  #begin(lastId = null) {
    this.#session.begin(lastId);
    this.list.begin();
  }

  #title() {
    const { threadId, blank } = this.#conversation;
    const title = this.list.find(threadId)?.title || (blank ? CHAT.untitled : "");
    this.root.dispatchEvent(new CustomEvent("titled", { detail: title }));
  }

  async #new() {
    const { threadId, blank, notice } = this.#conversation;
    try {
      const known = blank ? threadId : this.list.findBlank()?.id;
      this.#push(addressOf(known ?? (await this.#session.api.createThread()).id));
    } catch (error) {
      notice.tell(CHAT.notBegun(error.message));
    }
  }

  // Live

  #take(event) {
    if (event.name === "reset") {
      this.list.load();
      this.#conversation.load();
      return;
    }
    if (event.name === "budget_warning") this.#conversation.notice.tell(budgetText(event.data));
    const { threadId } = this.#conversation;
    this.list.take(event);
    this.#conversation.take(event);
    if (event.name === "thread_updated" && event.data.change === "deleted" && event.data.thread_id === threadId) this.#vacate();
  }

  // The open thread is gone.
  #vacate() {
    if (!this.#shown) return this.#conversation.load(); // which finds that out
    history.replaceState(null, "", NARROW.matches ? addressOf() : location.pathname + location.search);
    this.#open(null, null);
    this.#moved();
  }

  #connected() {
    this.#conversation.notice.clear();
    this.list.notice.clear();
  }

  #trouble({ error, wait }) {
    const { notice } = this.#listOnly ? this.list : this.#conversation;
    notice.trouble(troubleText(error, wait, { first: !this.#session.connected }));
  }

  // Keys

  #key(event) {
    const { key, target } = event;
    if (asksToFind(event)) this.#search();
    else if (asksToBegin(event)) this.#new();
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
    if (this.list.search.active) this.list.search.find("");
    this.#conversation.composer.focus();
  }
}
