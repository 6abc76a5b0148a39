/** What is known of the notes: the files as they were read, moved on by events, and which of them a name means. Pure. */

const SUFFIX = /\.(?:md|markdown|txt)$/i;
const MOST_NAMED = 5;

/** @typedef {{path: string, size: number, modified: string}} NoteInfo */

/** "2026-03-03" of "daily/2026-03-03.md" */
export function titleOf(path) {
  return nameOf(path).replace(/(?<=.)\.(?:md|markdown)$/i, "");
}

/** "daily" of "daily/2026-03-03.md" */
export function folderOf(path) {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Where the note of a day is. */
export function dailyPath(date) {
  const [month, day] = [date.getMonth() + 1, date.getDate()].map((number) => String(number).padStart(2, "0"));
  return `daily/${String(date.getFullYear()).padStart(4, "0")}-${month}-${day}.md`;
}

function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether a file of this name is a note, and so is searched. */
export function isNote(path) {
  return SUFFIX.test(path);
}

/** The path of a note that somebody calls *name*; null where no note may be called so. */
export function pathOf(name) {
  const path = name.split("/").map((one) => one.trim()).filter(Boolean).join("/");
  if (path === "" || /[\\\0]|(?:^|\/)\./.test(path)) return null;
  return isNote(path) ? path : `${path}.md`;
}

export class NoteBook {
  #files = new Map();
  #newest = null;
  #names = null;
  #moving = null; // when that was changed which is just being moved

  /** The files, the newest first. @returns {NoteInfo[]} */
  get newest() {
    this.#newest ??= [...this.#files.values()].sort(newestFirst);
    return this.#newest;
  }

  get paths() {
    return [...this.#files.keys()];
  }

  has(path) {
    return this.#files.has(path);
  }

  /** Has exactly *files*. @param {NoteInfo[]} files */
  replace(files) {
    this.#files = new Map(files.map((file) => [file.path, file]));
    this.#changed();
  }

  /** Takes a `memory_changed`; a move comes as two, the old path first. */
  apply({ path, change }, now = new Date()) {
    const known = this.#files.get(path);
    this.#files.delete(path);
    if (change === "moved" && known) this.#moving = known;
    else if (change !== "deleted") this.#put(path, change === "moved" ? this.#moving : { ...known, modified: now.toISOString() });
    this.#changed();
  }

  /** The file that a link in the note *from* means by *target*: a path from there, from the top, or a name; null: none. */
  resolve(target, from = "") {
    const wanted = target.trim();
    if (wanted === "") return null;
    const near = [folderOf(from), wanted].filter(Boolean).join("/");
    const paths = [near, wanted].map(normal).filter((path) => path !== null);
    return paths.flatMap(withSuffixes).find((path) => this.#files.has(path)) ?? this.#named(wanted, from);
  }

  /** The newest files of which the path has all words of *query*, and the name one of them. */
  called(query) {
    const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    const has = (text) => (word) => text.toLowerCase().includes(word);
    const fits = ({ path }) => words.every(has(path)) && words.some(has(titleOf(path)));
    return words.length === 0 ? [] : this.newest.filter(fits).slice(0, MOST_NAMED);
  }

  #put(path, known) {
    this.#files.set(path, { ...known, path, modified: known?.modified ?? new Date().toISOString() });
  }

  #changed() {
    this.#newest = null;
    this.#names = null;
  }

  // As people name notes: without folder and suffix, in any case. The one beside *from* is meant before others.
  #named(wanted, from) {
    this.#names ??= byName(this.#files.keys());
    const end = bare(wanted);
    const fits = (path) => `/${bare(path)}`.endsWith(`/${end}`) && (!SUFFIX.test(wanted) || path.toLowerCase().endsWith(wanted.toLowerCase()));
    const found = (this.#names.get(nameOf(end)) ?? []).filter(fits);
    return found.find((path) => folderOf(path) === folderOf(from)) ?? found.sort((one, other) => one.length - other.length)[0] ?? null;
  }
}

// Plain comparisons: there may be tens of thousands.
function newestFirst(one, other) {
  if (one.modified !== other.modified) return one.modified < other.modified ? 1 : -1;
  return one.path < other.path ? -1 : 1;
}

function byName(paths) {
  const found = new Map();
  for (const path of paths) {
    const name = nameOf(bare(path));
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(path);
  }
  return found;
}

// As it is compared: in any case, without the suffix of a note.
function bare(path) {
  return path.toLowerCase().replace(SUFFIX, "");
}

/** A path without `.` and `..`; null where it leads out. */
export function normal(path) {
  const parts = [];
  for (const part of path.split("/")) {
    if (part === ".." && parts.pop() === undefined) return null;
    if (part !== ".." && part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

function withSuffixes(path) {
  return [path, `${path}.md`, `${path}.markdown`, `${path}.txt`];
}
