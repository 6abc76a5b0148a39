/** The page's start: the token, then the places. */

import { Api } from "./api.js";
import { showText } from "./dom.js";
import { Session } from "./session.js";
import { tab } from "./storage.js";
import * as token from "./token.js";
import { followViewport } from "./viewport.js";
import { Frame } from "./views/frame.js";
import { SignInView } from "./views/sign-in.js";
import { COMMON } from "./words/common.js";

const place = document.getElementById("place");
const signOutButton = document.getElementById("sign-out");
const back = document.querySelector(".back");
const title = document.getElementById("bar-title");
const working = document.getElementById("working");
const PATIENCE = 150; // milliseconds: what is over sooner needs no word
let view = null;
let soon = null;

function show(next, { signedIn }) {
  view?.close();
  view = next;
  place.replaceChildren(next.root);
  signOutButton.hidden = !signedIn;
  showText(title, "");
  next.opened();
}

function openPlaces(key) {
  const api = new Api(key);
  const frame = new Frame(new Session(api));
  api.addEventListener("refused", () => {
    if (view === frame) signOut(key === null ? "" : COMMON.tokenRefused);
  });
  api.addEventListener("working", ({ detail }) => work(detail));
  frame.root.addEventListener("titled", ({ detail }) => entitle(detail));
  show(frame, { signedIn: key !== null });
}

// What was pressed is being done.
function work(count) {
  clearTimeout(soon);
  if (count === 0) working.hidden = true;
  else soon = setTimeout(() => (working.hidden = false), PATIENCE);
}

function entitle(text) {
  showText(title, text);
  back.setAttribute("href", `#/${document.body.dataset.place}`);
  document.title = text === "" ? COMMON.product : COMMON.pageTitle(text);
}

function signOut(problem) {
  token.forget();
  askForToken(problem);
}

function askForToken(problem) {
  show(new SignInView({ problem, onToken: start }), { signedIn: false });
}

// A host program before the gateway may know who we are: then no token is asked for.
async function start() {
  if (token.current() !== null) return openPlaces(token.current());
  const problem = await new Api(null).status().then(() => null, (error) => error);
  if (problem === null) openPlaces(null);
  else askForToken(problem.status === 401 ? "" : problem.message);
}

signOutButton.addEventListener("click", () => {
  signOut("");
  tab.clear();
});
// While an input method composes a word its keys are its own: no view hears of them. Safari calls the Enter that ends it 229.
addEventListener("keydown", (event) => (event.isComposing || event.keyCode === 229) && event.stopImmediatePropagation(), { capture: true });
// A link with a token pasted into an open page.
addEventListener("hashchange", () => token.takeFromAddress() && start());
// A page that the browser keeps for "back" must not hold a stream.
addEventListener("pagehide", () => view?.close());
addEventListener("pageshow", (event) => event.persisted && start());

token.takeFromAddress();
followViewport();
start();
