// Amounts, models and the gateway's condition in words.
import assert from "node:assert/strict";
import { test } from "node:test";

import { conditionText, unwellTexts } from "../../web/js/words/system.js";
import { connectedText, factsText, lockText, modelText } from "../../web/js/words/model.js";
import { budgetText, costText, dollars, spentText } from "../../web/js/words/money.js";

const TOWER = { state: "ready", provider: "ollama", base_url: "http://tower:11434", model: "llama3", has_key: false, context_tokens: 131072, source: "page" };
const HOSTED = { ...TOWER, provider: "openai", base_url: "https://api.openai.com/v1", model: "gpt-5", has_key: true, context_tokens: null };

test("amounts below a cent keep their places", () => {
  assert.deepEqual([0, 0.0042, 0.01, 12].map(dollars), ["$0.00", "$0.0042", "$0.01", "$12.00"]);
});

test("a price that is not known is no zero", () => {
  assert.equal(costText({ cost_usd: 0, total_tokens: 0, unpriced_tokens: 0 }), "Nothing was used.");
  assert.equal(costText({ cost_usd: null, total_tokens: 1200, unpriced_tokens: 1200 }), "1,200 tokens; their price is not known.");
  assert.equal(costText({ cost_usd: 0.5, total_tokens: 1200, unpriced_tokens: 0 }), "$0.50 for 1,200 tokens.");
  assert.match(costText({ cost_usd: 0.5, total_tokens: 1200, unpriced_tokens: 200 }), /^\$0\.50 for 1,000 tokens, and 200 tokens of which/);
});

test("a budget is said with what is spent of it", () => {
  assert.equal(spentText("Today", { spent_usd: 0.12, limit_usd: null }), "Today $0.12.");
  assert.equal(spentText("Today", { spent_usd: 0.12, limit_usd: 1 }), "Today $0.12 of $1.00.");
  assert.equal(budgetText({ period: "day", spent_usd: 0.85, limit_usd: 1 }), "85 % of the budget for today is spent: $0.85 of $1.00.");
});

test("a model goes by its name and its machine, on the web by its provider", () => {
  assert.equal(connectedText(TOWER), "Connected: llama3 at tower.");
  assert.equal(connectedText(TOWER, 800), "Connected: llama3 at tower; first words in 0.8 s.");
  assert.equal(connectedText(TOWER, 3), "Connected: llama3 at tower; first words in 0.1 s.");
  assert.equal(connectedText({ ...HOSTED, state: "key_refused" }), "gpt-5 at OpenAI refuses the key.");
  assert.equal(factsText(TOWER), "Ollama at http://tower:11434 · 131,072 tokens of context");
  assert.match(factsText(HOSTED), /its key is kept/);
  assert.equal(modelText({ state: "none", model: "builtin" }), "Built-in assistant");
  assert.equal(modelText({ state: "unreachable", model: "llama3" }), "llama3 can't be reached");
});

test("a locked model says who has set it", () => {
  assert.match(lockText({ ...TOWER, source: "environment" }), /environment/);
  assert.match(lockText({ ...TOWER, source: "host" }), /program that runs this gateway/);
  assert.match(lockText({ source: "environment", state: "none" }), /^That no model is connected/);
});

test("one sentence says how the gateway is, and what is not well is named with its reason", () => {
  const well = { uptime_seconds: 3 * 86400 + 5, parts: { disk: { state: "ok", reason: null } }, model: { state: "ready", model: "llama3" } };
  assert.equal(conditionText(well), "All well. Up 3 days.");
  const full = { ...well, uptime_seconds: 3600, parts: { disk: { state: "degraded", reason: "Only 3 MB are free." } } };
  assert.equal(conditionText(full), "One thing is not well. Up 1 hour.");
  assert.deepEqual(unwellTexts(full), [{ name: "Disk:", reason: "Only 3 MB are free." }]);
  const away = { ...full, model: { state: "unreachable", model: "llama3" } };
  assert.equal(conditionText(away), "2 things are not well. Up 1 hour.");
});
