/** The page's start: the token, then the view. Every place of the page will be shown from here. */

import { Api } from "./api.js";
import { setText } from "./dom.js";
import { tab } from "./storage.js";
import * as token from "./token.js";
import { followViewport } from "./viewport.js";
import { ChatView } from "./views/chat.js";
import { SignInView } from "./views/sign-in.js";

const place = document.getElementById("place");
const signOutButton = document.getElementById("sign-out");
const title = document.getElementById("bar-title");
const note = document.getElementById("bar-note");
let view = null;

function show(next, { signedIn }) {
  view?.close();
  view = next;
  place.replaceChildren(next.root);
  signOutButton.hidden = !signedIn;
  setText(title, "");
  setText(note, "");
  next.opened();
}

function openChat(key) {
  const api = new Api(key);
  const chat = new ChatView(api);
  api.addEventListener("refused", () => {
    if (view === chat) signOut(key === null ? "" : SignInView.REFUSED);
  });
  chat.root.addEventListener("connected", () => readStatus(api, chat));
  chat.root.addEventListener("titled", ({ detail }) => entitle(detail));
  show(chat, { signedIn: key !== null });
  readStatus(api, chat);
}

function entitle(text) {
  setText(title, text);
  document.title = text === "" ? "IronClaw" : `${text} · IronClaw`;
}

// What fails here is tried again when the stream opens.
async function readStatus(api, chat) {
  const status = await api.status().catch(() => null);
  if (status === null || view !== chat) return;
  chat.introduce(status);
  setText(note, modelName(status.model));
}

function signOut(problem) {
  token.forget();
  askForToken(problem);
}

function askForToken(problem) {
  show(new SignInView({ problem, onToken: start }), { signedIn: false });
}

function modelName(model) {
  if (!model) return "";
  return model.state === "none" || !model.model ? "Built-in assistant" : model.model;
}

// A host program before the gateway may know who we are: then no token is asked for.
async function start() {
  if (token.current() !== null) return openChat(token.current());
  const problem = await new Api(null).status().then(() => null, (error) => error);
  if (problem === null) openChat(null);
  else askForToken(problem.status === 401 ? "" : problem.message);
}

signOutButton.addEventListener("click", () => {
  signOut("");
  tab.clear();
});
// A link with a token pasted into an open page.
addEventListener("hashchange", () => token.takeFromAddress() && start());
// A page that the browser keeps for "back" must not hold a stream.
addEventListener("pagehide", () => view?.close());
addEventListener("pageshow", (event) => event.persisted && start());

token.takeFromAddress();
followViewport();
start();
