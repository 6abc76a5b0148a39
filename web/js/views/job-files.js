/** The files of a job: one folder of them, each to be looked at or saved. */

import { saveReply } from "../download.js";
import { fromTemplate, part, setText, showText, timeNode } from "../dom.js";
import { jobFilesAddress } from "../jobs-route.js";
import { COMMON } from "../words/common.js";
import { JOBS } from "../words/jobs.js";
import { sizeText } from "../words/sizes.js";
import { shortTime } from "../words/times.js";

export class JobFiles {
  #root;
  #api;
  #id;
  #browseUrl = null;
  #path = null;
  #run = 0;

  /** @param {Element} root has the parts "path", "entries", "said" and "again" @param {import("../jobs-api.js").JobsApi} api */
  constructor(root, api, id) {
    this.#root = root;
    this.#api = api;
    this.#id = id;
    part(root, "again").addEventListener("click", () => this.refresh());
  }

  /** Shows the folder *path*; its files are looked at below *browseUrl*. */
  open(path, browseUrl) {
    this.#browseUrl = browseUrl;
    if (path !== this.#path) part(this.#root, "entries").replaceChildren();
    this.#path = path;
    this.#crumbs();
    this.refresh();
  }

  async refresh() {
    if (this.#path === null) return;
    const run = (this.#run += 1);
    const [list, error] = await this.#api.files(this.#id, this.#path).then((found) => [found, null], (reason) => [null, reason]);
    if (run !== this.#run) return;
    if (list === null) return this.#tell(JOBS.filesUnreadable(error.message));
    part(this.#root, "entries").replaceChildren(...list.entries.map((entry) => this.#entry(entry)));
    if (list.truncated) this.#tell(JOBS.moreFiles(list.entries.length));
    else this.#tell(list.entries.length === 0 ? JOBS.noFiles : "");
  }

  #crumbs() {
    const names = this.#path === "" ? [] : this.#path.split("/");
    const links = names.map((name, index) => link(jobFilesAddress(this.#id, names.slice(0, index + 1).join("/")), name));
    const all = names.length === 0 ? [] : [link(jobFilesAddress(this.#id), JOBS.allFiles), ...links].flatMap((node) => [node, " / "]).slice(0, -1);
    part(this.#root, "path").replaceChildren(...all);
    part(this.#root, "path").hidden = names.length === 0;
  }

  #entry({ name, path, is_folder: isFolder, size, modified }) {
    const row = fromTemplate("job-file");
    const [way, save, time] = [part(row, "link"), part(row, "save"), new Date(modified)];
    setText(part(row, "name"), isFolder ? `${name}/` : name);
    setText(part(row, "size"), isFolder ? "" : sizeText(size));
    part(row, "time").append(timeNode(time, shortTime(time)));
    save.classList.toggle("folder", isFolder);
    save.setAttribute("aria-label", COMMON.download(name));
    save.addEventListener("click", () => this.#save(name, path));
    if (isFolder) way.setAttribute("href", jobFilesAddress(this.#id, path));
    else if (this.#browseUrl) lookAt(way, this.#browseUrl + path.split("/").map(encodeURIComponent).join("/"));
    return row;
  }

  async #save(name, path) {
    try {
      await saveReply(await this.#api.file(this.#id, path), name);
    } catch (error) {
      this.#tell(COMMON.notDownloaded(error.message));
    }
  }

  #tell(words) {
    showText(part(this.#root, "said"), words);
  }
}

function link(address, text) {
  const node = document.createElement("a");
  node.setAttribute("href", address);
  node.textContent = text;
  return node;
}

function lookAt(node, address) {
  node.setAttribute("href", address);
  node.target = "_blank";
  node.rel = "noreferrer";
}
