// As much of a document as `markdown.js` touches.

class FakeNode {
  parent = null;

  remove() {
    this.parent.childNodes.splice(this.parent.childNodes.indexOf(this), 1);
    this.parent = null;
  }

  replaceWith(other) {
    other.parent = this.parent;
    this.parent.childNodes.splice(this.parent.childNodes.indexOf(this), 1, other);
  }
}

class FakeText extends FakeNode {
  constructor(data) {
    super();
    this.data = data;
  }

  appendData(data) {
    this.data += data;
  }

  outline() {
    return this.data;
  }
}

class FakeElement extends FakeNode {
  childNodes = [];
  attributes = {};

  constructor(tag) {
    super();
    this.tag = tag;
  }

  append(node) {
    node.parent = this;
    this.childNodes.push(node);
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  outline() {
    const attributes = Object.entries(this.attributes).map(([name, value]) => ` ${name}=${value}`);
    return `<${this.tag}${attributes.join("")}>${this.childNodes.map((node) => node.outline()).join("")}</${this.tag}>`;
  }
}

export class FakeDocument {
  createElement(tag) {
    return new FakeElement(tag);
  }

  createTextNode(data) {
    return new FakeText(data);
  }
}
