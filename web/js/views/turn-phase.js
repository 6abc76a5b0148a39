/** What a turn is busy with, in a word; nothing where the answer itself shows it. Pure. */

import { CHAT } from "../words/chat.js";

/** @param {{state: string, position: number, doing: string, text: string, working: boolean}} turn `working`: a tool call runs */
export function phaseText({ state, position, doing, text, working }) {
  if (state === "sending") return CHAT.sending;
  if (state === "queued") return position > 1 ? CHAT.waitingBehind(position - 1) : CHAT.waiting;
  if (state === "accepted") return CHAT.thinking;
  if (state !== "running") return "";
  if (doing !== "") return doing;
  if (text === "") return working ? "" : CHAT.thinking;
  return working ? CHAT.working : "";
}
