/** Which page stands beside the list of tools at an address. */

import { ExtensionPage } from "./extension-page.js";
import { SkillLook } from "./skill-look.js";
import { SkillNew } from "./skill-new.js";
import { SkillPage } from "./skill-page.js";
import { ToolsAdd } from "./tools-add.js";

export class ToolPages {
  #api;
  #skills;
  #extensions;
  /** What the preview said of the skill that is to be looked at next. */
  looked = null;

  /**
   * @param {import("../api.js").Api} api @param {import("../skills-api.js").SkillsApi} skills
   * @param {import("../extensions-api.js").ExtensionsApi} extensions
   */
  constructor(api, skills, extensions) {
    [this.#api, this.#skills, this.#extensions] = [api, skills, extensions];
  }

  /** What tells the page of *route* from others; editing a skill is on the same page. @returns {string|null} null: there is none */
  static key({ page, name, chat }) {
    if (page === "list") return null;
    return [page, name ?? chat].filter((one) => one !== null).join("/");
  }

  /** @param {import("../tools-route.js").ToolsRoute} route @returns {import("./tool-page.js").ToolPage|null} */
  make(route) {
    if (route.page === "skills") return new SkillPage(this.#skills, route);
    if (route.page === "extensions") return new ExtensionPage(this.#extensions, route);
    if (route.page === "add") return new ToolsAdd(this.#skills, this.#extensions);
    if (route.page === "write") return new SkillNew(this.#api, this.#skills, route.chat);
    if (route.page === "look") return new SkillLook(this.#skills, this.#takeLooked());
    return null;
  }

  #takeLooked() {
    const looked = this.looked;
    this.looked = null;
    return looked;
  }
}
