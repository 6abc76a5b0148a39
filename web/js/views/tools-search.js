/** What is found among the tools, installed or not. */

import { toolsAddress } from "../tools-route.js";
import { COMMON } from "../words/common.js";
import { kindWord, stateWord, TOOLS } from "../words/tools.js";
import { hitNode, marked } from "./hit.js";

/** Looks in *book*, for a `Search`. @param {import("../tool-book.js").ToolBook} book */
export function searchTools(book) {
  return async (query) => {
    const tools = book.having(query);
    const words = tools.length === 0 ? COMMON.nothingFound(query) : TOOLS.found(tools.length);
    return { nodes: tools.map((tool) => toolHit(tool, query)), words };
  };
}

function toolHit(tool, query) {
  return hitNode({
    href: toolsAddress(tool.kind, tool.name),
    title: marked(tool.title, query),
    mark: stateWord(tool) || kindWord(tool),
    snippet: marked(tool.description, query),
  });
}
