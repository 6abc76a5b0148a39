/** The string and template literals of a module, each with where it stands: enough of JavaScript's grammar for the modules of the page. */

const BEFORE_A_PATTERN = /(?:^|[=(,:;!&|?{}[>+\-*%~^]|\b(?:return|typeof|case|in|of|await|new|throw|else))$/;
const NAME = /[\p{L}\p{N}_$#]+/uy;
const CALLED = /([\p{L}\p{N}_$#]+)(?:\?\.)?$/u;

/**
 * @typedef {object} Literal
 * @property {string} text what a template is filled with stands in it as `${}`
 * @property {number} line
 * @property {string} before the code before it in its line @property {string} after that behind it
 * @property {string|null} callee the function of which it is an argument, alone, in a list or as a part of an expression
 * @property {number} argument which one, from 0
 * @property {boolean} isKey whether it is a name without quotes before a colon
 */

/** @returns {Literal[]} */
export function literalsOf(source) {
  return new Scanner(source).all();
}

class Scanner {
  #at = 0;
  #code = ""; // what was read, without comments and with "" for literals
  #open = []; // brackets
  #found = [];

  constructor(source) {
    this.source = source;
  }

  all() {
    while (this.#at < this.source.length) this.#step();
    return this.#found;
  }

  #step() {
    const sign = this.source[this.#at];
    const two = this.source.slice(this.#at, this.#at + 2);
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.source)?.[0];
    if (two === "//") this.#to("\n");
    else if (two === "/*") this.#to("*/", 2);
    else if (sign === '"' || sign === "'") this.#string(sign);
    else if (sign === "`") this.#template();
    else if (sign === "/" && BEFORE_A_PATTERN.test(this.#code.trimEnd())) this.#pattern();
    else if (name !== undefined) this.#name(name);
    else this.#sign(sign);
  }

  #to(end, length = 0) {
    const found = this.source.indexOf(end, this.#at);
    this.#at = found < 0 ? this.source.length : found + length;
  }

  #name(name) {
    const [from, last] = [this.#at, this.#code.trimEnd().at(-1)];
    this.#at += name.length;
    const isKey = this.#open.at(-1)?.sign === "{" && (last === "{" || last === ",") && this.source[this.#at] === ":";
    if (isKey) this.#take(name, from, true);
    this.#code += name;
  }

  #sign(sign) {
    if ("([{".includes(sign)) this.#open.push({ sign, callee: CALLED.exec(this.#code)?.[1] ?? null, argument: 0 });
    else if (")]}".includes(sign)) this.#open.pop();
    else if (sign === "," && this.#open.length > 0) this.#open.at(-1).argument += 1;
    this.#code += sign;
    this.#at += 1;
  }

  #string(quote) {
    const from = this.#at;
    this.#at += 1;
    while (this.source[this.#at] !== quote) this.#at += this.source[this.#at] === "\\" ? 2 : 1;
    this.#at += 1;
    this.#take(this.source.slice(from + 1, this.#at - 1), from);
    this.#code += '""';
  }

  #template() {
    const from = this.#at;
    let text = "";
    this.#at += 1;
    while (this.source[this.#at] !== "`") {
      if (this.source.startsWith("${", this.#at)) text += this.#filling();
      else {
        const length = this.source[this.#at] === "\\" ? 2 : 1;
        text += this.source.slice(this.#at, this.#at + length);
        this.#at += length;
      }
    }
    this.#at += 1;
    this.#take(text, from);
    this.#code += '""';
  }

  #filling() {
    const depth = this.#open.length;
    this.#at += 1;
    do this.#step();
    while (this.#open.length > depth);
    return "${}";
  }

  #pattern() {
    let inSet = false;
    do {
      const sign = this.source[this.#at];
      if (sign === "[") inSet = true;
      else if (sign === "]") inSet = false;
      this.#at += sign === "\\" ? 2 : 1;
    } while (this.source[this.#at] !== "/" || inSet);
    this.#at += 1;
    this.#code += '""';
  }

  #take(text, from, isKey = false) {
    const frame = this.#open.findLast(({ sign }) => sign !== "[");
    const [callee, argument] = frame?.sign === "(" ? [frame.callee, frame.argument] : [null, 0];
    const start = this.source.lastIndexOf("\n", from) + 1;
    const line = this.source.slice(0, from).split("\n").length;
    this.#found.push({ text, line, before: this.source.slice(start, from), after: this.source.slice(this.#at).split("\n", 1)[0], callee, argument, isKey });
  }
}
