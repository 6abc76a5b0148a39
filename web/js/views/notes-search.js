/** What is found in the notes: lines with the words, and notes that are called so. */

import { part } from "../dom.js";
import { folderOf, titleOf } from "../notes.js";
import { noteAddress } from "../notes-route.js";
import { COMMON } from "../words/common.js";
import { NOTES } from "../words/notes.js";
import { hitNode, marked } from "./hit.js";

/** Looks in the notes of *api*, of which *book* knows the names, for a `Search`. */
export function searchNotes(api, book) {
  return async (query) => {
    const { results, truncated } = await api.search(query);
    const hits = [...called(book, query, results), ...results];
    return { nodes: hits.map((hit) => noteHit(hit, query)), words: summary(hits.length, truncated, query) };
  };
}

// Notes of that name, also where no line of them has the words.
function called(book, query, results) {
  const seen = new Set(results.map(({ path }) => path));
  return book.called(query).filter(({ path }) => !seen.has(path)).map(({ path }) => ({ path, line: null, snippet: "" }));
}

function summary(count, truncated, query) {
  if (count === 0) return COMMON.nothingFound(query);
  return truncated ? NOTES.bestPlaces(count) : COMMON.places(count);
}

function noteHit({ path, line, snippet }, query) {
  const node = hitNode({
    href: noteAddress(path, line),
    title: marked(titleOf(path), query),
    mark: NOTES.place(folderOf(path), line),
    snippet: marked(snippet, query),
  });
  part(node, "link").title = path;
  return node;
}
