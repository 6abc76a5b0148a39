/**
 * The text within a block as a tree: emphasis, code, links, line breaks. Pure.
 * A tree is made of strings and of elements `{tag, attributes, children}`; tags come from a closed set.
 */

const SPECIAL = /[\\`*_[!<\n]|https?:\/\//g;
const LINK = /!?\[((?:[^[\]\\]|\\.|\[[^[\]]*\])*)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/y;
const HALF_LINK = /!?\[([^[\]\n]*)\]\([^\s()]*$/y; // its address is still being written
const ANGLED = /<((?:https?:\/\/|mailto:)[^\s<>]*)>/y;
const BARE = /https?:\/\/[^\s<>"`]+/y;
const ESCAPED = /\\([!-/:-@[-`{-~])/y;
const DEEPEST = 8;

/** @param {{tag: string, attributes?: object, children?: Array}} parts */
export function element(tag, children = [], attributes = {}) {
  return { tag, attributes, children };
}

/** @returns {Array} the tree of *text* */
export function parseInline(text, { links = true, depth = 0 } = {}) {
  return new InlineParser(text, links, depth).parse();
}

class InlineParser {
  #nodes = [];
  #at = 0;
  #unclosed = new Set(); // A mark that found no end once finds none later: keeps long texts linear.

  constructor(text, links, depth) {
    this.text = text;
    this.links = links;
    this.depth = depth;
  }

  parse() {
    while (this.#at < this.text.length) {
      SPECIAL.lastIndex = this.#at;
      const next = SPECIAL.exec(this.text)?.index ?? this.text.length;
      this.#literal(this.text.slice(this.#at, next));
      this.#at = next;
      if (next < this.text.length && !this.#special(this.text[next])) this.#literal(this.text[this.#at++]);
    }
    return this.#nodes;
  }

  #special(character) {
    if (character === "\\") return this.#escape();
    if (character === "`") return this.#code();
    if (character === "*" || character === "_") return this.#emphasis(character);
    if (character === "\n") return this.#lineBreak();
    return this.#link(character);
  }

  #literal(text) {
    if (text === "") return;
    const last = this.#nodes.length - 1;
    if (typeof this.#nodes[last] === "string") this.#nodes[last] += text;
    else this.#nodes.push(text);
  }

  #add(node, end) {
    this.#nodes.push(node);
    this.#at = end;
    return true;
  }

  #escape() {
    const match = this.#match(ESCAPED);
    if (!match) return false;
    this.#literal(match[1]);
    this.#at += 2;
    return true;
  }

  #lineBreak() {
    const last = this.#nodes.length - 1;
    if (typeof this.#nodes[last] === "string") this.#nodes[last] = this.#nodes[last].replace(/ +$/, "");
    return this.#add(element("br"), this.#at + 1);
  }

  #code() {
    const mark = this.#run("`");
    const start = this.#at + mark.length;
    const end = this.#find(mark, start, (at) => this.text[at - 1] !== "`" && this.text[at + mark.length] !== "`");
    if (end < 0) return this.#skip(mark);
    const code = this.text.slice(start, end).replaceAll("\n", " ").replace(/^ (.*[^ ].*) $/, "$1");
    return this.#add(element("code", [code]), end + mark.length);
  }

  #emphasis(character) {
    const run = this.#run(character);
    const mark = run.slice(0, 2);
    const start = this.#at + mark.length;
    const opens = run.length <= 3 && /\S/.test(this.text[this.#at + run.length] ?? " ");
    if (!opens || (character === "_" && isWord(this.text[this.#at - 1]))) return this.#skip(run);
    const end = this.#find(mark, start + 1, (at) => this.#closes(mark, at));
    if (end < 0 || this.depth >= DEEPEST) return this.#skip(run);
    const inner = parseInline(this.text.slice(start, end), { links: this.links, depth: this.depth + 1 });
    return this.#add(element(mark.length === 2 ? "strong" : "em", inner), end + mark.length);
  }

  #closes(mark, at) {
    const [before, after] = [this.text[at - 1], this.text[at + mark.length]];
    if (/\s/.test(before) || before === "\\") return false;
    if (mark[0] === "_" && isWord(after)) return false;
    // In `***both***` and `*a **b***` the inner mark ends first.
    if (mark.length === 2) return after !== mark[0];
    return (before === mark) === (after === mark) && !(before === mark && this.text[at - 2] !== mark);
  }

  #link(character) {
    if (character === "[" || character === "!") {
      const match = this.#match(LINK);
      if (match === null) return this.#halfLink();
      const label = parseInline(match[1], { links: false, depth: this.depth + 1 });
      return this.#anchor(match[2], label, match[0]);
    }
    if (character === "<") {
      const match = this.#match(ANGLED);
      return match !== null && this.#anchor(match[1], [match[1]], match[0]);
    }
    const found = this.#match(BARE);
    const address = found && withoutTrailingMarks(found[0]);
    return address !== null && !isWord(this.text[this.#at - 1]) && this.#anchor(address, [address], address);
  }

  #halfLink() {
    const match = this.#match(HALF_LINK);
    if (match === null) return false;
    this.#literal(match[1]);
    this.#at = this.text.length;
    return true;
  }

  #anchor(address, label, source) {
    const href = safeAddress(address);
    if (!this.links || href === null) {
      this.#literal(source);
      this.#at += source.length;
      return true;
    }
    const attributes = { href, target: "_blank", rel: "noopener noreferrer" };
    return this.#add(element("a", label.length ? label : [href], attributes), this.#at + source.length);
  }

  #find(mark, from, fits) {
    if (this.#unclosed.has(mark)) return -1;
    let at = this.text.indexOf(mark, from);
    while (at >= 0 && !fits(at)) at = this.text.indexOf(mark, at + 1);
    if (at < 0) this.#unclosed.add(mark);
    return at;
  }

  #run(character) {
    let end = this.#at;
    while (this.text[end] === character) end += 1;
    return this.text.slice(this.#at, end);
  }

  #skip(text) {
    this.#literal(text);
    this.#at += text.length;
    return true;
  }

  #match(pattern) {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.text);
  }
}

/** The address when it is one of the web or of mail, else null. */
export function safeAddress(address) {
  try {
    return ["http:", "https:", "mailto:"].includes(new URL(address).protocol) ? address : null;
  } catch {
    return null;
  }
}

function withoutTrailingMarks(address) {
  const trimmed = address.replace(/[.,;:!?'"*_]+$/, "");
  return trimmed.endsWith(")") && !trimmed.includes("(") ? trimmed.slice(0, -1) : trimmed;
}

function isWord(character) {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}
