/** The token prompt. */

import { Api } from "../api.js";
import { fromTemplate, part, setText } from "../dom.js";
import * as token from "../token.js";
import { COMMON } from "../words/common.js";

export class SignInView {
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
    document.title = COMMON.pageTitle(COMMON.signIn);
    part(this.root, "token").focus();
  }

  close() {}

  async #submit() {
    const input = part(this.root, "token");
    const entered = input.value.trim();
    input.focus();
    if (this.#busy) return;
    if (entered === "") return this.#tell(COMMON.tokenFirst);
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
  if (error.status === 401) return COMMON.tokenRefused;
  if (error.status === 429) return COMMON.tooManyAttempts(error.retryAfter || 60);
  return error.message;
}
