/** The log of the gateway, live while it is looked at: which lines are shown, and from which level on lines are written. */

import { saveReply } from "../download.js";
import { fromTemplate, part, setText, showText } from "../dom.js";
import { LogsApi } from "../logs-api.js";
import { tab } from "../storage.js";
import { EventStream } from "../stream.js";
import { readSystemRoute, systemAddress } from "../system-route.js";
import { COMMON } from "../words/common.js";
import { SYSTEM } from "../words/system.js";
import { LogTable } from "./log-table.js";
import { Notice, troubleText } from "./notice.js";

export class LogPanel {
  #api;
  #stream;
  #shown = false;
  #paused = false;
  #reading = true;
  #closed = new AbortController();

  constructor(session) {
    this.root = fromTemplate("log-panel");
    this.#api = new LogsApi(session.api);
    this.#stream = new EventStream((lastId, signal) => this.#api.follow(lastId, signal));
    this.notice = new Notice(part(this.root, "notice"));
    this.table = new LogTable(this.root);
    this.#listen();
    this.#listenToStream();
  }

  open() {
    this.#shown = true;
    this.#wanted(readSystemRoute(location.hash));
    this.#follow();
    this.table.goTo(tab.getValue("log-place", null));
    this.#readLevel();
  }

  leave() {
    this.#shown = false;
    this.#keepPlace();
    this.#stream.close();
    this.notice.clear();
  }

  close() {
    if (this.#shown) this.leave();
    this.#closed.abort();
    this.table.close();
  }

  focus() {
    part(this.root, "find").focus();
    part(this.root, "find").select();
  }

  #listen() {
    const { signal } = this.#closed;
    const find = part(this.root, "find");
    find.addEventListener("input", () => this.#change());
    find.addEventListener("keydown", (event) => event.key === "Escape" && this.#clear(event));
    part(this.root, "level").addEventListener("change", () => this.#change());
    part(this.root, "all").addEventListener("click", () => this.#showAll());
    part(this.root, "written").addEventListener("change", ({ target }) => this.#setLevel(target.value));
    part(this.root, "pause").addEventListener("click", () => this.#pause());
    part(this.root, "download").addEventListener("click", () => this.#download());
    this.table.addEventListener("change", () => this.#words());
    document.addEventListener("visibilitychange", () => this.#shown && (document.hidden ? this.#stream.unseen() : this.#stream.wake()), { signal });
    addEventListener("online", () => this.#stream.wake(), { signal });
  }

  #listenToStream() {
    this.#stream.addEventListener("event", ({ detail }) => this.table.take(detail.data));
    this.#stream.addEventListener("lost", ({ detail }) => this.#lost(detail));
    this.#stream.addEventListener("open", () => {
      this.#reading = false;
      this.notice.clear();
      this.#words();
    });
  }

  // That the gateway is not there is said by the place itself.
  #lost({ error, wait }) {
    if (error?.status) this.notice.trouble(troubleText(error, wait, { first: this.#reading }));
  }

  // Which lines are shown

  #wanted({ level, find }) {
    const [levelField, findField] = [part(this.root, "level"), part(this.root, "find")];
    if (levelField.value === level && findField.value === find) return;
    [levelField.value, findField.value] = [level, find];
    this.table.filter({ level, find });
  }

  #change() {
    const wanted = { level: part(this.root, "level").value, find: part(this.root, "find").value };
    history.replaceState(history.state, "", systemAddress(wanted));
    this.table.filter(wanted);
  }

  #clear(event) {
    if (event.target.value === "") return;
    event.preventDefault();
    event.target.value = "";
    this.#change();
  }

  #showAll() {
    part(this.root, "level").value = part(this.root, "find").value = "";
    this.#change();
    part(this.root, "find").focus();
  }

  #words() {
    const { count, matching } = this.table.lines;
    part(this.root, "reading").hidden = !this.#reading;
    part(this.root, "table").hidden = matching === 0;
    showText(part(this.root, "none"), this.#reading || matching > 0 ? "" : count === 0 ? SYSTEM.noLines : SYSTEM.noSuchLine);
    part(this.root, "all").hidden = count === 0 || matching > 0;
  }

  // When

  #follow() {
    if (!this.#paused) this.#stream.start(this.#stream.lastId);
    if (document.hidden) this.#stream.unseen();
  }

  #pause() {
    this.#paused = !this.#paused;
    setText(part(this.root, "pause"), this.#paused ? SYSTEM.goOn : SYSTEM.pause);
    showText(part(this.root, "paused"), this.#paused ? SYSTEM.paused : "");
    this.notice.clear();
    if (this.#paused) this.#stream.close();
    else this.#follow();
  }

  #keepPlace() {
    if (this.root.checkVisibility()) tab.setValue("log-place", this.table.place);
  }

  // What is written

  async #readLevel() {
    const reply = await this.#api.level().catch(() => null); // the stream says what is wrong
    if (reply !== null) part(this.root, "written").value = reply.level;
  }

  async #setLevel(level) {
    try {
      await this.#api.setLevel(level);
      this.notice.tell(SYSTEM.levelWritten(level));
    } catch (error) {
      this.notice.tell(COMMON.notChanged(error.message));
      this.#readLevel();
    }
  }

  async #download() {
    try {
      await saveReply(await this.#api.text(), "ironclaw.log");
    } catch (error) {
      this.notice.tell(COMMON.notDownloaded(error.message));
    }
  }
}
