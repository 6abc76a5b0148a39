/** What is known of the skills and extensions, installed or available. Pure. */

import { stateWord } from "./words/tools.js";

/**
 * @typedef {{kind: "skills"|"extensions", name: string, title: string, description: string, tags: string[], installed: boolean,
 *   state: string}} Tool
 * `state` is that of the API; `tags` are more words by which it is found.
 */

export class ToolBook {
  #tools = new Map();

  /** @returns {Tool[]} */
  get installed() {
    return this.#sorted(true);
  }

  /** @returns {Tool[]} */
  get available() {
    return this.#sorted(false);
  }

  get empty() {
    return this.#tools.size === 0;
  }

  /** @param {Tool["kind"]} kind @returns {Tool|undefined} */
  find(kind, name) {
    return this.#tools.get(`${kind}/${name}`);
  }

  /** Has exactly *tools* of this kind. @param {Tool["kind"]} kind @param {Tool[]} tools */
  replace(kind, tools) {
    for (const [key, tool] of this.#tools) if (tool.kind === kind) this.#tools.delete(key);
    for (const tool of tools) this.put(tool);
  }

  /** @param {Tool} tool */
  put(tool) {
    this.#tools.set(`${tool.kind}/${tool.name}`, tool);
  }

  /** Those that have all words of *query* in name, description, tags or state; those that are called so first. */
  having(query) {
    const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    const named = (tool) => words.every((word) => [tool.name, tool.title].join(" ").toLowerCase().includes(word));
    const found = this.#sorted().filter((tool) => words.every((word) => text(tool).includes(word)));
    return [...found.filter(named), ...found.filter((tool) => !named(tool))];
  }

  #sorted(installed = null) {
    const chosen = [...this.#tools.values()].filter((tool) => installed === null || tool.installed === installed);
    return chosen.sort((one, other) => one.title.localeCompare(other.title) || one.kind.localeCompare(other.kind));
  }
}

function text(tool) {
  return [tool.name, tool.title, tool.description, ...tool.tags, stateWord(tool)].join(" ").toLowerCase();
}

/** A skill of the API as one of the tools. @returns {Tool} */
export function skillTool({ name, description, tags, state }) {
  return { kind: "skills", name, title: name, description, tags, installed: state !== "available", state };
}

/** An installed extension of the API as one of the tools. @returns {Tool} */
export function extensionTool({ name, title, description, state }) {
  return { kind: "extensions", name, title: title || name, description, tags: [], installed: true, state };
}

/** One of the registry. @returns {Tool} */
export function availableTool(extension) {
  return { ...extensionTool(extension), tags: extension.keywords ?? [], installed: false, state: "available" };
}
