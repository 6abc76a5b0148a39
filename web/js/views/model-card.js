/** Which model is connected and how it is, and the way to another one. */

import { announce, fromTemplate, part, setText, showText } from "../dom.js";
import { COMMON } from "../words/common.js";
import { sentences } from "../words/language.js";
import { connectedText, factsText, lockText, MODEL } from "../words/model.js";
import { ModelForm } from "./model-form.js";

export class ModelCard {
  #api;
  #form;
  #state = null;
  #models = [];
  #tested = null; // the last test that went well, and what was connected by it
  #changing = false;
  #run = 0;

  constructor(session) {
    this.root = fromTemplate("model-card");
    this.#api = session.api;
    this.#form = new ModelForm(part(this.root, "form"), session.api);
    this.#form.addEventListener("connected", ({ detail }) => this.#connected(detail));
    this.#form.addEventListener("closed", () => this.#change(false));
    part(this.root, "change").addEventListener("click", () => this.#change(true));
    part(this.root, "forget").addEventListener("click", () => this.#forget());
    part(this.root, "choice").addEventListener("change", ({ target }) => this.#choose(target.value));
    session.addEventListener("event", ({ detail }) => detail.name === "model_updated" && this.root.checkVisibility() && this.refresh());
  }

  /** Reads how things are, and the server's models where another one can be chosen. */
  async refresh() {
    const run = ++this.#run;
    const [state, error] = await this.#api.model().then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    if (state === null) return this.#tell(error.message);
    this.#take(state);
    if (state.state === "none" || state.locked) return;
    const reply = await this.#api.models().catch(() => null); // that it can't be reached is said by its state
    if (run !== this.#run || reply === null) return;
    this.#models = reply.models.map((model) => model.id);
    this.#show();
  }

  // What came of the form

  async #connected(test) {
    this.#tested = test;
    await this.refresh();
    this.#change(false);
    announce(part(this.root, "name").textContent);
  }

  get #firstWords() {
    const { base_url: address, model } = this.#state;
    return this.#tested?.base_url === address && this.#tested.model === model ? this.#tested.reply_ms : null;
  }

  #change(changing) {
    this.#changing = changing;
    this.#tell("");
    if (changing) this.#form.fill(this.#state);
    this.#show();
    if (changing) this.#form.focus();
    else part(this.root, "change").focus();
  }

  async #forget() {
    await this.#attempt(MODEL.notDisconnected, () => this.#api.forgetModel());
  }

  async #choose(model) {
    this.#tell(MODEL.tryingModel(model));
    await this.#attempt(COMMON.notChanged, () => this.#api.useModel({ model }));
  }

  async #attempt(failed, act) {
    try {
      this.#take(await act());
      this.#tell("");
    } catch (error) {
      this.#tell(failed(error.message));
    }
    this.#show();
  }

  // What is shown

  #take(state) {
    const first = this.#state === null;
    this.#state = state;
    if (state.state === "none") this.#models = [];
    if (state.state === "none" && (first || part(this.root, "form").hidden)) this.#form.fill(state);
    this.#show();
  }

  #show() {
    const { state, locked, error, tools } = this.#state;
    const none = state === "none";
    part(this.root, "form").hidden = locked || !(none || this.#changing);
    part(this.root, "about").hidden = none && !locked;
    setText(part(this.root, "name"), connectedText(this.#state, this.#firstWords));
    showText(part(this.root, "problem"), error ? sentences([error.message, error.fix]) : "");
    showText(part(this.root, "facts"), none ? "" : factsText(this.#state));
    part(this.root, "toolless").hidden = tools !== false;
    showText(part(this.root, "lock"), locked ? lockText(this.#state) : "");
    part(this.root, "acts").hidden = locked || this.#changing;
    this.#showChoice();
  }

  #showChoice() {
    const { model, locked } = this.#state;
    const others = this.#models.filter((name) => name !== model);
    part(this.root, "choosing").hidden = locked || this.#changing || others.length === 0;
    part(this.root, "choice").replaceChildren(...[model ?? "", ...others].map((name) => new Option(name, name)));
  }

  #tell(words) {
    showText(part(this.root, "said"), words);
  }
}
