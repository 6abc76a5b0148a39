/** The page's start: the token, then the view. Every place of the page will be shown from here. */

import { Api } from "./api.js";
import { forgetLetters } from "./outbox.js";
import * as token from "./token.js";
import { followViewport } from "./viewport.js";
import { ChatView } from "./views/chat.js";
import { forgetDraft } from "./views/composer.js";
import { SignInView } from "./views/sign-in.js";

const place = document.getElementById("place");
const signOutButton = document.getElementById("sign-out");
const note = document.getElementById("bar-note");
let view = null;

function show(next, { signedIn }) {
  view?.close();
  view = next;
  place.replaceChildren(next.root);
  signOutButton.hidden = !signedIn;
  note.textContent = "";
  next.opened();
}

function openChat() {
  const api = new Api(token.current());
  const chat = new ChatView(api);
  api.addEventListener("refused", () => {
    if (view === chat) signOut(SignInView.REFUSED);
  });
  chat.root.addEventListener("connected", () => readStatus(api, chat));
  show(chat, { signedIn: true });
  readStatus(api, chat);
}

// What fails here is tried again when the stream opens.
async function readStatus(api, chat) {
  const status = await api.status().catch(() => null);
  if (status === null || view !== chat) return;
  chat.introduce(status);
  note.textContent = modelName(status.model);
}

function signOut(problem) {
  token.forget();
  show(new SignInView({ problem, onToken: openChat }), { signedIn: false });
}

function modelName(model) {
  if (!model) return "";
  return model.state === "none" || !model.model ? "Built-in assistant" : model.model;
}

function start() {
  if (token.current() === null) show(new SignInView({ onToken: openChat }), { signedIn: false });
  else openChat();
}

signOutButton.addEventListener("click", () => {
  signOut("");
  forgetDraft();
  forgetLetters();
});
// A link with a token pasted into an open page.
addEventListener("hashchange", () => token.takeFromAddress() && start());
// A page that the browser keeps for "back" must not hold a stream.
addEventListener("pagehide", () => view?.close());
addEventListener("pageshow", (event) => event.persisted && start());

token.takeFromAddress();
followViewport();
start();
