/** What the page says of skills and extensions alike. Pure. */

const KINDS = { skills: "skill", extensions: "extension" };
const STATES = {
  enabled: "enabled",
  disabled: "disabled",
  changed: "changed: look at it",
  broken: "can’t be read",
  installing: "being installed",
  install_failed: "not installed: look at it",
  unconfirmed: "to be confirmed",
  needs_settings: "needs settings",
  needs_token: "needs a token",
  failed: "does not work",
  running: "enabled",
  ready: "enabled",
};
const CALLING = new Set(["changed", "broken", "install_failed", "unconfirmed", "needs_settings", "needs_token", "failed"]);

export const TOOLS = Object.freeze({
  // The list
  listUnreadable: "The list of tools can’t be read.",
  kindUnreadable: { skills: (why) => `The skills can’t be read. ${why}`, extensions: (why) => `The extensions can’t be read. ${why}` },
  nothingToInstall: "There is nothing to install from here yet.",
  found: (count) => (count === 1 ? "1 tool" : `${count} tools`),

  // One of them
  all: "All tools",
  install: "Install",
  enable: "Enable",
  disable: "Disable",
  notInstalled: (why) => `Not installed. ${why}`,
  notEnabled: (why) => `Not enabled. ${why}`,
  notDisabled: (why) => `Not disabled. ${why}`,
  notRemoved: (why) => `Not removed. ${why}`,

  // Adding one
  add: "Add",
  addTool: "Add a tool",
  readingIt: "Reading it…",
  pasteFirst: "Paste something first, or choose a file.",
  fileTooLarge: (name) => `${name} is larger than 12 MB; no skill should be.`,
  notAdded: (name, why) => `“${name}” was not added. ${why}`,
  added: (count) => `${count} were added. Each of them waits to be confirmed.`,
  brokenJson: "This JSON can’t be read: a part of it is missing, or there is a comma or a quote too many. Copy all of it.",
  noServerInJson: 'This JSON names no server. It looks like {"mcpServers": {"name": {"command": "…", "args": []}}}.',
});

/** "skill" */
export function kindWord({ kind }) {
  return KINDS[kind];
}

/** "enabled", "changed: look at it"; what is only available has none. */
export function stateWord({ state }) {
  return STATES[state] ?? "";
}

/** Whether it waits for somebody. */
export function calls({ state }) {
  return CALLING.has(state);
}
