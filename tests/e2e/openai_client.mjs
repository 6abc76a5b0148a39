// Calls of OpenAI's current JavaScript client: `node openai_client.mjs URL TOKEN`. Prints a line of JSON for each check,
// as `openai_client.py` does; the gateway behind URL is the same.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const HI = [{ role: "user", content: "Hi there" }];
const PICTURE = "data:image/png;base64,iVBORw0KGgo=";
const LOOK = { name: "look", parameters: { type: "object", properties: { at: { type: "string" } } } };
const LOOK_CALL = 'call look {"at": "sky"}';

async function all(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}

const checks = {
  async check_a_chat_is_answered() {
    const reply = await client.chat.completions.create({ model: "hello", messages: HI });
    assert.equal(reply.choices[0].message.content, "Hello from the model.");
    assert.equal(reply.usage.total_tokens, 17);
  },

  async check_a_chat_is_streamed_with_its_usage() {
    const options = { stream: true, stream_options: { include_usage: true } };
    const stream = await client.chat.completions.create({ model: "hello", messages: HI, ...options });
    const chunks = await all(stream);
    assert.equal(chunks.map((one) => one.choices[0]?.delta.content ?? "").join(""), "Hello from the model.");
    assert.equal(chunks.at(-1).usage.total_tokens, 17);
  },

  async check_tools_make_their_round() {
    const tools = [{ type: "function", function: LOOK }];
    for (const model of ["obedient", "ironclaw"]) {
      const messages = [{ role: "user", content: LOOK_CALL }];
      const stream = client.chat.completions.stream({ model, messages, tools });
      const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { at: "sky" });
      messages.push(message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "blue" });
      const reply = await client.chat.completions.create({ model, messages, tools });
      assert.match(reply.choices[0].message.content, /blue/);
    }
  },

  async check_pictures_come_in_as_parts() {
    const content = [{ type: "text", text: "What?" }, { type: "image_url", image_url: { url: PICTURE } }];
    const reply = await client.chat.completions.create({ model: "echo", messages: [{ role: "user", content }] });
    assert.ok(reply.choices[0].message.content.includes(PICTURE));
  },

  async check_the_agent_answers() {
    const reply = await client.chat.completions.create({ model: "ironclaw", messages: HI });
    assert.equal(reply.choices[0].message.content, "Hi there");
  },

  async check_a_response_is_made_and_gone_on_from() {
    const first = await client.responses.create({ model: "echo", input: "one" });
    assert.equal(first.output_text, "one");
    const second = await client.responses.create({ model: "echo", input: "two", previous_response_id: first.id });
    assert.equal(second.output_text, "two");
    assert.equal((await client.responses.retrieve(second.id)).previous_response_id, first.id);
    await client.responses.delete(second.id);
  },

  async check_a_response_is_streamed() {
    const events = await all(await client.responses.create({ model: "hello", input: "Hi", stream: true }));
    assert.deepEqual(events.map((one) => one.sequence_number), [...events.keys()]);
    assert.equal(events.at(-1).type, "response.completed");
    const reply = await client.responses.stream({ model: "hello", input: "Hi" }).finalResponse();
    assert.equal(reply.output_text, "Hello from the model.");
  },

  async check_functions_of_a_response_make_their_round() {
    const tools = [{ type: "function", strict: false, ...LOOK }];
    const first = await client.responses.create({ model: "obedient", input: LOOK_CALL, tools });
    const output = { type: "function_call_output", call_id: first.output[0].call_id, output: "blue" };
    const previous = { previous_response_id: first.id };
    const reply = await client.responses.create({ model: "obedient", input: [output], tools, ...previous });
    assert.equal(reply.output_text, "Done: blue");
  },

  async check_embeddings_pass_through() {
    const reply = await client.embeddings.create({ model: "hello", input: ["ab", "abc"] });
    assert.deepEqual(reply.data.map((one) => one.embedding), [[2, 0.5], [3, 0.5]]);
  },

  async check_models_are_listed_and_read() {
    const listed = await all(client.models.list());
    assert.equal(listed[0].id, "ironclaw");
    assert.equal((await client.models.retrieve("hello")).object, "model");
    await assert.rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError);
  },

  async check_errors_have_their_classes() {
    const chat = (model, more) => client.chat.completions.create({ model, messages: HI, ...more });
    const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
    await assert.rejects(chat("hello", { messages: [] }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "messages");
      return true;
    });
    await assert.rejects(chat("busy"), OpenAI.RateLimitError);
    await assert.rejects(chat("broken"), OpenAI.InternalServerError);
    await assert.rejects(chat("picky", { stream: true }), { param: "top_k", code: "unknown_parameter" });
    await assert.rejects(chat("hello", { user: "x".repeat(17 << 20) }), { status: 413 });
    await assert.rejects(client.files.create({ file: await toFile(Buffer.from("x"), "x"), purpose: "assistants" }), {
      status: 404,
    });
  },

  async check_a_stream_that_breaks_is_an_error() {
    const stream = await client.chat.completions.create({ model: "torn", messages: HI, stream: true });
    await assert.rejects(all(stream), /tripped/);
    const events = await all(await client.responses.create({ model: "torn", input: "Hi", stream: true }));
    assert.equal(events.at(-1).type, "response.failed");
  },

  async check_a_client_that_loses_patience_or_interest_just_leaves() {
    const silent = client.chat.completions.create({ model: "silent", messages: HI }, { timeout: 300 });
    await assert.rejects(silent, OpenAI.APIConnectionTimeoutError);
    const stream = await client.chat.completions.create({ model: "count-1000-0.01", messages: HI, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) break;
    }
    assert.ok(stream.controller.signal.aborted);
  },
};

for (const [check, run] of Object.entries(checks)) {
  const problem = await run().then(() => null, (error) => error.stack);
  console.log(JSON.stringify({ check, problem }));
}
