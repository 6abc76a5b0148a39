/** What is found in all threads. */

import { timeNode } from "../dom.js";
import { addressOf } from "../route.js";
import { CHAT } from "../words/chat.js";
import { COMMON } from "../words/common.js";
import { shortTime } from "../words/times.js";
import { hitNode, marked } from "./hit.js";

/** Looks in the threads of *api*, for a `Search`. */
export function searchThreads(api) {
  return async (query) => {
    const { results, truncated } = await api.search(query);
    return { nodes: results.map((hit) => threadHit(hit, query)), words: summary(results.length, truncated, query) };
  };
}

function summary(count, truncated, query) {
  if (count === 0) return COMMON.nothingFound(query);
  return truncated ? CHAT.newestPlaces(count) : COMMON.places(count);
}

function threadHit({ thread_id: thread, message_id: message, title, role, snippet, created_at: created }, query) {
  const time = new Date(created);
  const pieces = marked(snippet, query);
  return hitNode({
    href: addressOf(thread, message),
    title: marked(title || CHAT.untitled, query),
    mark: timeNode(time, shortTime(time)),
    snippet: role === "title" ? [] : role === "user" ? CHAT.saidByYou(pieces) : pieces,
  });
}
