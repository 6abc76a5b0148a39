/** The last backup, when the next one is made, and one now. */

import { part, setText, showText, timeNode } from "../dom.js";
import { sizeText } from "../words/sizes.js";
import { SYSTEM } from "../words/system.js";
import { dayAndTime } from "../words/times.js";

const MAKING = 3600000; // milliseconds: a large home on a slow disk

export class Backups {
  #root;
  #api;
  #busy = false;

  /** @param {Element} root has the parts "last", "next", "failure" and "make" @param {import("../http.js").Http} api */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
    part(root, "make").addEventListener("click", () => this.#make());
  }

  async refresh() {
    const [found, error] = await this.#api.json("GET", "backups").then((reply) => [reply, null], (reason) => [null, reason]);
    if (this.#busy) return;
    if (found === null) return this.#tell(SYSTEM.backupsUnreadable(error.message));
    this.#show(found);
  }

  async #make() {
    if (this.#busy) return;
    this.#become(true);
    const error = await this.#api.json("POST", "backups", { patience: MAKING, told: true }).then(() => null, (reason) => reason);
    this.#become(false);
    await this.refresh();
    if (error !== null) this.#tell(SYSTEM.notBackedUp(error.message));
  }

  #become(busy) {
    this.#busy = busy;
    if (busy) this.#tell("");
    setText(part(this.#root, "make"), busy ? SYSTEM.backingUp : SYSTEM.backUp);
    part(this.#root, "make").setAttribute("aria-disabled", String(busy));
  }

  #show({ backups: [last], keep, next_at: next, failure, folder }) {
    const line = part(this.#root, "last");
    if (last === undefined) setText(line, SYSTEM.noBackup);
    else line.replaceChildren(...SYSTEM.lastBackup(this.#time(last.created_at), sizeText(last.size)));
    const nightly = part(this.#root, "next");
    if (next === null) setText(nightly, SYSTEM.noneByThemselves);
    else nightly.replaceChildren(...SYSTEM.nextBackup(this.#time(next), keep));
    this.#root.title = SYSTEM.backupsIn(folder);
    this.#tell(failure ? SYSTEM.lastAttemptFailed(failure) : "");
  }

  #time(text) {
    const time = new Date(text);
    return timeNode(time, dayAndTime(time));
  }

  #tell(words) {
    showText(part(this.#root, "failure"), words);
  }
}
