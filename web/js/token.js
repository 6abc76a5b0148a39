/** Where the token lives: in this tab, or on this device when asked. Never in an address for longer than it takes to read. */

import { device, tab } from "./storage.js";

const NAME = "token";
const HASH = /^#token=([^&]+)/;

/** Takes the token out of `#token=T`, out of the address bar and the history entry; whether there was one. */
export function takeFromAddress() {
  const match = HASH.exec(location.hash);
  if (!match) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  keep(decode(match[1]), { onDevice: false });
  return true;
}

/** @returns {string|null} */
export function current() {
  return tab.get(NAME) ?? device.get(NAME);
}

export function keep(token, { onDevice }) {
  tab.set(NAME, token);
  if (onDevice) device.set(NAME, token);
}

export function forget() {
  tab.set(NAME, null);
  device.set(NAME, null);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
