/** The token prompt. */

import { Api } from "../api.js";
import { fromTemplate, part, setText } from "../dom.js";
import * as token from "../token.js";

export class SignInView {
  static REFUSED = "This token was refused. On the gateway's machine, run “ironclaw token show” and paste what it prints.";
  #onToken;
  #busy = false;

  /** @param {{problem?: string, onToken: () => void}} options */
  constructor({ problem = "", onToken }) {
    this.root = fromTemplate("sign-in");
    this.#onToken = onToken;
    this.#tell(problem);
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  opened() {
    document.title = "Sign in · IronClaw";
    part(this.root, "token").focus();
  }

  close() {}

  async #submit() {
    const input = part(this.root, "token");
    const entered = input.value.trim();
    input.focus();
    if (this.#busy) return;
    if (entered === "") return this.#tell("Enter the token first.");
    this.#busy = true;
    const problem = await new Api(entered).status().then(() => "", problemOf);
    this.#busy = false;
    if (problem !== "") {
      this.#tell(problem);
      input.select();
      return;
    }
    token.keep(entered, { onDevice: part(this.root, "on-device").checked });
    this.#onToken();
  }

  #tell(problem) {
    setText(part(this.root, "problem"), problem);
    part(this.root, "token").setAttribute("aria-invalid", String(problem !== ""));
  }
}

function problemOf(error) {
  if (error.status === 401) return SignInView.REFUSED;
  if (error.status === 429) return `Too many attempts. Try again in ${error.retryAfter || 60} seconds.`;
  return error.message;
}
