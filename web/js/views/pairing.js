/** Opening the gateway on another device: at which address, and, for two minutes, a QR code of the link that signs in there. */

import { part, setText, showText } from "../dom.js";
import { PAIRING } from "../words/pairing.js";

const SHOWN = 120000; // milliseconds: who sees the code can use the gateway

export class Pairing {
  #root;
  #api;
  #opened = null; // ends with what is shown, and takes its listener along
  #timer = null;

  /** @param {Element} root has the parts "address", "alone", "failure", "act", "shown", "told" and "code" @param {import("../http.js").Http} api */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
    part(root, "act").addEventListener("click", () => (this.#opened === null ? this.#show() : this.hide()));
  }

  async refresh() {
    const [found, error] = await this.#ask(false);
    if (found === null) return setText(part(this.#root, "address"), PAIRING.failed(error.message));
    this.#tell("");
    this.#showAddress(found.address);
  }

  /** Takes the code away, also one that is still being asked for. */
  hide() {
    clearTimeout(this.#timer);
    this.#opened?.abort();
    this.#opened = null;
    this.#become(false);
    part(this.#root, "shown").hidden = true;
    part(this.#root, "code").replaceChildren();
  }

  async #show() {
    const opened = (this.#opened = new AbortController());
    this.#become(true);
    const [found, error] = await this.#ask(true);
    if (opened !== this.#opened) return;
    this.#tell(error && PAIRING.noCode(error.message));
    if (found !== null) this.#showAddress(found.address);
    if (!found?.code) return this.hide();
    this.#timer = setTimeout(() => this.hide(), SHOWN);
    document.addEventListener("keydown", (event) => this.#key(event), { signal: opened.signal });
    setText(part(this.#root, "told"), found.signs_in ? PAIRING.signsIn : PAIRING.addressOnly);
    const picture = pictureOf(found);
    picture.addEventListener("load", () => picture.scrollIntoView({ block: "nearest" }));
    part(this.#root, "code").replaceChildren(picture);
    part(this.#root, "shown").hidden = false;
  }

  #ask(code) {
    const body = { page: new URL("./", location.href).href, code };
    return this.#api.json("POST", "pairing", { body, told: true }).then((reply) => [reply, null], (reason) => [null, reason]);
  }

  #showAddress(address) {
    const line = part(this.#root, "address");
    if (address === null) setText(line, PAIRING.alone);
    else line.replaceChildren(PAIRING.reached[0], strong(address), PAIRING.reached[1]);
    part(this.#root, "alone").hidden = address !== null;
    part(this.#root, "act").hidden = address === null;
  }

  #become(open) {
    setText(part(this.#root, "act"), open ? PAIRING.hide : PAIRING.show);
    part(this.#root, "act").setAttribute("aria-expanded", String(open));
  }

  #key(event) {
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]") !== null) return;
    event.preventDefault();
    this.hide();
  }

  #tell(words) {
    showText(part(this.#root, "failure"), words);
  }
}

function pictureOf({ code, address }) {
  const picture = new Image();
  picture.src = code;
  picture.alt = PAIRING.label(address);
  return picture;
}

function strong(text) {
  const node = document.createElement("strong");
  node.textContent = text;
  return node;
}
