/** How the gateway is, in words that people read. Pure. */

import { modelText } from "./model.js";
import { roughly } from "./times.js";

const WELL = new Set(["none", "ready", "loading"]);

/** "All well. Up 3 days." */
export function conditionText(status) {
  const count = unwellTexts(status).length;
  const how = count === 0 ? "All well." : count === 1 ? "One thing is not well." : `${count} things are not well.`;
  return `${how} Up ${roughly(status.uptime_seconds)}.`;
}

/** @returns {{name: string, reason: string}[]} what is not well, and why; the model's own card says the rest of it */
export function unwellTexts({ parts, model }) {
  const unwell = Object.entries(parts)
    .filter(([name, { state }]) => state !== "ok" && name !== "model")
    .map(([name, { reason }]) => ({ name: `${name.charAt(0).toUpperCase()}${name.slice(1)}:`, reason: reason ?? "It is not well." }));
  if (!WELL.has(model.state)) unwell.push({ name: "Model:", reason: `${modelText(model)}. Below is what to do.` });
  return unwell;
}
