/** One extension: looked at, installed, given what it needs, tested, enabled. */

import { COMMON } from "../words/common.js";
import { EXTENSIONS, extensionWhere } from "../words/extensions.js";
import { toolsAddress } from "../tools-route.js";
import { TOOLS } from "../words/tools.js";
import { extensionActs } from "./extension-possible.js";
import { ExtensionSheet } from "./extension-sheet.js";
import { ToolPage, unreadable } from "./tool-page.js";

const SETTLE = 100; // milliseconds: events come in groups

export class ExtensionPage extends ToolPage {
  #api;
  #extension = null;
  #error = null;
  #stale = null;
  #run = 0;
  #line = "";
  #sheet = new ExtensionSheet();

  /** @param {import("../extensions-api.js").ExtensionsApi} api */
  constructor(api, { name }) {
    super(EXTENSIONS.about, EXTENSIONS.title);
    [this.title, this.name, this.#api] = [name, name, api];
    this.#sheet.secrets.addEventListener("enter", ({ detail }) => this.#authenticate(detail));
    this.#sheet.settings.addEventListener("save", ({ detail }) => this.#configure(detail));
  }

  open() {
    return this.#read();
  }

  close() {
    clearTimeout(this.#stale);
    this.#run += 1;
    super.close();
  }

  refresh() {
    return this.#read();
  }

  /** Takes an event that speaks of an extension. */
  take({ name, data }) {
    if (data.name !== this.name) return;
    if (name === "auth_required") this.#sheet.secrets.tell(data.message);
    this.#stale ??= setTimeout(() => this.#read(), SETTLE);
  }

  async #read() {
    clearTimeout(this.#stale);
    this.#stale = null;
    const run = (this.#run += 1);
    const [extension, error] = await this.#api.read(this.name).then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    if (extension !== null || error.status === 404 || this.#extension === null) [this.#extension, this.#error] = [extension, error];
    this.#show();
    if (extension === null && this.#extension !== null) this.say(error.message);
  }

  #show() {
    if (this.#extension === null) return this.#showError();
    this.#sheet.update(this.#extension);
    this.entitle(this.#extension.title || this.name);
    this.show({ where: extensionWhere(this.#extension), acts: extensionActs(this.#extension, this.#doable), line: this.#line, content: this.#sheet.root });
  }

  #showError() {
    const away = { label: TOOLS.all, act: () => this.fire("go", toolsAddress()), primary: true };
    const again = { label: COMMON.tryAgain, act: () => this.#read(), primary: true };
    this.show({ where: EXTENSIONS.title, acts: [this.#error.status === 404 ? away : again], content: unreadable(this.#error.message) });
  }

  // What can be done

  get #doable() {
    const { name } = this;
    return {
      install: () => this.#change(TOOLS.notInstalled, () => this.#api.install({ name, registry: this.#extension.registry })),
      enable: () => this.#change(TOOLS.notEnabled, () => this.#api.enable(name, null)),
      confirm: () => this.#confirm(),
      disable: () => this.#change(TOOLS.notDisabled, () => this.#api.disable(name)),
      test: () => this.#test(),
      remove: () => this.head.ask("extension-remove", () => this.#remove()),
    };
  }

  #change(failed, act) {
    return this.attempt(failed, async () => {
      this.#line = "";
      await act();
      this.head.answered();
      this.fire("changed");
      await this.#read();
    });
  }

  // What is confirmed is what stands on the page: the hash of just that is sent.
  #confirm() {
    const { confirm } = this.#extension.command;
    this.head.ask("extension-confirm", () => this.#change(TOOLS.notEnabled, () => this.#api.enable(this.name, confirm)));
  }

  #remove() {
    return this.attempt(TOOLS.notRemoved, async () => {
      await this.#api.remove(this.name);
      this.head.answered();
      this.tell(EXTENSIONS.removed(this.#extension.title));
      this.fire("changed");
      if (this.#extension.registry === "pasted") this.fire("replace", toolsAddress());
      else await this.#read();
    });
  }

  #test() {
    return this.attempt(EXTENSIONS.notTested, async () => {
      this.say((this.#line = EXTENSIONS.testing));
      const [reply, error] = await this.#api.test(this.name).then((found) => [found, null], (reason) => [null, reason]);
      const problem = error ?? reply.error;
      this.say((this.#line = problem ? EXTENSIONS.doesNotWork(problem.message) : EXTENSIONS.works(reply.tools)));
      await this.#read();
    });
  }

  async #authenticate(secrets) {
    const [item, error] = await this.#api.authenticate(this.name, secrets).then((found) => [found, null], (reason) => [null, reason]);
    if (error !== null) this.#sheet.secrets.tell(EXTENSIONS.notKept(error.message), { wrong: true });
    else this.#sheet.secrets.tell(item.authenticated ? EXTENSIONS.tokenTaken : EXTENSIONS.tokenUnchecked(item.error?.message));
    this.fire("changed");
    await this.#read();
  }

  async #configure(settings) {
    const error = await this.#api.configure(this.name, settings).then(() => null, (reason) => reason);
    this.#sheet.settings.tell(error === null ? COMMON.saved : COMMON.notSaved(error.message), error?.field ?? null);
    if (error !== null) return;
    this.fire("changed");
    await this.#read();
  }
}
