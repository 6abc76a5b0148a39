/** An extension to look at: what is run or reached and what it may do first, then what it needs, then its tools. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { EXTENSIONS, extensionSentence, foldersText, givenText, hostsText, runText, sandboxText, toolsText } from "../words/extensions.js";
import { safeAddress } from "../markdown-inline.js";
import { ExtensionSecrets } from "./extension-secrets.js";
import { ExtensionSettings } from "./extension-settings.js";

const FEW = 8;

export class ExtensionSheet {
  #tools = "";

  constructor() {
    this.root = fromTemplate("extension-sheet");
    this.secrets = new ExtensionSecrets(part(this.root, "secrets"));
    this.settings = new ExtensionSettings(part(this.root, "settings"));
  }

  /** @param {object} extension as of `GET /api/extensions/NAME`, or one of the registry */
  update(extension) {
    const { title, description, command, hosts, folders } = extension;
    setText(part(this.root, "name"), title);
    setText(part(this.root, "description"), description);
    setText(part(this.root, "state"), extensionSentence(extension));
    const { words, exact } = runText(extension);
    setText(part(this.root, "run"), words);
    setText(part(this.root, "command"), exact);
    showText(part(this.root, "sandbox"), sandboxText(command));
    showText(part(this.root, "hosts"), hostsText(hosts, command));
    showText(part(this.root, "folders"), foldersText(folders, extension.settings));
    showText(part(this.root, "given"), givenText(command));
    this.#homepage(extension);
    this.#wanted(extension);
    this.secrets.update(extension);
    this.settings.update(extension);
    this.#showTools(extension.tools ?? []);
  }

  #homepage({ homepage }) {
    const address = safeAddress(homepage ?? "");
    part(this.root, "about").hidden = address === null;
    if (address !== null) part(this.root, "homepage").href = address;
    setText(part(this.root, "homepage"), address ?? "");
  }

  // Before it is installed: what it will ask for.
  #wanted({ state, secrets, settings }) {
    const wanted = [...secrets, ...settings.filter(({ default: usual }) => usual === null)].filter(({ required }) => required);
    showText(part(this.root, "wanted"), state === undefined && wanted.length > 0 ? EXTENSIONS.wanted(wanted.map(({ title }) => title)) : "");
  }

  #showTools(tools) {
    const key = JSON.stringify(tools);
    part(this.root, "tools-section").hidden = tools.length === 0;
    if (key === this.#tools) return; // an open row stays open
    this.#tools = key;
    setText(part(this.root, "count"), tools.length === 0 ? "" : toolsText(tools));
    part(this.root, "fold").open = tools.length <= FEW;
    part(this.root, "tools").replaceChildren(...tools.map(toolNode));
  }
}

function toolNode({ title, description, asks }) {
  const node = fromTemplate("extension-tool");
  setText(part(node, "title"), title);
  setText(part(node, "asks"), asks ? EXTENSIONS.asks : "");
  setText(part(node, "description"), description || EXTENSIONS.noDescription);
  return node;
}
