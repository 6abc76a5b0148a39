/** One line of the log in its table. */

import { fromTemplate, part, setText, timeNode } from "../dom.js";
import { SYSTEM } from "../words/system.js";
import { exactTime } from "../words/times.js";

export class LogRow {
  /** @param {import("../log-lines.js").LogLine} line */
  constructor({ level, timestamp, logger, message, trace }) {
    this.root = fromTemplate("log-row");
    const time = new Date(timestamp);
    this.root.dataset.level = level.toLowerCase();
    setText(part(this.root, "level"), SYSTEM.levels[level.toLowerCase()] ?? level);
    part(this.root, "time").append(timeNode(time, exactTime(time)));
    setText(part(this.root, "logger"), logger);
    setText(part(this.root, "text"), message);
    if (trace) this.#trace(trace);
  }

  #trace(text) {
    part(this.root, "more").hidden = false;
    setText(part(this.root, "trace"), text);
  }
}
