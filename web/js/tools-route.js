/**
 * Where the page is among the tools. Pure.
 * `#/tools`, `#/tools/skills/NAME`, `#/tools/skills/NAME/edit`, `#/tools/extensions/NAME`, `#/tools/add` and, for what was pasted
 * there, `#/tools/add/look`; `#/tools/write` for a new skill, with `?chat=ID` for one that is made from a conversation.
 */

const NAMED = /^#\/tools\/(skills|extensions)\/([^/?]+)(\/edit)?$/;
const OTHERS = /^#\/tools\/(add\/look|add|write)(?:\?(.*))?$/;

/**
 * @typedef {{page: "list"|"skills"|"extensions"|"add"|"look"|"write", name: string|null, edit: boolean, chat: string|null}} ToolsRoute
 */

/** @returns {ToolsRoute} */
export function readToolsRoute(hash) {
  const [, kind, name, edit] = NAMED.exec(hash) ?? [];
  if (kind !== undefined) return { page: kind, name: decode(name), edit: edit !== undefined, chat: null };
  const [, page, query] = OTHERS.exec(hash) ?? [];
  const chat = page === "write" ? new URLSearchParams(query ?? "").get("chat") : null;
  return { page: page?.replace("add/", "") ?? "list", name: null, edit: false, chat: chat || null };
}

/** The address of the list, of a page ("add", "add/look", "write"), or of one tool. @param {"skills"|"extensions"} kind */
export function toolsAddress(kind = "", name = null) {
  return ["#/tools", kind, ...(name === null ? [] : [encodeURIComponent(name)])].filter(Boolean).join("/");
}

/** Where a new skill is made of the conversation *threadId*. */
export function skillOfChatAddress(threadId) {
  return `#/tools/write?chat=${encodeURIComponent(threadId)}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
