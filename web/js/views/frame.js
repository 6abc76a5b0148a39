/** The page of somebody who is signed in: the rail, and beside it the place that the address names. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { PLACES, viewOf } from "../places.js";
import { addressOf, placeOf } from "../route.js";
import { COMMON } from "../words/common.js";
import { showOnKey } from "./shortcuts.js";

/** Fires "titled" on its root with what is open. */
export class Frame {
  #session;
  #views = new Map();
  #coming = new Set(); // the places that are being brought
  #links = new Map();
  #left = new Map(); // the address at which each place was left
  #current = null;
  #titles = new Map();
  #closed = new AbortController();

  constructor(session) {
    this.root = fromTemplate("frame");
    this.#session = session;
    for (const place of PLACES) this.#addLink(place);
    session.addEventListener("approvals", () => this.#address());
    part(this.root, "again").addEventListener("click", () => this.#again());
    showOnKey(this.#closed.signal);
    addEventListener("hashchange", ({ oldURL }) => this.#goTo(new URL(oldURL).hash), { signal: this.#closed.signal });
  }

  opened() {
    this.#goTo();
  }

  close() {
    this.#closed.abort();
    for (const view of this.#views.values()) view.close();
    this.#session.close();
    delete document.body.dataset.place;
  }

  #addLink({ name, word }) {
    const link = fromTemplate("rail-link");
    part(link, "icon").setAttribute("href", `./icons.svg#${name}`);
    setText(part(link, "word"), word);
    this.#links.set(name, link);
    this.root.querySelector(".rail").append(link);
  }

  #goTo(from = "") {
    const place = PLACES.find(({ name }) => name === placeOf(location.hash)) ?? PLACES[0];
    const arrived = place !== this.#current;
    if (arrived) this.#leave(from);
    this.#current = place;
    if (arrived) this.#mark(place.name);
    this.#address();
    if (this.#views.has(place.name)) this.#open(place, arrived);
    else this.#bring(place);
  }

  #leave(from) {
    if (this.#current === null) return;
    this.#left.set(this.#current.name, from);
    const view = this.#views.get(this.#current.name);
    if (view === undefined) return; // it has not come yet
    view.leave();
    view.root.hidden = true;
  }

  #mark(name) {
    document.body.dataset.place = name;
    for (const [other, link] of this.#links) {
      if (other === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#title(name);
  }

  #open(place, arrived) {
    const view = this.#views.get(place.name);
    if (arrived) this.#wait({});
    view.root.hidden = false;
    view.open();
    if (place !== PLACES[0]) this.#session.begin(); // the chat begins it where its history ends
  }

  // Places that are not there yet

  async #bring(place) {
    this.#wait({ coming: true });
    if (this.#coming.has(place)) return;
    this.#coming.add(place);
    const View = await viewOf(place).catch(() => null);
    this.#coming.delete(place);
    if (this.#closed.signal.aborted) return;
    if (View !== null) this.#make(place, View);
    if (place !== this.#current) return;
    if (View === null) this.#wait({ failed: true });
    else this.#open(place, true);
  }

  // A browser may remember that a module was not there: once the gateway answers again, the page begins anew.
  async #again() {
    this.#wait({ coming: true });
    const status = await this.#session.api.status().catch(() => null);
    if (status !== null) location.reload();
    else this.#wait({ failed: true });
  }

  #wait({ coming = false, failed = false }) {
    part(this.root, "coming").hidden = !coming;
    part(this.root, "failed").hidden = !failed;
  }

  #make({ name }, View) {
    const view = new View(this.#session);
    this.#views.set(name, view);
    view.root.hidden = true;
    view.root.addEventListener("titled", ({ detail }) => {
      this.#titles.set(name, detail);
      this.#title(name);
    });
    part(this.root, "places").append(view.root);
  }

  #title(name) {
    if (name !== this.#current.name) return;
    this.root.dispatchEvent(new CustomEvent("titled", { detail: this.#titles.get(name) ?? "" }));
  }

  // A place is gone back to where it was left; from inside it, its link leads to its beginning.
  #address() {
    for (const [name, link] of this.#links) {
      const left = name === this.#current.name ? null : this.#left.get(name);
      link.setAttribute("href", left || `#/${name}`);
    }
    this.#count();
  }

  // While something waits for an answer, the way to the chat leads there.
  #count() {
    const { all } = this.#session.approvals;
    const link = this.#links.get("chat");
    showText(part(link, "count"), all.length === 0 ? "" : String(all.length));
    setText(part(link, "told"), all.length === 0 ? "" : COMMON.answersWanted(all.length));
    if (all.length > 0) link.setAttribute("href", addressOf(all[0].thread_id, all[0].message_id));
  }
}
