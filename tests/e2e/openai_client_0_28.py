"""Calls of the old Python client (0.28), which the documented sample uses: `python openai_client_0_28.py URL TOKEN`.

Prints a line of JSON for each check, as `openai_client.py` does; the gateway behind URL is the same.
"""

import json
import sys
import traceback

import openai

openai.api_base, openai.api_key = sys.argv[1:3]
HI = [{"role": "user", "content": "Hi there"}]
LOOK = {"name": "look", "parameters": {"type": "object", "properties": {}}}


def check_a_chat_is_answered():
    reply = openai.ChatCompletion.create(model="hello", messages=HI)
    assert reply.choices[0].message.content == "Hello from the model."
    assert reply.usage.total_tokens == 17


def check_a_chat_is_streamed():
    chunks = list(openai.ChatCompletion.create(model="ironclaw", messages=HI, stream=True))
    assert "".join(one.choices[0].delta.get("content") or "" for one in chunks) == "Hi there"
    assert chunks[-1].choices[0].finish_reason == "stop"


def check_tools_are_called():
    tools = [{"type": "function", "function": LOOK}]
    asked = [{"role": "user", "content": "call look {}"}]
    reply = openai.ChatCompletion.create(model="obedient", messages=asked, tools=tools)
    assert reply.choices[0].message.tool_calls[0].function.name == "look"


def check_models_and_embeddings():
    assert openai.Model.list().data[0].id == "ironclaw"
    # Without a format this client wants numpy, and asks for base64.
    reply = openai.Embedding.create(model="hello", input=["ab"], encoding_format="float")
    assert reply.data[0].embedding == [2.0, 0.5]
    assert openai.Completion.create(model="hello", prompt="Once").choices[0].text == "Once"


def check_errors_have_their_classes():
    for kind, ask in (
        (openai.error.InvalidRequestError, lambda: openai.ChatCompletion.create(model="hello", messages=[])),
        (openai.error.RateLimitError, lambda: openai.ChatCompletion.create(model="busy", messages=HI)),
        (openai.error.AuthenticationError, lambda: openai.Model.list(api_key="wrong")),
        (openai.error.APIError, lambda: openai.ChatCompletion.create(model="broken", messages=HI)),
    ):
        try:
            ask()
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


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
