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
