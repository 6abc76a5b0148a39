/** The tools: the list of skills and extensions with search on top, and beside it the one that is looked at. */

import { fromTemplate, part } from "../dom.js";
import { asksToBegin, asksToFind, asksToSave } from "../keys.js";
import { putWords } from "../outbox.js";
import { ExtensionsApi } from "../extensions-api.js";
import { SkillsApi } from "../skills-api.js";
import { ToolBook } from "../tool-book.js";
import { readToolsRoute, toolsAddress } from "../tools-route.js";
import { COMMON } from "../words/common.js";
import { troubleText } from "./notice.js";
import { Said } from "./said.js";
import { ScrollPlace } from "./scroll-place.js";
import { Search } from "./search.js";
import { ToolPages } from "./tool-pages.js";
import { ToolsList } from "./tools-list.js";
import { searchTools } from "./tools-search.js";

const NARROW = matchMedia("(max-width: 719px)");
const EXTENSION_EVENTS = new Set(["extension_updated", "auth_required", "auth_completed"]);
const SETTLE = 200; // milliseconds: events come in groups
const TOUCH = matchMedia("(pointer: coarse)");

/** Fires "titled" on its root. */
export default class ToolsView {
  #session;
  #pages;
  #book = new ToolBook();
  #page = null;
  #key = null; // of the page that is open
  #shown = false;
  #stale = null;
  #closed = new AbortController();

  constructor(session) {
    this.root = fromTemplate("tools");
    this.#session = session;
    const [skills, extensions] = [new SkillsApi(session.api), new ExtensionsApi(session.api)];
    this.#pages = new ToolPages(session.api, skills, extensions);
    this.list = new ToolsList(part(this.root, "list-pane"), skills, extensions, this.#book);
    this.search = new Search(part(this.root, "list-pane"), searchTools(this.#book), 0);
    this.said = new Said(this.root);
    this.#listen();
  }

  open() {
    const arrived = !this.#shown;
    this.#shown = true;
    const route = readToolsRoute(location.hash);
    document.body.dataset.screen = route.page === "list" ? "list" : "thread";
    const key = ToolPages.key(route);
    if (key !== this.#key) this.#turnTo(route, key);
    else {
      this.#page?.write?.(route.edit);
      if (arrived) this.#page?.refresh?.();
    }
    if (arrived) this.list.load();
    this.list.open(key);
    this.#focus();
    this.#entitle();
  }

  leave() {
    this.#shown = false;
    delete document.body.dataset.screen;
  }

  close() {
    this.#closed.abort();
    this.#page?.close();
    this.list.close();
    this.search.close();
    this.said.clear();
    clearTimeout(this.#stale);
    delete document.body.dataset.screen;
  }

  #listen() {
    const { signal } = this.#closed;
    this.#session.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#session.addEventListener("connected", () => this.#connected());
    this.#session.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    this.#session.addEventListener("wake", () => this.#readAgain());
    this.list.addEventListener("read", () => this.search.refresh());
    this.search.addEventListener("change", () => this.list.roving.refresh());
    this.search.addEventListener("go", ({ detail }) => this.#go(detail));
    this.root.addEventListener("go", ({ detail }) => this.#go(detail));
    this.root.addEventListener("replace", ({ detail }) => this.#shown && location.replace(detail));
    this.root.addEventListener("renamed", () => this.#entitle());
    this.root.addEventListener("changed", () => this.list.load());
    this.root.addEventListener("told", ({ detail }) => this.said.tell(detail.text, detail.offer));
    this.root.addEventListener("look", ({ detail }) => this.#look(detail));
    this.root.addEventListener("compose", ({ detail }) => this.#compose(detail));
    this.search.addEventListener("down", () => this.list.roving.focus());
    for (const button of this.root.querySelectorAll(".tools-begin")) button.addEventListener("click", () => this.#go(toolsAddress("add")));
    document.addEventListener("keydown", (event) => this.#shown && this.#press(event), { signal });
  }

  // Where we are

  #go(address) {
    if (address === location.hash) this.open();
    else location.hash = address;
  }

  #entitle() {
    this.root.dispatchEvent(new CustomEvent("titled", { detail: this.#page?.title ?? COMMON.tools }));
  }

  #turnTo(route, key) {
    this.#page?.close();
    this.#key = key;
    this.#page = this.#pages.make(route);
    part(this.root, "blank").hidden = this.#page !== null;
    if (this.#page === null) return;
    part(this.root, "place").append(this.#page.root);
    this.#page.place = new ScrollPlace(part(this.#page.root, "scroll"), `tools/${key}`);
    this.#page.open().then(() => this.#page?.place.restore());
  }

  #look(detail) {
    this.#pages.looked = detail;
    this.#go(toolsAddress("add/look"));
  }

  // On in the chat, with these words in its composer.
  #compose(words) {
    putWords(words);
    location.hash = "#/";
  }

  // A finger wants to see the page, not the keyboard.
  #focus() {
    const { activeElement } = document;
    if (TOUCH.matches || (activeElement !== document.body && activeElement?.checkVisibility())) return;
    if (document.body.dataset.screen === "thread") this.#page?.focus();
    else if (NARROW.matches) this.list.roving.focus();
    else this.search.focus();
  }

  // Live

  #take(event) {
    if (event.name === "reset") this.#readAgain();
    if (!EXTENSION_EVENTS.has(event.name)) return;
    this.list.take(event.data);
    if (this.#shown) this.#readSoon(); // what is being read may be older
    this.#page?.take?.(event);
    if (event.name === "auth_required" && this.#shown) this.#missing(event.data);
  }

  #missing({ name, message }) {
    const key = `extensions/${name}`;
    if (key !== this.#key) this.said.tell(message, { label: COMMON.openIt, act: () => this.#go(toolsAddress("extensions", name)) });
  }

  #readSoon() {
    this.#stale ??= setTimeout(() => {
      this.#stale = null;
      this.list.load();
    }, SETTLE);
  }

  #readAgain() {
    if (!this.#shown) return;
    this.list.load();
    this.#page?.refresh?.();
  }

  #connected() {
    this.said.well();
    this.#readAgain();
  }

  #trouble({ error, wait }) {
    if (this.#shown) this.said.trouble(troubleText(error, wait, { first: !this.#session.connected }));
  }

  // Keys

  #press(event) {
    if (asksToFind(event)) this.#find();
    else if (asksToBegin(event)) this.#go(toolsAddress("add"));
    else if (asksToSave(event)) this.#page?.save();
    else if (event.key !== "Escape" || !this.#escape()) return;
    event.preventDefault();
  }

  #escape() {
    if (this.#page?.escape()) return true;
    if (!this.search.active) return false;
    this.search.find("");
    this.search.focus();
    return true;
  }

  #find() {
    if (NARROW.matches) this.#go(toolsAddress());
    this.search.focus();
  }
}
