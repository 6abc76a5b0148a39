/** What the page says of one extension, and of what it asks for. Pure. */

import { facts, listed, sentences } from "./language.js";

const PLAIN = /^[\w@%+=:,./{}-]+$/;
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const SOURCES = { builtin: "comes with IronClaw", own: "from your folder", pasted: "pasted" };
const PACKAGES = { python: "PyPI", node: "npm" };
const SENTENCES = {
  installing: ({ progress }) => `It is being installed${progress ? `: ${progress}` : ""}.`,
  install_failed: ({ error }) => `It could not be installed. ${error?.message ?? ""}`,
  unconfirmed: () => "Installed, but nothing of it runs before you have confirmed what is run or reached.",
  disabled: () => "Disabled. The assistant does not see its tools.",
  needs_settings: () => "It needs settings before it can be used.",
  needs_token: ({ error }) => (error ? `It needs a token. ${error.message}` : "It needs a token before it can be used."),
  failed: ({ error }) => `It does not work. ${error?.message ?? ""}`,
  running: () => "Enabled. It runs now.",
  ready: () => "Enabled. Nothing of it runs until one of its tools is used.",
};

export const EXTENSIONS = Object.freeze({
  // One extension
  title: "Extension",
  about: { menu: "This extension", button: "More about this extension" },
  giveUp: "Give up",
  test: "Test",
  testing: "Testing: it is started, and asked for its tools…",
  works: (tools) => `It works: ${toolsText(tools)}`,
  doesNotWork: (why) => `It does not work. ${why}`,
  notTested: (why) => `Not tested. ${why}`,
  removed: (title) => `Removed “${title}”, with its token and its settings.`,
  wanted: (titles) => `After that it needs from you: ${listed(titles)}.`,
  asks: "asks you",
  noDescription: "It says nothing of what it does.",

  // Its tokens and settings
  optional: (title) => `${title} (optional)`,
  keptReplaceable: "One is kept; a new one replaces it",
  kept: "One is kept.",
  tokenFirst: "Enter the token first.",
  trying: "Trying it…",
  tokenTaken: "It was taken.",
  tokenUnchecked: (why) => sentences(["It is kept, but could not be checked yet.", why]),
  notKept: (why) => `Not kept. ${why}`,
  placeholders: { url: "https://…", folder: "/home/…", folders: "/home/…:/srv/…", file: "/home/…" },
  severalFolders: "Several are written with “:” between them.",
  nothingChanged: "Nothing was changed.",
  saving: "Saving…",
});

/** How it is, in a sentence. @param {{state?: string}} extension without a state: not installed */
export function extensionSentence(extension) {
  if (extension.state === undefined) return "Not installed.";
  return (SENTENCES[extension.state]?.(extension) ?? "").trim();
}

/** "Extension · 1.0.0 · comes with IronClaw" */
export function extensionWhere({ version, registry }) {
  return facts(["Extension", version === "0" ? "" : version, SOURCES[registry]]);
}

/** A command as it could be typed, each sign of it to be seen. @param {string[]} argv */
export function commandText(argv) {
  return argv.map((word) => (PLAIN.test(word) ? word : `'${visible(word).replaceAll("'", "'\\''")}'`)).join(" ");
}

/** What is run or reached. @returns {{words: string, exact: string}} */
export function runText({ command: { kind, argv, package: name }, registry }) {
  if (kind === "http") return { words: "It is reached at this address:", exact: visible(argv.join(" ")) };
  const isBare = kind === "node" && (registry === "pasted" || argv.length === 0); // the package alone says what is run
  const from = name ? `, from the package ${visible(name)} of ${PACKAGES[kind]}` : "";
  return { words: `It is a program that is run on the gateway’s machine${from}:`, exact: commandText(isBare ? [name, ...argv] : argv) };
}

/** What keeps a program from the rest of the machine. */
export function sandboxText({ kind, sandbox }) {
  if (kind === "http") return "";
  if (!sandbox) return "It runs without a sandbox: it can do there whatever the gateway itself can.";
  return "It runs in a sandbox where that machine has one; else it can do there whatever the gateway itself can.";
}

/** Which hosts a program may reach, or where a token goes. A sandbox lets it reach none, or any. */
export function hostsText(hosts, { kind, sandbox }) {
  if (kind === "http") return hosts.length === 0 ? "" : `What you enter for it goes only to ${listed(hosts.map(visible))}.`;
  if (hosts.includes("*")) return "It may reach any address.";
  if (hosts.length > 0) return `It is made to reach ${listed(hosts.map(visible))}; nothing keeps it from other addresses.`;
  return sandbox ? "In the sandbox it reaches no address." : "It is made to reach no address; nothing keeps it from that.";
}

/** Which folders it uses; one that a setting names goes by that. */
export function foldersText(folders, settings) {
  const named = (_, name) => {
    const setting = settings.find((one) => one.name === name);
    if (setting === undefined) return "its own folder";
    return setting.value?.replace(/^\{data\}\/(.+)/, "$1 in its own folder") ?? `what you set as “${setting.title}”`;
  };
  return folders.length === 0 ? "" : `It uses ${listed(folders.map((folder) => visible(folder.replace(/\{(\w+)\}/g, named))))}.`;
}

/** What a program is given, beside its command. */
export function givenText({ kind, variables }) {
  return variables.length === 0 || kind === "http" ? "" : `It is given ${listed(variables.map(visible))}.`;
}

/** "12 tools, 3 of them ask you before each use." */
export function toolsText(tools) {
  const asking = tools.filter(({ asks }) => asks).length;
  const count = tools.length === 1 ? "1 tool" : `${tools.length} tools`;
  if (asking === 0) return `${count}.`;
  if (asking === tools.length) return tools.length === 1 ? "1 tool, which asks you before each use." : `${count}, which ask you before each use.`;
  return `${count}, ${asking} of them ${asking === 1 ? "asks" : "ask"} you before each use.`;
}

// What does not show, or turns the writing around, is written out.
function visible(text) {
  return text.replace(HIDDEN, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}
