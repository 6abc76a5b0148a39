/** Where the page is, as its address says: `#/PLACE/…`; in the chat `#/chat`, `#/chat/THREAD`, `#/chat/THREAD/MESSAGE`. Pure. */

const PLACE = /^#\/([a-z]+)(?:[/?]|$)/;
const CHAT = /^#\/chat(?:\/([^/]+))?(?:\/([^/]+))?$/;

/** The name of the place, or null where the address names none. */
export function placeOf(hash) {
  return PLACE.exec(hash)?.[1] ?? null;
}

/**
 * @typedef {{listed: boolean, threadId: string|null, messageId: string|null}} Route
 * `listed`: the address is that of the list. Without it and without a thread, the default thread is meant.
 */

/** @returns {Route} */
export function readRoute(hash) {
  const match = CHAT.exec(hash);
  const [threadId, messageId] = [decode(match?.[1]), decode(match?.[2])];
  return { listed: match !== null && match[1] === undefined, threadId, messageId };
}

/** The address of the list, of a thread, or of a message in it. */
export function addressOf(threadId = null, messageId = null) {
  const parts = [threadId, messageId].filter((part) => part !== null).map(encodeURIComponent);
  return ["#/chat", ...parts].join("/");
}

function decode(text) {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null;
  }
}
