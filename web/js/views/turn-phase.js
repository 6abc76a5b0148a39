/** What a turn is busy with, in a word; nothing where the answer itself shows it. Pure. */

/** @param {{state: string, position: number, doing: string, text: string, working: boolean}} turn `working`: a tool call runs */
export function phaseText({ state, position, doing, text, working }) {
  if (state === "sending") return "Sending…";
  if (state === "queued") return position > 1 ? `Waiting, ${position - 1} ahead` : "Waiting for its turn";
  if (state === "accepted") return "Thinking…";
  if (state !== "running") return "";
  if (doing !== "") return doing;
  if (text === "") return working ? "" : "Thinking…";
  return working ? "Working…" : "";
}
