/** What can be done with a whole note, and how it is taken back: delete, move, restore a version, download. */

import { part } from "../dom.js";
import { saveReply } from "../download.js";
import { isNote, pathOf, titleOf } from "../notes.js";
import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";

/** Fires "told" with `{text, offer}`, and "go" with the path to be opened; null: none is open any more. */
export class NoteActs extends EventTarget {
  #api;

  constructor(api) {
    super();
    this.#api = api;
  }

  /** What can be done with the file of *source*; *head* asks before. */
  of(source, head) {
    const { path } = source;
    return {
      download: () => this.#download(path),
      delete: () => head.ask("note-delete", () => this.#delete(path, source.etag)),
      move: () => {
        const form = head.ask("note-move", () => this.#rename(path, part(form, "path").value, source.etag));
        part(form, "path").value = path;
        part(form, "path").select();
      },
    };
  }

  // A note stays one, also when its new name is written without ".md".
  #rename(path, name, etag) {
    const to = isNote(path) ? pathOf(name) : name.trim();
    if (to === null || to === "") this.#tell(NOTES.notMovedSo);
    else this.#move(path, to, etag);
  }

  #delete(path, etag) {
    return this.#attempt(COMMON.notDeleted, async () => {
      await this.#api.delete(path, etag);
      this.#go(null);
      this.#tell(NOTES.deleted(titleOf(path)), () => this.#undo(path));
    });
  }

  #move(path, to, etag) {
    return this.#attempt(NOTES.notMoved, async () => {
      const moved = await this.#api.move(path, to, etag);
      this.#go(to);
      this.#tell(NOTES.moved(to), () => this.#move(to, path, moved.etag));
    });
  }

  restore(path, version, etag) {
    return this.#attempt(NOTES.notRestored, async () => {
      await this.#api.restore(path, version.id, etag);
      this.#go(path);
      this.#tell(NOTES.restored, () => this.#undo(path));
    });
  }

  #download(path) {
    return this.#attempt(COMMON.notDownloaded, async () => saveReply(await this.#api.file(path), path.split("/").at(-1)));
  }

  // The version before the newest; not where somebody made another one since.
  #undo(path) {
    return this.#attempt(NOTES.notTakenBack, async () => {
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
      this.#tell(failed(error.message));
    }
  }

  #go(path) {
    this.dispatchEvent(new CustomEvent("go", { detail: path }));
  }

  #tell(text, undo = null) {
    this.dispatchEvent(new CustomEvent("told", { detail: { text, offer: undo && { label: COMMON.undo, act: undo } } }));
  }
}
