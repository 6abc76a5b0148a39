/** The system: how the gateway is, which model answers, what it costs, how a phone opens it, what it logs. */

import { fromTemplate, part, setText } from "../dom.js";
import { asksToFind } from "../keys.js";
import { COMMON } from "../words/common.js";
import { conditionText, unwellTexts } from "../words/system.js";
import { Backups } from "./backups.js";
import { Budget } from "./budget.js";
import { Costs } from "./costs.js";
import { LogPanel } from "./log-panel.js";
import { ModelCard } from "./model-card.js";
import { Notice, troubleText } from "./notice.js";
import { Pairing } from "./pairing.js";
import { ScrollPlace } from "./scroll-place.js";

const MINUTE = 60000;
const SPENT = new Set(["budget_warning", "response", "turn_failed"]);

/** Fires "titled" on its root. */
export default class SystemView {
  #session;
  #shown = false;
  #closed = new AbortController();
  #stale = null;
  #place;
  #minutes = setInterval(() => this.#shown && !document.hidden && this.#session.readStatus(), MINUTE);

  constructor(session) {
    this.root = fromTemplate("system");
    this.#session = session;
    this.#place = new ScrollPlace(this.root, "system");
    this.notice = new Notice(part(this.root, "notice"));
    this.card = new ModelCard(session);
    this.costs = new Costs(this.root, session.api);
    this.budget = new Budget(part(this.root, "budget"), session.api);
    this.backups = new Backups(part(this.root, "backups"), session.api);
    this.pairing = new Pairing(part(this.root, "pairing"), session.api);
    this.log = new LogPanel(session);
    part(this.root, "model").append(this.card.root);
    part(this.root, "log").append(this.log.root);
    session.addEventListener("status", () => this.#show());
    session.addEventListener("event", ({ detail }) => this.#take(detail));
    session.addEventListener("connected", () => this.#connected());
    session.addEventListener("trouble", ({ detail }) => this.#trouble(detail));
    document.addEventListener("keydown", (event) => this.#shown && this.#key(event), { signal: this.#closed.signal });
  }

  open() {
    this.#shown = true;
    document.body.dataset.screen = "list";
    this.root.dispatchEvent(new CustomEvent("titled", { detail: COMMON.system }));
    this.log.open();
    Promise.all([this.#session.readStatus(), this.#read()]).then(() => this.#reveal());
  }

  leave() {
    this.#shown = false;
    this.pairing.hide();
    this.log.leave();
    delete document.body.dataset.screen;
  }

  close() {
    this.#closed.abort();
    this.#place.close();
    this.pairing.hide();
    this.log.close();
    clearInterval(this.#minutes);
    clearTimeout(this.#stale);
    this.notice.clear();
    delete document.body.dataset.screen;
  }

  #read() {
    return Promise.all([this.card.refresh(), this.backups.refresh(), this.pairing.refresh(), this.#readSpent()]);
  }

  // Its parts come one after the other, and are shown together: nothing that is read jumps.
  #reveal() {
    part(this.root, "reading").hidden = true;
    for (const name of ["content", "log-section"]) part(this.root, name).hidden = false;
    this.#place.restore();
  }

  #readSpent() {
    clearTimeout(this.#stale);
    this.#stale = null;
    return Promise.all([this.costs.refresh(), this.budget.refresh()]);
  }

  #show() {
    const { status } = this.#session;
    const unwell = unwellTexts(status);
    setText(part(this.root, "sentence"), conditionText(status));
    part(this.root, "unwell").hidden = unwell.length === 0;
    part(this.root, "unwell").replaceChildren(...unwell.map(lineNode));
  }

  // Costs are written a moment after a turn has ended; several turns are read once.
  #take({ name }) {
    if (!this.#shown) return;
    if (name === "reset") this.#read();
    else if (SPENT.has(name)) this.#stale ??= setTimeout(() => this.#readSpent(), 5000);
  }

  #connected() {
    const broken = this.notice.shown;
    this.notice.clear();
    if (this.#shown && broken) this.#read();
  }

  #trouble({ error, wait }) {
    if (this.#shown) this.notice.trouble(troubleText(error, wait, { first: !this.#session.connected }));
  }

  #key(event) {
    if (!asksToFind(event)) return;
    event.preventDefault();
    this.log.focus();
  }
}

function lineNode({ name, reason }) {
  const [node, word] = [document.createElement("li"), document.createElement("strong")];
  word.textContent = name;
  node.append(word, " ", reason);
  return node;
}
