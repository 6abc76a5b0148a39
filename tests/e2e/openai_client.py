"""Calls of OpenAI's current Python client: `python openai_client.py URL TOKEN`, with an interpreter that has the client.

Each function `check_...` is one check. It prints a line of JSON for each: its name, and what went wrong or null. The
gateway behind URL has the scripted models of `tests/llm/stand_in.py`, and `busy`, `broken` and `picky`, which refuse.
"""

import asyncio
import json
import sys
import traceback

import openai
import pydantic

URL, TOKEN = sys.argv[1:3]
client = openai.OpenAI(base_url=URL, api_key=TOKEN, max_retries=0, timeout=20)
HI = [{"role": "user", "content": "Hi there"}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
LOOK = {
    "name": "look",
    "description": "Look.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}
LOOK_CALL = 'call look {"at": "sky"}'


class Point(pydantic.BaseModel):
    x: int


def error_of(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def check_a_chat_is_answered():
    reply = client.chat.completions.create(model="hello", messages=HI)
    assert reply.choices[0].message.content == "Hello from the model."
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (12, 5, 17)


def check_a_chat_is_streamed():
    chunks = list(client.chat.completions.create(model="hello", messages=HI, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Hello from the model."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(one.usage is None for one in chunks)


def check_a_stream_has_its_usage_when_asked():
    options = {"include_usage": True}
    *_, last = client.chat.completions.create(model="hello", messages=HI, stream=True, stream_options=options)
    assert (last.choices, last.usage.total_tokens) == ([], 17)


def check_the_client_s_own_stream_helper_works():
    with client.chat.completions.stream(model="hello", messages=HI) as stream:
        done = [event.content for event in stream if event.type == "content.done"]
    assert done == ["Hello from the model."]


def check_the_async_client_streams():
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL, api_key=TOKEN, max_retries=0) as here:
            stream = await here.chat.completions.create(model="count-5", messages=HI, stream=True)
            return [one.choices[0].delta.content async for one in stream if one.choices[0].delta.content]

    assert asyncio.run(ask()) == ["1 ", "2 ", "3 ", "4 ", "5 "]


def tools_round_trip(model):
    tools = [{"type": "function", "function": LOOK}]
    messages = [{"role": "user", "content": LOOK_CALL}]
    reply = client.chat.completions.create(model=model, messages=messages, tools=tools)
    assert reply.choices[0].finish_reason == "tool_calls"
    message = reply.choices[0].message
    (call,) = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("look", {"at": "sky"})
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "blue"}]
    reply = client.chat.completions.create(model=model, messages=messages, tools=tools)
    assert reply.choices[0].finish_reason == "stop"
    assert "blue" in reply.choices[0].message.content


def check_tools_make_their_round():
    tools_round_trip("obedient")


def check_tools_make_their_round_beside_the_agent_s_own():
    tools_round_trip("ironclaw")


def streamed_call(model):
    tools = [{"type": "function", "function": LOOK}]
    messages = [{"role": "user", "content": LOOK_CALL}]
    with client.chat.completions.stream(model=model, messages=messages, tools=tools) as stream:
        message = stream.get_final_completion().choices[0].message
    assert [one.function.arguments for one in message.tool_calls] == ['{"at": "sky"}']


def check_tool_calls_are_streamed():
    streamed_call("obedient")


def check_tool_calls_of_the_agent_are_streamed():
    streamed_call("ironclaw")


def check_pictures_come_in_as_parts():
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    reply = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": parts}])
    assert PICTURE in reply.choices[0].message.content


def check_what_is_parsed_into_a_class_arrives():
    messages = [{"role": "user", "content": '{"x": 3}'}]
    reply = client.chat.completions.parse(model="echo", messages=messages, response_format=Point)
    assert reply.choices[0].message.parsed == Point(x=3)


def check_the_agent_answers():
    reply = client.chat.completions.create(model="ironclaw", messages=HI)
    assert (reply.model, reply.choices[0].message.content) == ("ironclaw", "Hi there")


def check_thoughts_come_beside_the_text():
    stream = client.chat.completions.create(model="think", messages=HI, stream=True)
    deltas = [one.choices[0].delta for one in stream]
    assert "".join(getattr(one, "reasoning_content", "") or "" for one in deltas) == "The person greets. So do I."


def check_the_agent_reads_notes_with_its_own_tools():
    messages = [{"role": "user", "content": 'call FileRead {"path": "README.md"}'}]
    reply = client.chat.completions.create(model="ironclaw", messages=messages)
    assert "README.md (lines 1-" in reply.choices[0].message.content


def check_a_thread_keeps_the_conversation():
    more = {"extra_headers": {"X-IronClaw-Thread": "from-the-client"}}
    client.chat.completions.create(model="ironclaw", messages=HI, **more)
    metadata = {"thread_id": "from-the-client"}
    reply = client.chat.completions.create(
        model="ironclaw", messages=[{"role": "user", "content": "again"}], metadata=metadata
    )
    assert reply.choices[0].message.content == "again"


def check_a_response_is_made():
    reply = client.responses.create(model="hello", input="Hi", instructions="Be brief.")
    assert (reply.status, reply.output_text) == ("completed", "Hello from the model.")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 5)
    assert reply.instructions == "Be brief."


def check_a_response_is_streamed_in_the_official_order():
    events = list(client.responses.create(model="hello", input="Hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 4,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert events[-1].response.output_text == "Hello from the model."


def check_the_client_s_own_helper_builds_the_response():
    with client.responses.stream(model="think", input="Hi") as stream:
        reply = stream.get_final_response()
    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert reply.output_text == "Good day."


def check_a_response_goes_on_from_another():
    first = client.responses.create(model="echo", input="one")
    second = client.responses.create(model="echo", input="two", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("two", first.id)
    third = client.responses.create(model="ironclaw", input="three", previous_response_id=second.id)
    assert third.output_text == "three"


def check_functions_of_a_response_make_their_round():
    tools = [{"type": "function", "strict": False, **LOOK}]
    first = client.responses.create(model="obedient", input=LOOK_CALL, tools=tools)
    (call,) = first.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "look", {"at": "sky"})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "blue"}
    kept = client.responses.create(model="obedient", input=[output], tools=tools, previous_response_id=first.id)
    assert kept.output_text == "Done: blue"
    given = [{"role": "user", "content": LOOK_CALL}, *first.output, output]
    assert client.responses.create(model="obedient", input=given, tools=tools, store=False).output_text == "Done: blue"


def check_a_function_call_of_a_response_is_streamed():
    tools = [{"type": "function", "strict": False, **LOOK}]
    for model in ("obedient", "ironclaw"):
        with client.responses.stream(model=model, input=LOOK_CALL, tools=tools) as stream:
            kinds = [event.type for event in stream]
            (call,) = stream.get_final_response().output
        assert "response.function_call_arguments.done" in kinds
        assert (call.name, json.loads(call.arguments)) == ("look", {"at": "sky"})


def check_a_response_takes_pictures():
    parts = [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": PICTURE, "detail": "low"}]
    reply = client.responses.create(model="echo", input=[{"role": "user", "content": parts}])
    assert PICTURE in reply.output_text


def check_a_response_is_parsed_into_a_class():
    assert client.responses.parse(model="echo", input='{"x": 4}', text_format=Point).output_parsed == Point(x=4)


def check_a_response_is_read_again_and_deleted():
    made = client.responses.create(model="hello", input="Hi", metadata={"of": "test"})
    read = client.responses.retrieve(made.id)
    assert (read.output_text, read.metadata) == (made.output_text, {"of": "test"})
    client.responses.delete(made.id)
    assert error_of(openai.NotFoundError, lambda: client.responses.retrieve(made.id)).code == "response_not_found"


def check_an_unknown_previous_response_is_not_found():
    ask = lambda: client.responses.create(model="hello", input="Hi", previous_response_id="resp_none")  # noqa: E731
    error = error_of(openai.NotFoundError, ask)
    assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")


def check_embeddings_pass_through():
    for more in ({}, {"encoding_format": "float"}):
        reply = client.embeddings.create(model="hello", input=["ab", "abc"], **more)
        assert [one.embedding for one in reply.data] == [[2.0, 0.5], [3.0, 0.5]]


def check_old_completions_pass_through():
    assert client.completions.create(model="hello", prompt="Once").choices[0].text == "Once"


def check_models_are_listed_and_read():
    listed = [model.id for model in client.models.list()]
    assert listed[0] == "ironclaw"
    assert "hello" in listed
    assert client.models.retrieve("ironclaw").object == "model"
    assert error_of(openai.NotFoundError, lambda: client.models.retrieve("nobody")).code == "model_not_found"


def check_an_unknown_model_is_answered_and_named():
    reply = client.chat.completions.with_raw_response.create(model="gpt-4", messages=HI)
    assert reply.headers["X-IronClaw-Model"] == "obedient"
    assert reply.parse().model == "gpt-4"


def check_a_wrong_key_is_an_authentication_error():
    stranger = openai.OpenAI(base_url=URL, api_key="wrong", max_retries=0)
    error = error_of(openai.AuthenticationError, stranger.models.list)
    assert (error.status_code, error.code, error.type) == (401, "invalid_api_key", "authentication_error")


def check_a_wrong_body_is_a_bad_request():
    error = error_of(openai.BadRequestError, lambda: client.chat.completions.create(model="hello", messages=[]))
    assert (error.type, error.param) == ("invalid_request_error", "messages")
    tools = [{"type": "web_search"}]
    error = error_of(openai.BadRequestError, lambda: client.responses.create(model="hello", input="Hi", tools=tools))
    assert error.param == "tools[0].type"


def check_the_provider_s_refusals_keep_their_status_and_words():
    chat = client.chat.completions
    busy = error_of(openai.RateLimitError, lambda: chat.create(model="busy", messages=HI))
    assert (busy.status_code, "Slow down" in busy.message) == (429, True)
    broken = error_of(openai.InternalServerError, lambda: chat.create(model="broken", messages=HI))
    assert broken.status_code == 500
    picky = error_of(openai.BadRequestError, lambda: chat.create(model="picky", messages=HI, stream=True))
    assert (picky.param, picky.code) == ("top_k", "unknown_parameter")
    picky = error_of(openai.BadRequestError, lambda: client.responses.create(model="picky", input="Hi", stream=True))
    assert (picky.param, picky.code) == ("top_k", "unknown_parameter")


def check_a_stream_that_breaks_is_an_error():
    error = error_of(
        openai.APIError, lambda: list(client.chat.completions.create(model="torn", messages=HI, stream=True))
    )
    assert "tripped" in error.message
    events = list(client.responses.create(model="torn", input="Hi", stream=True))
    assert (events[-1].type, "tripped" in events[-1].response.error.message) == ("response.failed", True)
    error_of(openai.APIStatusError, lambda: client.responses.create(model="torn", input="Hi"))


def check_a_body_that_is_too_large_is_413():
    huge = [{"role": "user", "content": "x" * (17 << 20)}]
    error = error_of(openai.APIStatusError, lambda: client.chat.completions.create(model="hello", messages=huge))
    assert (error.status_code, error.type) == (413, "invalid_request_error")


def check_an_unknown_route_is_not_found():
    error_of(openai.NotFoundError, lambda: client.images.generate(prompt="a cat"))


def check_a_model_that_is_silent_times_out_at_the_client():
    hasty = client.with_options(timeout=0.3)
    error_of(openai.APITimeoutError, lambda: hasty.chat.completions.create(model="silent", messages=HI))


def main():
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            try:
                check()
                problem = None
            except Exception:
                problem = traceback.format_exc(limit=-4)
            print(json.dumps({"check": name, "problem": problem}), flush=True)


main()
