/** The places of the page, in the order of the rail. One more is one entry here, and its icon in icons.svg. */

import { ChatView } from "./views/chat.js";
import { NotesView } from "./views/notes.js";
import { SystemView } from "./views/system.js";

/**
 * What a place shows: made when it is first gone to, kept until the person signs out. It takes what it needs of what the
 * session fires, also while another place is shown. On its root it fires "titled" with the words for the bar.
 *
 * @typedef {object} View
 * @property {Element} root
 * @property {() => void} open the address is one of this place, and `root` can be seen
 * @property {() => void} leave another place takes its room
 * @property {() => void} close the session is over
 */

/** @type {{name: string, word: string, View: new (session: import("./session.js").Session) => View}[]} */
export const PLACES = [
  { name: "chat", word: "Chat", View: ChatView },
  { name: "notes", word: "Notes", View: NotesView },
  { name: "system", word: "System", View: SystemView },
];
