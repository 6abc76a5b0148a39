// Words that the page shows stand in web/js/words/ and in the templates: no other module has a text that looks like one.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { literalsOf } from "./literals.js";

const JS = join(import.meta.dirname, "../../web/js");
const MODULES = readdirSync(JS, { recursive: true }).filter((name) => name.endsWith(".js"));
const OTHERS = MODULES.filter((name) => !name.startsWith("words/"));

// What a text looks like that people read: several words, a word with a capital letter, a sign of typesetting, values with only a
// space between them.
const PROSE = [/[\p{L}\d][,:;]? (?:\p{L}|\$\{)/u, /\} \(?\p{L}/u, /(?:^|\s)\p{Lu}\p{Ll}/u, /[“”’·]|\p{L}…/u, /\}[,:;]? \$\{/, /\p{Ll}[.!?]$/u];
const WORD = /\p{Ll}{2}/u;

// Where each word is shown, also a small one.
const SHOWING = /(?:\.(?:textContent|innerText|title|placeholder|alt|ariaLabel) =|\b(?:label|title|placeholder|where|alt):|"aria-label":) [^,;]*$/;
const SHOWN_BY = { setText: 1, showText: 1, announce: 0, tell: 0, say: 0, append: 0, prepend: 0, replaceChildren: 0, createTextNode: 0, element: 1, mark: 0, end: 0 };

// Where nothing is shown: names of nodes, events and addresses, what is compared, classes, what only a developer sees.
const NAMING = new Set([
  ..."querySelector querySelectorAll matches closest matchMedia part fromTemplate getElementById createElement".split(" "),
  ..."addEventListener removeEventListener Event CustomEvent json fetch get set has includes Error RegExp".split(" "),
]);
const NAMED = /(?:^import\b.*|^export\b.* from |[!=]== |\bcase |\b(?:className|rel) = [^;]*|\b(?:class|rel): [^,]*|\bheaders(?:\.\w+|\[""\]) = )$/;
const COMPARED = /^ [!=]==/;
const KEY = /^(?:Arrow(?:Up|Down|Left|Right)|Home|End|Enter|Escape|Page(?:Up|Down)|Key[A-Z])$/;
const HEADER = /^(?:Accept|Authorization|[A-Z][a-z]+(?:-[A-Z][a-z]+)+)$/;
const ADDRESS = /^(?:\.|#)?\//;

const EXCEPTIONS = new Set([
  "skill-drafts.js: name: ${}", // YAML
  "skill-drafts.js: description: ${}", // YAML
  "views/turn.js: Processing your request...", // the gateway's words, known so that they are not shown
  "views/notes-versions.js: ${} ${}\\n", // a line of a difference, behind its sign
]);

function isShown({ text, before, after, callee, argument, isKey }) {
  if (KEY.test(text) || HEADER.test(text) || ADDRESS.test(text)) return false;
  if (isKey) return /^\p{Lu}\p{Ll}/u.test(text);
  if (NAMING.has(callee) || NAMED.test(before) || COMPARED.test(after)) return false;
  if (PROSE.some((look) => look.test(text))) return true;
  const shows = SHOWING.test(before) || SHOWN_BY[callee] === argument || /setAttribute\("aria-label", [^;]*$/.test(before);
  return shows && WORD.test(text);
}

function shownOf(source) {
  return literalsOf(source).filter(isShown);
}

function neededBy(name) {
  const needed = readFileSync(join(JS, name), "utf8").matchAll(/^(?:import|export) .*from "(\.[^"]+)";$/gm);
  return [...needed].map((match) => join(name, "..", match[1]));
}

function shownIn(name) {
  const found = shownOf(readFileSync(join(JS, name), "utf8"));
  return found.map(({ text, line }) => [`${name}: ${text}`, line]).filter(([place]) => !EXCEPTIONS.has(place));
}

test("a text that somebody reads is told from names, keys, classes and addresses", () => {
  const shown = [
    ['setText(part(root, "state"), full ? "full" : "");', "full"],
    ["this.#tell(`Not saved. ${error.message}`);", "Not saved. ${}"],
    ['act({ label: "Edit", act: () => this.edit(/["`]/) });', "Edit"],
    ['node.title = "more"; // "It\'s a comment"', "more"],
    ['node.setAttribute("aria-label", `remove ${name}`);', "remove ${}"],
    ["line.append(...[`${count} ${`of ${all}`}`]);", "${} ${}", "of ${}"],
    ["show({ Tool: name });", "Tool"],
  ];
  for (const [source, ...texts] of shown) assert.deepEqual(shownOf(source).map(({ text }) => text).sort(), texts.sort(), source);
  const others = [
    'import { part } from "../dom.js";',
    'if (event.key === "Escape" || event.code === "KeyN") root.querySelector(".rail a").click();',
    'const node = element("span", [text], { class: "task-box done", role: "img" });',
    'button.className = primary ? "primary" : "quiet telling";',
    'headers.Authorization = `Bearer ${token}`; headers["Content-Type"] = "application/json";',
    'throw new Error("A stylesheet can\'t be read.");',
    'api.json("GET", `jobs?limit=${count}`, { headers: { Accept: "text/event-stream" } });',
    "location.hash = `#/jobs/${id}`;",
  ];
  for (const source of others) assert.deepEqual(shownOf(source), [], source);
});

test("no module outside of words/ has words that the page shows", () => {
  assert.deepEqual(OTHERS.flatMap(shownIn), []);
});

test("each word that a module names is there, and each that is there is named", async () => {
  for (const module of MODULES.filter((one) => one.startsWith("words/"))) {
    const exported = Object.entries(await import(join(JS, module)));
    for (const [name, words] of exported.filter(([, value]) => Object.isFrozen(value) && typeof value === "object")) {
      const takers = MODULES.filter((one) => one === module || neededBy(one).includes(module)).map((one) => readFileSync(join(JS, one), "utf8"));
      const named = takers.flatMap((source) => [...source.matchAll(new RegExp(`(?<![\\w$]|[^.]\\.)${name}\\.(\\w+)`, "g"))].map((match) => match[1]));
      assert.deepEqual([...new Set(named)].sort(), Object.keys(words).sort(), `${name} of ${module}`);
    }
  }
});

test("modules with words need only each other and modules that need nothing", () => {
  for (const name of MODULES.filter((one) => one.startsWith("words/"))) {
    for (const [, needed] of readFileSync(join(JS, name), "utf8").matchAll(/^import .* from "(\.[^"]+)";$/gm)) {
      const alone = needed.startsWith("./") || !/^import /m.test(readFileSync(join(JS, "words", needed), "utf8"));
      assert.ok(alone, `${name} needs ${needed}`);
    }
  }
});
