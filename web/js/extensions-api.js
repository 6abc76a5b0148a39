/** What the page asks of the gateway about extensions. */

const STARTING = 120000; // milliseconds: a server may first have to be fetched, and to start

export class ExtensionsApi {
  #api;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** The installed ones. */
  list() {
    return this.#api.json("GET", "extensions/list");
  }

  /** What can be installed by name. */
  registry() {
    return this.#api.json("GET", "extensions/registry");
  }

  /** All about one: as it is installed, else as the registry has it, without a `state`. */
  async read(name) {
    try {
      return await this.#api.json("GET", path(name));
    } catch (error) {
      if (error.status !== 404) throw error;
      const { extensions } = await this.registry();
      const found = extensions.find((one) => one.name === name);
      if (found === undefined) throw error;
      return found;
    }
  }

  /** @param {{name: string, registry: string}|{mcpServers: object}} what answers at once; events tell how it goes on */
  install(what) {
    return this.#api.json("POST", "extensions/install", { body: what, patience: STARTING });
  }

  /** @param {string|null} confirm the hash of the command that was looked at */
  enable(name, confirm) {
    return this.#api.json("POST", `${path(name)}/enable`, { body: confirm === null ? {} : { confirm }, patience: STARTING });
  }

  disable(name) {
    return this.#api.json("POST", `${path(name)}/disable`, { patience: STARTING });
  }

  /** @param {Record<string, string>} settings those left out stay; an empty one goes back to its default */
  configure(name, settings) {
    return this.#api.json("PUT", `${path(name)}/config`, { body: { settings }, patience: STARTING });
  }

  /** @param {Record<string, string>} secrets never kept here */
  authenticate(name, secrets) {
    return this.#api.json("POST", `${path(name)}/auth`, { body: { secrets }, patience: STARTING });
  }

  /** Starts it and lists its tools. */
  test(name) {
    return this.#api.json("POST", `${path(name)}/test`, { patience: STARTING });
  }

  remove(name) {
    return this.#api.json("DELETE", path(name), { patience: STARTING });
  }
}

function path(name) {
  return `extensions/${encodeURIComponent(name)}`;
}
