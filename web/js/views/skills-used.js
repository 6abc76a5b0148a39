/** By which skills a turn works: one line each, with the way to it. */

import { toolsAddress } from "../tools-route.js";
import { CHAT } from "../words/chat.js";

export class SkillsUsed {
  #root;
  #names = new Set();

  constructor(root) {
    this.#root = root;
  }

  /** @param {{name: string, trust: "trusted"|"untrusted"}} skill */
  add({ name, trust }) {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const [line, link] = [document.createElement("p"), document.createElement("a")];
    link.href = toolsAddress("skills", name);
    link.textContent = name;
    line.append(...(trust === "untrusted" ? CHAT.usedSkillFromElsewhere : CHAT.usedSkill)(link));
    this.#root.append(line);
  }
}
