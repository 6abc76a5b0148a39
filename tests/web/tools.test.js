// Addresses, words and drafts of the tools, and what somebody pasted.
import assert from "node:assert/strict";
import { test } from "node:test";

import { commandText, extensionSentence, extensionWhere, foldersText, givenText, hostsText, runText, sandboxText, toolsText } from "../../web/js/words/extensions.js";
import { nameIn, skillName, skillOfChat } from "../../web/js/skill-drafts.js";
import { availableTool, extensionTool, skillTool, ToolBook } from "../../web/js/tool-book.js";
import { readPasted } from "../../web/js/tools-pasted.js";
import { readToolsRoute, skillOfChatAddress, toolsAddress } from "../../web/js/tools-route.js";
import { findingPlace, isGrave, mayText, replacesText, skillWhere } from "../../web/js/words/skills.js";
import { calls, stateWord } from "../../web/js/words/tools.js";
import { extensionActs } from "../../web/js/views/extension-possible.js";
import { skillActs } from "../../web/js/views/skill-possible.js";

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

test("a command is shown so that each sign of it can be seen", () => {
  assert.equal(commandText(["uvx", "mcp-server-time", "--zone=Europe/Berlin"]), "uvx mcp-server-time --zone=Europe/Berlin");
  assert.equal(commandText(["sh", "-c", "rm -rf 'a b'; true"]), "sh -c 'rm -rf '\\''a b'\\''; true'");
  assert.equal(commandText(["x\u202egpj", "a\u00a0b", "\u200b", ""]), "'x\\u{202e}gpj' 'a\\u{a0}b' '\\u{200b}' ''");
  assert.deepEqual(runText({ command: { kind: "http", argv: ["https://a.example/mcp"] } }), { words: "It is reached at this address:", exact: "https://a.example/mcp" });
  assert.match(runText({ command: { kind: "python", argv: ["mcp-server-time"], package: "mcp-server-time==1.0" } }).words, /from the package mcp-server-time==1\.0 of PyPI:$/);
  const node = { kind: "node", argv: ["--port", "1"], package: "@a/b" };
  assert.equal(runText({ command: node, registry: "pasted" }).exact, "@a/b --port 1");
  assert.equal(runText({ command: node, registry: "own" }).exact, "--port 1");
  assert.equal(runText({ command: { ...node, argv: [] }, registry: "own" }).exact, "@a/b");
});

test("what an extension asks for is said in sentences", () => {
  assert.equal(hostsText(["*"], { kind: "command" }), "It may reach any address.");
  assert.equal(hostsText([], { kind: "python", sandbox: true }), "In the sandbox it reaches no address.");
  assert.match(hostsText([], { kind: "command", sandbox: false }), /nothing keeps it from that/);
  assert.match(hostsText(["a.example"], { kind: "python", sandbox: true }), /made to reach a\.example; nothing keeps it from other/);
  assert.match(sandboxText({ kind: "command", sandbox: false }), /without a sandbox/);
  assert.equal(sandboxText({ kind: "http", sandbox: false }), "");
  assert.equal(hostsText(["a.example"], { kind: "http" }), "What you enter for it goes only to a.example.");
  const settings = [{ name: "repository", title: "Repository", value: "/srv/notes" }, { name: "other", title: "Other folder", value: null }];
  const kept = [{ name: "database", title: "Database", value: "{data}/database.db" }];
  assert.equal(foldersText(["{database}"], kept), "It uses database.db in its own folder.");
  assert.equal(foldersText(["{repository}", "{other}", "{data}", "/home"], settings), "It uses /srv/notes, what you set as “Other folder”, its own folder, /home.");
  assert.equal(givenText({ kind: "node", variables: ["API_KEY"] }), "It is given API_KEY.");
  assert.equal(givenText({ kind: "http", variables: ["Authorization"] }), "");
  assert.equal(toolsText([{ asks: false }]), "1 tool.");
  assert.equal(toolsText([{ asks: false }, { asks: true }]), "2 tools, 1 of them asks you before each use.");
  assert.equal(toolsText([{ asks: true }, { asks: true }]), "2 tools, which ask you before each use.");
});

test("how an extension is has a word and a sentence, and what is missing is called out", () => {
  const github = { name: "github", title: "GitHub", description: "x", version: "1.0.0", registry: "builtin", state: "needs_token" };
  assert.equal(stateWord(extensionTool(github)), "needs a token");
  assert.ok(calls(github) && !calls({ state: "ready" }));
  assert.equal(stateWord(availableTool(github)), "");
  assert.equal(extensionSentence({ ...github, state: undefined }), "Not installed.");
  assert.match(extensionSentence({ ...github, state: "failed", error: { message: "It is away." } }), /It is away\.$/);
  assert.match(extensionSentence({ ...github, state: "installing", progress: "fetching" }), /: fetching\.$/);
  assert.equal(extensionWhere({ ...github, version: "0", registry: "pasted" }), "Extension · pasted");
});

test("in every state there is one thing to do first, or a form that is it", () => {
  const acts = {};
  for (const state of [undefined, "installing", "install_failed", "unconfirmed", "disabled", "failed", "running", "ready"]) {
    assert.equal(extensionActs({ state }, acts).filter(({ primary }) => primary).length, 1, state);
  }
  for (const state of ["needs_token", "needs_settings"]) assert.ok(extensionActs({ state }, acts).every(({ primary }) => !primary));
  for (const state of ["available", "enabled", "disabled", "changed", "broken"]) {
    for (const source of ["builtin", "own", "installed"]) assert.equal(skillActs({ skill: { state, source } }, acts).filter(({ primary }) => primary).length, 1);
  }
  assert.equal(replacesText(undefined), "");
});
