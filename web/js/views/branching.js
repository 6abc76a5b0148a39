/** The menu of an own message: to send it again, or changed, in a new conversation with what was said before it. */

import { part, randomKey } from "../dom.js";
import { putLetter } from "../outbox.js";
import { CHAT } from "../words/chat.js";
import { toggleMenu } from "./menu.js";
import { editTurn } from "./turn-editor.js";

/** Fires "go" with the new thread, "trouble" with an error when there is none. */
export class Branching extends EventTarget {
  #api;

  constructor(api) {
    super();
    this.#api = api;
  }

  /** Opens the menu of *turn* in the thread *threadId*. */
  menu(turn, threadId) {
    toggleMenu(part(turn.root, "more"), CHAT.aboutMessage, [
      { label: CHAT.editAnew, act: () => editTurn(turn, (text) => this.#branch(turn, threadId, text)) },
      { label: CHAT.retryAnew, act: () => this.#branch(turn, threadId, turn.message) },
    ]);
  }

  async #branch(turn, threadId, text) {
    try {
      const { id } = await this.#api.forkThread(threadId, turn.id);
      putLetter({ key: randomKey(), text, threadId: id, reason: null });
      this.#fire("go", id);
    } catch (error) {
      this.#fire("trouble", error);
    }
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
