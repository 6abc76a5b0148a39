/** Where a model is connected: an address, a key, a name. What is entered is tried first, and kept when it works. */

import { part, setText } from "../dom.js";
import { sentences } from "../words/language.js";
import { MODEL } from "../words/model.js";

const FIELD_OF = { key_refused: "key", model_missing: "model" };

/** Fires "connected" with the test that went well, and "closed" when nothing shall change. */
export class ModelForm extends EventTarget {
  #root;
  #api;
  #busy = false;
  #key = { address: "", text: "" }; // only in memory, for the next try at the same address

  constructor(root, api) {
    super();
    this.#root = root;
    this.#api = api;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    part(root, "look").addEventListener("click", () => this.#look());
    part(root, "cancel").addEventListener("click", () => this.dispatchEvent(new Event("closed")));
  }

  /** @param {object} state as of `GET /api/model` */
  fill({ state, base_url: address, model, has_key: hasKey }) {
    this.#input("address").value = address ?? "";
    this.#input("model").value = model ?? "";
    this.#input("key").value = "";
    this.#input("key").placeholder = hasKey ? MODEL.keptKey : MODEL.keyIfAsked;
    part(this.#root, "cancel").hidden = state === "none";
    part(this.#root, "title").hidden = state !== "none";
    part(this.#root, "servers").replaceChildren();
    this.#forget();
    this.#tell("");
  }

  focus() {
    this.#input("address").focus();
  }

  #input(name) {
    return part(this.#root, name);
  }

  async #submit() {
    if (this.#busy) return;
    const address = this.#input("address").value.trim();
    if (address === "") return this.#tell(MODEL.addressFirst, "address");
    const [key, model] = [this.#takeKey(address), this.#input("model").value.trim()];
    this.#work(true, MODEL.tryingAddress(address));
    const problem = await this.#connect(address, { ...(key && { api_key: key }) }, { ...(model && { model }) });
    this.#work(false, "");
    if (problem) this.#tell(sentences([problem.message, problem.fix]), FIELD_OF[problem.code] ?? "address");
  }

  /** What is wrong, if anything. */
  async #connect(address, key, model) {
    try {
      const found = await this.#api.testModel({ address, ...key, ...model });
      if (!found.ok) return found.error;
      await this.#api.useModel({ base_url: found.base_url, model: found.model, ...key, test: false });
      this.#forget();
      this.dispatchEvent(new CustomEvent("connected", { detail: found }));
      return null;
    } catch (error) {
      return { code: error.field === "api_key" ? "key_refused" : error.code, message: error.message };
    }
  }

  // The key leaves the page's fields at once.
  #takeKey(address) {
    const input = this.#input("key");
    const text = input.value.trim();
    input.value = "";
    if (text !== "") this.#key = { address, text };
    else if (this.#key.address !== address) this.#forget();
    return this.#key.text;
  }

  #forget() {
    this.#key = { address: "", text: "" };
  }

  async #look() {
    if (this.#busy) return;
    this.#work(true, MODEL.looking);
    const [reply, error] = await this.#api.discoverModels().then((found) => [found, null], (reason) => [null, reason]);
    this.#work(false, error?.message ?? (reply.servers.length === 0 ? MODEL.noServer : ""));
    part(this.#root, "servers").replaceChildren(...(reply?.servers ?? []).map((server) => this.#serverNode(server)));
  }

  #serverNode({ base_url: address, models }) {
    const node = document.createElement("button");
    node.type = "button";
    node.className = "example";
    node.textContent = MODEL.server(address, models.slice(0, 3));
    node.addEventListener("click", () => {
      this.#input("address").value = address;
      this.focus();
    });
    return node;
  }

  #work(busy, words) {
    this.#busy = busy;
    for (const name of ["submit", "look"]) part(this.#root, name).setAttribute("aria-disabled", String(busy));
    setText(part(this.#root, "submit"), busy ? MODEL.trying : MODEL.connect);
    this.#tell(words);
  }

  #tell(words, field = null) {
    setText(part(this.#root, "told"), words);
    for (const name of ["address", "key", "model"]) this.#input(name).setAttribute("aria-invalid", String(name === field));
    if (field !== null) this.#input(field).focus();
  }
}
