/** What can be done with a whole note, and how it is taken back: delete, move, restore a version, download. */

import { saveReply } from "../download.js";
import { titleOf } from "../notes.js";

/** Fires "told" with `{text, offer}`, and "go" with the path to be opened; null: none is open any more. */
export class NoteActs extends EventTarget {
  #api;

  constructor(api) {
    super();
    this.#api = api;
  }

  delete(path, etag) {
    return this.#attempt("Not deleted.", async () => {
      await this.#api.delete(path, etag);
      this.#go(null);
      this.#tell(`Deleted “${titleOf(path)}”.`, () => this.#undo(path));
    });
  }

  move(path, to, etag) {
    return this.#attempt("Not moved.", async () => {
      const moved = await this.#api.move(path, to, etag);
      this.#go(to);
      this.#tell(`Moved to ${to}.`, () => this.move(to, path, moved.etag));
    });
  }

  restore(path, version, etag) {
    return this.#attempt("Not restored.", async () => {
      await this.#api.restore(path, version.id, etag);
      this.#go(path);
      this.#tell("Restored.", () => this.#undo(path));
    });
  }

  download(path) {
    return this.#attempt("Not downloaded.", async () => saveReply(await this.#api.file(path), path.split("/").at(-1)));
  }

  // The version before the newest; not where somebody made another one since.
  #undo(path) {
    return this.#attempt("That can't be taken back.", async () => {
      const [newest, before] = (await this.#api.versions(path, { limit: 2 })).versions;
      if (before.etag === null) await this.#api.delete(path, newest.etag);
      else await this.#api.restore(path, before.id, newest.etag ?? "");
      this.#go(path);
    });
  }

  async #attempt(failed, act) {
    try {
      await act();
    } catch (error) {
      this.#tell(`${failed} ${error.message}`);
    }
  }

  #go(path) {
    this.dispatchEvent(new CustomEvent("go", { detail: path }));
  }

  #tell(text, undo = null) {
    this.dispatchEvent(new CustomEvent("told", { detail: { text, offer: undo && { label: "Undo", act: undo } } }));
  }
}
