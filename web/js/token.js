/** Where the token lives: in this tab, or on this device when asked. Never in an address for longer than it takes to read. */

const KEY = "ironclaw.token";
const HASH = /^#token=([^&]+)/;
let held = null;

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
  return held ?? read(() => sessionStorage) ?? read(() => localStorage);
}

export function keep(token, { onDevice }) {
  held = token;
  write(() => sessionStorage, token);
  if (onDevice) write(() => localStorage, token);
}

export function forget() {
  held = null;
  write(() => sessionStorage, null);
  write(() => localStorage, null);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Storage may be switched off in the browser; then the token lasts as long as the page.
function read(storage) {
  try {
    return storage().getItem(KEY);
  } catch {
    return null;
  }
}

function write(storage, token) {
  try {
    if (token === null) storage().removeItem(KEY);
    else storage().setItem(KEY, token);
  } catch {
    return;
  }
}
