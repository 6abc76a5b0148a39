/** Files for the message that is being written: chosen, pasted or dropped. */

import { readFile, refusal } from "../attaching.js";
import { part } from "../dom.js";
import { AttachedFiles } from "./attached-files.js";

/** Fires "refused" with why a file can't go along, and "changed". */
export class Attach extends EventTarget {
  #files = [];
  #row;

  /** @param {Element} root the form, with the parts "attach", "file" and "files" */
  constructor(root) {
    super();
    this.#row = new AttachedFiles(part(root, "files"), () => Promise.resolve(null));
    const chooser = part(root, "file");
    part(root, "attach").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => {
      this.#add(chooser.files);
      chooser.value = "";
    });
    root.addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    root.addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    root.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  }

  get empty() {
    return this.#files.length === 0;
  }

  /** Gives them away: a message takes them along. */
  take() {
    const files = this.#files;
    this.put([]);
    return files;
  }

  /** @param {import("../attaching.js").Attached[]} files */
  put(files) {
    this.#files = files;
    this.#row.show(files, (file) => this.put(this.#files.filter((other) => other !== file)));
    this.dispatchEvent(new Event("changed"));
  }

  #take(event, { files }) {
    if (files.length === 0) return;
    event.preventDefault();
    this.#add(files);
  }

  async #add(files) {
    for (const file of [...files]) {
      const reason = refusal(file, this.#files.length);
      if (reason === "") this.put([...this.#files, await readFile(file)]);
      else this.dispatchEvent(new CustomEvent("refused", { detail: reason }));
    }
  }
}
