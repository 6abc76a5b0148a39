/** The connected model in words that people read. Pure. */

import { facts, listed, numberText } from "./language.js";

const STATES = {
  loading: "is being loaded",
  unreachable: "can't be reached",
  key_refused: "refuses the key",
  model_missing: "is not there",
};
const TITLES = new Map([
  ["ollama", "Ollama"],
  ["openai", "OpenAI"],
  ["anthropic", "Anthropic"],
  ["openrouter", "OpenRouter"],
  ["groq", "Groq"],
  ["nearai", "NEAR AI"],
  ["mistral", "Mistral"],
  ["deepseek", "DeepSeek"],
  ["gemini", "Gemini"],
  ["together", "Together AI"],
  ["lmstudio", "LM Studio"],
  ["llamacpp", "llama.cpp"],
  ["vllm", "vLLM"],
]);

export const MODEL = Object.freeze({
  keptKey: "The one that is kept",
  keyIfAsked: "Only if it asks for one",
  addressFirst: "Enter where the model is.",
  connect: "Connect",
  trying: "Trying…",
  tryingModel: (name) => `Trying ${name}…`,
  tryingAddress: (address) => `Trying ${address}. A model that has to be loaded first takes a while.`,
  looking: "Looking on the gateway's machine.",
  noServer: "No model server runs on the gateway's machine. Ollama is a simple one to start with.",
  server: (address, models) => facts([address, listed(models)]),
  notDisconnected: (why) => `Not disconnected. ${why}`,
});

/** Who answers, of the status: "llama3", "llama3 can't be reached", "Built-in assistant". */
export function modelText({ state, model }) {
  if (state === "none") return "Built-in assistant";
  return [model || "The model", STATES[state]].filter(Boolean).join(" ");
}

/** Which model, and where: "llama3 at tower", "gpt-5 at OpenAI". */
function titleText({ provider, base_url: address, model }) {
  const title = TITLES.get(provider) ?? provider;
  const where = address && !address.startsWith("https:") ? new URL(address).hostname : title;
  return `${model || "Its first model"} at ${where}`;
}

/** What else is known of it: "Ollama at http://tower:11434 · 131,072 tokens of context · with a key". */
export function factsText({ provider, base_url: address, context_tokens: context, has_key: hasKey, source }) {
  return facts([
    [TITLES.get(provider), address].filter(Boolean).join(" at "),
    context ? `${numberText(context)} tokens of context` : "",
    hasKey ? "its key is kept, encrypted" : "",
    source === "found" ? "found on this machine" : "",
  ]);
}

/** "Connected: llama3 at tower; first words in 0.8 s."; what is not connected goes by its name alone. */
export function connectedText(state, firstWords = null) {
  if (state.state === "none") return "The built-in assistant answers.";
  if (state.state !== "ready") return `${titleText(state)} ${STATES[state.state]}.`;
  const soon = firstWords === null ? "" : `; first words in ${Math.max(0.1, firstWords / 1000).toFixed(1)} s`;
  return `Connected: ${titleText(state)}${soon}.`;
}

/** Who has set the model, when it can't be changed on the page. */
export function lockText({ source, state }) {
  const what = state === "none" ? "That no model is connected" : "The model";
  if (source === "host") return `${what} is set by the program that runs this gateway, so it can't be changed here.`;
  return `${what} is set in the gateway's environment (LLM_BACKEND, OPENAI_API_KEY and the like). Change it there and restart.`;
}
