// Markdown: what the parser makes of a text, what it refuses, and what a growing text keeps.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeDocument } from "./fake-dom.js";
import { MarkdownView } from "../../web/js/markdown.js";
import { parseBlocks } from "../../web/js/markdown-blocks.js";

globalThis.document = new FakeDocument();

/** The tree as markup, for reading only. */
function shown(text) {
  return parseBlocks(text).map((block) => markup(block.node)).join("");
}

function markup(tree) {
  if (typeof tree === "string") return tree;
  const { href, start } = tree.attributes;
  const attributes = (href ? ` ${href}` : "") + (start ? ` ${start}` : "");
  if (tree.tag === "br" || tree.tag === "hr") return `<${tree.tag}>`;
  if (tree.attributes.class === "code") return tree.children.map(markup).join("");
  if (tree.attributes.class === "code-head") return tree.children[0].children.map((language) => `(${language})`).join("");
  if (tree.attributes.class?.startsWith("task-box")) return `[${tree.attributes["aria-label"]}]`;
  if (tree.attributes.class === "wide") return markup(tree.children[0]);
  return `<${tree.tag}${attributes}>${tree.children.map(markup).join("")}</${tree.tag}>`;
}

const CASES = [
  ["# One\n## Two\ntext\n### Three\n#### Four\n##### Five", "<h3>One</h3><h4>Two</h4><p>text</p><h5>Three</h5><h6>Four</h6><h6>Five</h6>"],
  ["- [ ] a\n- [x] b\n  - [X] c\n- [] d", "<ul><li>[open]a</li><li>[done]b<ul><li>[done]c</li></ul></li><li>[] d</li></ul>"],
  ["t\n| a | *b* |\n|---|:-:|\n| 1 | `x|y` | z |\n| 2\n- e", "<p>t</p><table><thead><tr><th>a</th><th><em>b</em></th></tr></thead><tbody><tr><td>1</td><td><code>x|y</code></td></tr><tr><td>2</td><td></td></tr></tbody></table><ul><li>e</li></ul>"],
  ["a | b\n-|-\nx \\| y | z\n\nc", "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>x | y</td><td>z</td></tr></tbody></table><p>c</p>"],
  ["a | b\nc | d", "<p>a | b<br>c | d</p>"],
  ["#hashtag", "<p>#hashtag</p>"],
  ["a\nb\n\nc", "<p>a<br>b</p><p>c</p>"],
  ["**b** *i* _i_ __b__ ***bi***", "<p><strong>b</strong> <em>i</em> <em>i</em> <strong>b</strong> <strong><em>bi</em></strong></p>"],
  ["**a *b* c** and *a **b** c*", "<p><strong>a <em>b</em> c</strong> and <em>a <strong>b</strong> c</em></p>"],
  ["snake_case_name 2 * 3 * 4 ** 5", "<p>snake_case_name 2 * 3 * 4 ** 5</p>"],
  ["**open", "<p>**open</p>"],
  ["\\*not\\* `a*b*` ``x`y``", "<p>*not* <code>a*b*</code> <code>x`y</code></p>"],
  ["```py\n# x\n\n*y*\n```\nz", "(py)<pre><code># x\n\n*y*</code></pre><p>z</p>"],
  ["```\nopen\n``", "()<pre><code>open\n``</code></pre>"],
  ["- a\n- b\n  - c\n\n- d\nlazy", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d<br>lazy</li></ul>"],
  ["3. c\n4. d\n- x", "<ol 3><li>c</li><li>d</li></ol><ul><li>x</li></ul>"],
  ["1. a\n   ```\n   code\n   ```\n2. b", "<ol><li>a()<pre><code>code</code></pre></li><li>b</li></ol>"],
  ["born in\n1984. A year", "<p>born in<br>1984. A year</p>"],
  ["> a\n> - b\n\nc", "<blockquote><p>a</p><ul><li>b</li></ul></blockquote><p>c</p>"],
  ["a\n---\nb", "<p>a</p><hr><p>b</p>"],
  ["[t **b**](https://a.b/c_(d)) x", "<p><a https://a.b/c_(d)>t <strong>b</strong></a> x</p>"],
  ["![alt](https://a.b/i.png)", "<p><a https://a.b/i.png>alt</a></p>"],
  ["see https://a.b/x_y?z=1. (https://c.d)", "<p>see <a https://a.b/x_y?z=1>https://a.b/x_y?z=1</a>. (<a https://c.d>https://c.d</a>)</p>"],
  ["see [the page](https://a.b/c", "<p>see the page</p>"],
  ["<https://a.b> <mailto:x@y.z>", "<p><a https://a.b>https://a.b</a> <a mailto:x@y.z>mailto:x@y.z</a></p>"],
];

for (const [text, expected] of CASES) test(`reads ${JSON.stringify(text)}`, () => assert.equal(shown(text), expected));

for (const address of ["javascript:alert(1)", "JaVaScRiPt:x", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//a.b", "/api/status", "java\tscript:x"]) {
  test(`makes no link of ${JSON.stringify(address)}`, () => {
    for (const text of [`[x](${address})`, `![x](${address})`, `<${address}>`]) assert.doesNotMatch(shown(text), /<a /);
  });
}

test("markup is text", () => {
  assert.deepEqual(parseBlocks('<img src=x onerror="a()">')[0].node.children, ['<img src=x onerror="a()">']);
});

test("only known tags and attributes are ever built", () => {
  const tags = new Set("p h3 h4 h5 h6 ul ol li pre code blockquote hr br strong em a div span button table thead tbody tr th td".split(" "));
  const attributes = new Set("href target rel start tabindex class role aria-label type".split(" "));
  const check = (tree) => {
    if (typeof tree === "string") return;
    assert.ok(tags.has(tree.tag), tree.tag);
    for (const name of Object.keys(tree.attributes)) assert.ok(attributes.has(name), name);
    tree.children.forEach(check);
  };
  for (const [text] of CASES) parseBlocks(text).forEach((block) => check(block.node));
});

test("hostile texts take no time", () => {
  const texts = ["*a ", "**a ", "_a ", "[a", "[a](", "`a``b", "> ", "- ", "![", "<http://", "a*b_c", "***", "|", "|-", "`|"];
  for (const text of texts) {
    const started = performance.now();
    parseBlocks(text.repeat(20000));
    parseBlocks(`${text}\n`.repeat(5000));
    assert.ok(performance.now() - started < 2000, `${text}: ${performance.now() - started} ms`);
  }
});

const LONG = CASES.map(([text]) => text).join("\n\n");

test("a text that grows by any step ends like one shown at once", () => {
  const whole = document.createElement("div");
  new MarkdownView(whole).update(LONG);
  for (const step of [1, 3, 7, 50]) {
    const root = document.createElement("div");
    const view = new MarkdownView(root);
    for (let end = 0; end < LONG.length + step; end += step) view.update(LONG.slice(0, end));
    assert.equal(root.outline(), whole.outline(), `step ${step}`);
  }
});

test("finished blocks keep their nodes, and growing text its node", () => {
  const root = document.createElement("div");
  const view = new MarkdownView(root);
  view.update("first\n\n- one\n- two\n\nlast para");
  const [first, list, last] = root.childNodes;
  const text = last.childNodes[0];
  view.update("first\n\n- one\n- two\n\nlast paragraph **grows**\n\n# more\n\nand more");
  assert.equal(root.childNodes[0], first);
  assert.equal(root.childNodes[1], list);
  assert.equal(root.childNodes[2], last);
  assert.equal(last.childNodes[0], text);
  assert.equal(text.data, "last paragraph ");
});

test("a text that becomes another one anywhere ends like that one shown at once", () => {
  for (let cut = 0; cut < LONG.length; cut += 3) {
    const other = `${LONG.slice(0, cut)}x\n\n${LONG.slice(cut, cut + 40)}`;
    const [root, whole] = [document.createElement("div"), document.createElement("div")];
    const view = new MarkdownView(root);
    view.update(LONG);
    view.update(other);
    new MarkdownView(whole).update(other);
    assert.equal(root.outline(), whole.outline(), `cut at ${cut}`);
  }
});

test("another text replaces the old one", () => {
  const root = document.createElement("div");
  const view = new MarkdownView(root);
  view.update("# a\n\nb\n\nc");
  view.update("x");
  assert.equal(root.outline(), "<div><p>x</p></div>");
  view.update("");
  assert.equal(root.outline(), "<div></div>");
});
