// Addresses, words and drafts of the tools, and what somebody pasted.
import assert from "node:assert/strict";
import { test } from "node:test";

import { nameIn, skillName, skillOfChat } from "../../web/js/skill-drafts.js";
import { skillTool, ToolBook } from "../../web/js/tool-book.js";
import { readPasted } from "../../web/js/tools-pasted.js";
import { readToolsRoute, skillOfChatAddress, toolsAddress } from "../../web/js/tools-route.js";
import { findingPlace, isGrave, mayText, skillWhere } from "../../web/js/tools-words.js";

const SKILL = { name: "journal", description: "Keep a daily journal", version: "1.0.0", source: "builtin", trust: "trusted", state: "available", tools: "all", tags: ["diary"], allowed_tools: [] };

test("each page has an address, and an unknown one is the list", () => {
  assert.equal(readToolsRoute("#/tools").page, "list");
  assert.equal(readToolsRoute("#/tools/nonsense/a/b").page, "list");
  assert.deepEqual(readToolsRoute("#/tools/skills/journal/edit"), { page: "skills", name: "journal", edit: true, chat: null });
  assert.deepEqual(readToolsRoute(toolsAddress("extensions", "a b/%")), { page: "extensions", name: "a b/%", edit: false, chat: null });
  assert.equal(readToolsRoute(toolsAddress("add/look")).page, "look");
  assert.equal(readToolsRoute(skillOfChatAddress("x&y")).chat, "x&y");
  assert.equal(readToolsRoute("#/tools/skills/%zz").name, "%zz");
});

test("what was pasted says what it is", () => {
  assert.equal(readPasted("  \n").kind, "empty");
  assert.deepEqual(readPasted(" https://example.org/a.zip\n"), { kind: "skill", body: { url: "https://example.org/a.zip" } });
  assert.equal(readPasted("---\nname: a\n---\nhttps://example.org").body.content, "---\nname: a\n---\nhttps://example.org");
});

test("servers are found in the shapes that programs print", () => {
  const server = { command: "uvx", args: ["mcp-server-time"] };
  const shapes = [
    JSON.stringify({ mcpServers: { time: server } }),
    JSON.stringify({ servers: { time: server }, inputs: [] }),
    JSON.stringify({ mcp: { servers: { time: server } } }),
    JSON.stringify({ time: server }),
    `"time": ${JSON.stringify(server)},`,
    `"mcpServers": {"time": ${JSON.stringify(server)}}`,
  ];
  for (const shape of shapes) assert.deepEqual(readPasted(shape).servers, { time: server }, shape);
  assert.match(readPasted('{"mcpServers": {').problem, /can’t be read/);
  assert.match(readPasted('{"mcpServers": {}}').problem, /names no server/);
  assert.match(readPasted('{"a": 1}').problem, /names no server/);
});

test("installed tools come first, and words find them where they are called so before where they are described", () => {
  const book = new ToolBook();
  const diary = skillTool({ ...SKILL, name: "diary-maker", description: "x", tags: [], state: "enabled" });
  book.replace("skills", [skillTool(SKILL), diary]);
  assert.deepEqual(book.installed, [diary]);
  assert.deepEqual(book.available.map(({ name }) => name), ["journal"]);
  assert.deepEqual(book.having("DIARY").map(({ name }) => name), ["diary-maker", "journal"]);
  assert.deepEqual(book.having("daily jour").map(({ name }) => name), ["journal"]);
  assert.deepEqual(book.having("enabled").map(({ name }) => name), ["diary-maker"]);
  book.replace("skills", []);
  assert.ok(book.empty);
});

test("a skill says where it is from, and what is grave in it", () => {
  assert.equal(skillWhere(SKILL), "Skill · 1.0.0 · comes with IronClaw");
  assert.equal(skillWhere({ ...SKILL, version: "0.0.0", source: "installed", origin: "archive" }), "Skill · from a file");
  assert.equal(findingPlace({ path: "SKILL.md", line: 8 }), "SKILL.md, line 8");
  assert.equal(findingPlace({ path: "run.sh", line: null }), "run.sh");
  assert.ok(isGrave([{ severity: "note" }, { severity: "danger" }]) && !isGrave([{ severity: "warning" }]));
  assert.notEqual(mayText({ trust: "untrusted", tools: "read" }), mayText({ trust: "untrusted", tools: "all" }));
});

test("a conversation becomes a draft with its steps and its tools", () => {
  const text = skillOfChat("Müsli: baking", [
    { user_message: "/help", response: "…" },
    { user_message: "read bread.md\nplease", response: "Flour\n\nwater", tool_calls: [{ name: "FileRead", success: true }, { name: "Shred", success: false }] },
    { user_message: "and now?", response: null, tool_calls: [{ name: "FileRead", success: true }] },
  ]);
  assert.equal(nameIn(text), "musli-baking");
  assert.match(text, /^description: "Müsli: baking\. Use it when/m);
  assert.match(text, /^allowed-tools: \[FileRead\]$/m);
  assert.match(text, /^1\. read bread\.md\n {3}please\n2\. and now\?$/m);
  assert.match(text, /^> Flour\n>\n> water$/m);
  assert.equal(nameIn(skillOfChat("", [])), "my-skill");
});

test("a name is made of any words, and read from any front matter", () => {
  assert.deepEqual(["Kitchen lights!", "日本", "--a--"].map(skillName), ["kitchen-lights", "my-skill", "a"]);
  assert.ok(skillName("x ".repeat(99)).length <= 64);
  assert.equal(nameIn('\uFEFF---\r\nname: "a-b"\r\n---\r\nx'), "a-b");
  assert.equal(nameIn("# no front matter\nname: x"), null);
});
