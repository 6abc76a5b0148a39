/** A skill to look at: what it may do first, then what was found in it, then its files as they are. Text of it is never markup. */

import { fromTemplate, part, setText, showText } from "../dom.js";
import { sizeText } from "../words/sizes.js";
import { askedTools, findingPlace, mayText, originText, replacesText, severityText, SKILLS, skillSentence } from "../words/skills.js";

const MAIN = "SKILL.md";

/** Fires "tools" on its root when it was chosen whether it may use all tools. */
export class SkillSheet {
  #open = new Set([MAIN]);

  constructor() {
    this.root = fromTemplate("skill-sheet");
    part(this.root, "all").addEventListener("change", () => this.root.dispatchEvent(new Event("tools")));
  }

  /** @returns {"read"|"all"} */
  get tools() {
    return part(this.root, "all").checked ? "all" : "read";
  }

  /** The SKILL.md on the page. */
  get main() {
    return this.root.querySelector(".tool-text");
  }

  /** @param {object} detail as of `GET /api/skills/NAME` */
  update({ skill, files, findings, replaces }) {
    setText(part(this.root, "name"), skill.name);
    setText(part(this.root, "description"), skill.description);
    setText(part(this.root, "state"), skillSentence(skill));
    showText(part(this.root, "replaces"), replacesText(replaces));
    showText(part(this.root, "origin"), originText(skill));
    this.#may(skill);
    part(this.root, "found").hidden = findings.length === 0;
    part(this.root, "findings").replaceChildren(...findings.map(findingNode));
    part(this.root, "files").replaceChildren(...[...files].sort(mainFirst).map((file) => this.#file(file)));
  }

  #may(skill) {
    const trusted = skill.trust === "trusted";
    setText(part(this.root, "may-text"), mayText(skill));
    part(this.root, "choice").hidden = trusted;
    part(this.root, "all").checked = skill.tools === "all";
    const asked = askedTools(skill);
    showText(part(this.root, "asked"), asked.length === 0 ? "" : SKILLS.asks(asked));
  }

  #file({ path, size, content }) {
    const node = fromTemplate("skill-file");
    setText(part(node, "path"), path);
    setText(part(node, "size"), sizeText(size));
    setText(part(node, "text"), content ?? SKILLS.noText);
    node.open = this.#open.has(path);
    node.addEventListener("toggle", () => (node.open ? this.#open.add(path) : this.#open.delete(path)));
    return node;
  }
}

function mainFirst(one, other) {
  return (other.path === MAIN) - (one.path === MAIN) || one.path.localeCompare(other.path);
}

function findingNode(finding) {
  const node = fromTemplate("finding");
  node.dataset.severity = finding.severity;
  setText(part(node, "severity"), severityText(finding));
  setText(part(node, "message"), finding.message);
  setText(part(node, "at"), findingPlace(finding));
  showText(part(node, "excerpt"), finding.excerpt);
  return node;
}
