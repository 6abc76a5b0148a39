/** What somebody pasted to add a tool: a link, the text of a SKILL.md, or the JSON of MCP servers. Pure. */

import { TOOLS } from "./words/tools.js";

const LINK = /^https?:\/\/\S+$/i;
const SERVERS = ["mcpServers", "servers", "context_servers"];

/**
 * @typedef {{kind: "empty"}|{kind: "skill", body: {url: string}|{content: string}}
 *   |{kind: "servers", servers: Record<string, object>}|{kind: "wrong", problem: string}} Pasted
 */

/** @returns {Pasted} */
export function readPasted(text) {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "empty" };
  if (LINK.test(trimmed)) return { kind: "skill", body: { url: trimmed } };
  if (!/^[{"]/.test(trimmed)) return { kind: "skill", body: { content: text } };
  return readServers(trimmed);
}

// As programs print it: whole, or only the lines inside.
function readServers(text) {
  const value = parsed(text) ?? parsed(`{${text.replace(/,\s*$/, "")}}`);
  if (value === null) return { kind: "wrong", problem: TOOLS.brokenJson };
  const servers = serversIn(value);
  if (servers !== null) return { kind: "servers", servers };
  return { kind: "wrong", problem: TOOLS.noServerInJson };
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function serversIn(value) {
  const inside = SERVERS.map((name) => value[name] ?? value.mcp?.[name]).find(isObject) ?? value;
  const entries = Object.entries(inside);
  return entries.length > 0 && entries.every(([, one]) => isServer(one)) ? inside : null;
}

function isServer(value) {
  return isObject(value) && (typeof value.command === "string" || typeof value.url === "string");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
