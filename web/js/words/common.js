/** Words that stand in many places of the page: its frame, its buttons, the connection, and what is said when something fails. Pure. */

import { numberText } from "./language.js";

export const COMMON = Object.freeze({
  // The frame
  product: "IronClaw",
  pageTitle: (title) => `${title} · IronClaw`,
  chat: "Chat",
  notes: "Notes",
  jobs: "Jobs",
  tools: "Tools",
  system: "System",
  answersWanted: (count) => (count === 1 ? ", 1 waits for your answer" : `, ${count} wait for your answer`),

  // Signing in
  signIn: "Sign in",
  tokenRefused: "This token was refused. On the gateway's machine, run “ironclaw token show” and paste what it prints.",
  tokenFirst: "Enter the token first.",
  tooManyAttempts: (seconds) => `Too many attempts. Try again in ${seconds} seconds.`,

  // Buttons
  save: "Save",
  cancel: "Cancel",
  edit: "Edit",
  delete: "Delete",
  remove: "Remove",
  more: "More",
  undo: "Undo",
  openIt: "Open it",
  tryAgain: "Try again",
  stop: "Stop",
  stopping: "Stopping…",
  copy: "Copy",
  copied: "Copied",
  notCopied: "Not copied",
  keepMine: "Keep mine",
  keepTheirs: "Keep theirs",
  writeOn: "Write on",
  download: (name) => `Download ${name}`,

  // What became of an act; *why* is a sentence of the gateway
  saved: "Saved.",
  savedAloud: "Saved",
  deleted: "Deleted.",
  notSaved: (why) => `Not saved. ${why}`,
  notChanged: (why) => `Not changed. ${why}`,
  notDeleted: (why) => `Not deleted. ${why}`,
  notDownloaded: (why) => `Not downloaded. ${why}`,
  notStarted: (why) => `Not started. ${why}`,
  notStopped: (why) => `Not stopped. ${why}`,

  // The connection
  unreachable: "The gateway can't be reached. Check that it is running and that you are on its network.",
  answeredWrong: (status) => `The gateway answered with an error (${status}). Try again in a moment.`,
  connecting: "Connecting",
  connectingAfter: (why) => `Connecting. ${why}`,
  reconnecting: "Reconnecting",
  reconnectingAfter: (why) => `Reconnecting. ${why}`,
  tooManyRequests: (seconds) => `Too many requests for now. Goes on by itself in ${seconds} s.`,
  goesOn: (seconds) => `Goes on by itself in ${seconds} s.`,

  // What is found, and what is counted
  nothingFound: (query) => `Nothing was found for “${query}”.`,
  places: (count) => (count === 1 ? "1 place" : `${count} places`),
  tokens: (count) => (count === 1 ? "1 token" : `${numberText(count)} tokens`),

  // Texts that are set like a page
  table: "Table",
  taskDone: "done",
  taskOpen: "open",
});
