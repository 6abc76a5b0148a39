/** What the page says of conversations and what is in them. Pure. */

import { sentences } from "./language.js";

const NO_MODEL = "No language model is connected yet, so I can't converse, but I can already look after your notes and this machine.";
const WITH_MODEL = "I can answer questions, and look after your notes and this machine.";

export const CHAT = Object.freeze({
  // The list of conversations
  untitled: "New conversation",
  nothingSaid: "Nothing has been said yet. What you write is kept here.",
  listUnreadable: "The list of conversations can't be read.",
  newestPlaces: (count) => `The newest ${count} places. More words find less.`,
  saidByYou: (pieces) => ["You: ", ...pieces],
  unread: "new",
  states: { queued: "waiting", running: "running", waiting: "Needs your answer" },

  // One of them
  about: "This conversation",
  moreAbout: (title) => `More about “${title}”`,
  rename: "Rename",
  pin: "Pin",
  unpin: "Unpin",
  makeSkill: "Make it a skill",
  exportMarkdown: "Export as Markdown",
  exportJson: "Export as JSON",
  notBegun: (why) => `No new conversation was made. ${why}`,
  earlierUnreadable: (why) => `Earlier messages can't be read. ${why}`,
  introduction: (host, hasModel) => sentences([`Hello. I'm IronClaw on ${host}.`, hasModel ? WITH_MODEL : NO_MODEL]),

  // Writing
  send: "Send",
  fewWords: "Write a few words to go with it.",
  mostFiles: (most) => `A message takes at most ${most} files.`,
  emptyFile: (name) => `${name} is empty.`,
  tooLarge: (name) => `${name} is too large: at most 10 MB can be sent.`,
  unfit: (name) => `${name} can’t be sent: pictures (PNG, JPEG, GIF, WebP) and text files can.`,
  showFile: (name) => `Show ${name}`,
  fileUnreadable: (name, why) => `${name} can’t be read. ${why}`,
  removeFile: (name) => `Remove ${name}`,
  filesNotArrived: "The page was left before its files had arrived.",
  attachAgain: "Attach its files again: they were not kept here.",

  // A message of one's own
  aboutMessage: "This message",
  editAnew: "Edit in a new conversation",
  retryAnew: "Retry in a new conversation",

  // What is done for it, and how that ends
  sending: "Sending…",
  waiting: "Waiting for its turn",
  waitingBehind: (count) => `Waiting, ${count} ahead`,
  thinking: "Thinking…",
  working: "Working…",
  endings: { stopped: "Stopped", failed: "No answer.", interrupted: "Interrupted." },
  takenBack: "Taken back",
  usedSkill: (link) => ["Used the skill ", link],
  usedSkillFromElsewhere: (link) => ["Used the skill ", link, " · it came from elsewhere"],
});
