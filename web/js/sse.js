/**
 * The text of an event stream, cut into frames. Pure: what reads the network is `stream.js`.
 *
 * @typedef {{id: string|null, name: string, data: string}} Frame
 */

/** Takes the stream in pieces of any size and gives the frames that are complete. */
export class FrameParser {
  #rest = "";
  #afterReturn = false;
  #first = true;
  #id = null;
  #name = "";
  #data = [];

  /**
   * @param {string} text
   * @returns {Frame[]}
   */
  push(text) {
    if (this.#first && text !== "") {
      this.#first = false;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    const frames = [];
    for (const line of this.#lines(text)) {
      const frame = this.#line(line);
      if (frame) frames.push(frame);
    }
    return frames;
  }

  // A return at the end of one piece and a newline at the start of the next are one line end.
  *#lines(text) {
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "" || !this.#afterReturn) this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    yield* lines;
  }

  #line(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #end() {
    const frame = { id: this.#id, name: this.#name || "message", data: this.#data.join("\n") };
    const empty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    return empty ? null : frame;
  }
}
