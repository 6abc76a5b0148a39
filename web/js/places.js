/**
 * The places of the page, in the order of the rail, and how one is brought when it is first gone to.
 *
 * One more place is: an entry here and its icon in icons.svg; `views/NAME.js`, whose default export is its View; and
 * `places/NAME.html`, which has what only that place needs: its stylesheets and its templates. The first comes with the page.
 */

import ChatView from "./views/chat.js";
import { COMMON } from "./words/common.js";

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

/**
 * @typedef {{name: string, word: string, load: () => Promise<{default: new (session: import("./session.js").Session) => View}>}} Place
 * @type {Place[]}
 */
export const PLACES = [
  { name: "chat", word: COMMON.chat, load: async () => ({ default: ChatView }) },
  { name: "notes", word: COMMON.notes, load: () => import("./views/notes.js") },
  { name: "jobs", word: COMMON.jobs, load: () => import("./views/jobs.js") },
  { name: "tools", word: COMMON.tools, load: () => import("./views/tools.js") },
  { name: "system", word: COMMON.system, load: () => import("./views/system.js") },
];

/** The class of a place's view, once all is there that it needs. @param {Place} place */
export async function viewOf({ name, load }) {
  const [module] = await Promise.all([load(), bringMarkup(name)]);
  return module.default;
}

// Templates and stylesheets; those of the first place stand in index.html.
async function bringMarkup(name) {
  if (document.getElementById(`${name}-template`) !== null) return;
  const response = await fetch(`./places/${name}.html`);
  if (!response.ok) throw new Error(`The gateway answered with an error (${response.status}).`);
  const brought = new DOMParser().parseFromString(await response.text(), "text/html");
  await Promise.all([...brought.querySelectorAll("link[rel=stylesheet]")].map(applied));
  document.body.append(...brought.querySelectorAll("template"));
}

// Two places may share a stylesheet.
function applied(sheet) {
  const known = document.head.querySelector(`link[rel=stylesheet][href="${sheet.getAttribute("href")}"]`);
  if (known !== null) return null;
  return new Promise((resolve, reject) => {
    sheet.addEventListener("load", resolve);
    sheet.addEventListener("error", () => {
      sheet.remove();
      reject(new Error("A stylesheet can't be read."));
    });
    document.head.append(sheet);
  });
}
