"""A scripted model server as a process of its own: `python tests/llm/stand_in.py --log FILE [--port N] [--host H]`.

It speaks /v1/chat/completions (streamed and plain), /v1/completions, /v1/embeddings, /v1/models, /api/chat, /api/tags,
/api/show and /api/ps.

What it answers is chosen by the request's model name (anything after `@` is ignored, a tag `:latest` too):

- `hello`     says "Hello from the model." in four pieces, with usage (12 in, 5 out)
- `echo`      says the last user message again, word by word
- `count-N`   says the numbers from 1 to N; `count-N-S` pauses S seconds before each
- `think`     thinks aloud, then answers
- `obedient`  a user message with lines `call NAME {json}` makes it ask for these calls; after their results it says
              `Done: ` and the results; any other message is echoed
- `silent`    sends its head and then nothing
- `missing`   404, as OpenAI and Ollama word it

Any other behaviour is scripted: `POST /control/script` with `{"model": NAME, "replies": [REPLY, ...]}`; each request for
the model takes the next reply, the last one stays. A REPLY is `{"status": 200, "headers": {...}, "steps": [STEP, ...]}`;
its default content type is that of a stream. A STEP is one of

- `{"send": TEXT}`, `{"send64": BASE64}`: bytes, in one write; with `"times": N` N times
- `{"wait": SECONDS}`
- `{"hang": true}`: nothing more, until the client leaves
- `{"hold": NAME}`: nothing more until `POST /control/release` names it
- `{"reset": true}`: a TCP reset;  `{"drop": true}`: the connection ends without the end of the body
- `{"head": "wait"}` as first step: not even a head, until the client leaves
- `{"raw": TEXT}` as first step: these bytes in place of HTTP, then the end

`POST /control/facts` with `{"models": [...], "loaded": [...], "show": {...}}` sets what the lists say.

The log has one JSON object a line, `t` is the monotonic clock in seconds, `id` counts requests:
`listening` (port), `request` (id, method, path, model, headers, body), `sent` (id, size, text), `end` (id), and `gone` (id)
when the client left before the end. Requests to /control are not logged.
"""

import argparse
import asyncio
import base64
import itertools
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, TextIO

from aiohttp import web

Step = dict[str, Any]
Reply = dict[str, Any]
Piece = tuple[str, Any]  # ("text", str), ("think", str), ("calls", [(name, arguments)]), ("wait", seconds)

_USAGE = (12, 5)
_MODELS = ["hello", "echo", "count-20", "think", "obedient"]


class StandIn:
    """The server: scripts, facts and the log."""

    def __init__(self, log: TextIO) -> None:
        self._log_file = log
        self._ids = itertools.count(1)
        self._scripts: dict[str, list[Reply]] = {}
        self._holds: dict[str, asyncio.Event] = {}
        self._facts: dict[str, Any] = {
            "models": _MODELS,
            "loaded": _MODELS,
            "show": {"capabilities": ["completion", "tools"], "model_info": {"llama.context_length": 131072}},
        }

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/control/script", self._set_script)
        app.router.add_post("/control/facts", self._set_facts)
        app.router.add_post("/control/release", self._release)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def log(self, event: str, **more: Any) -> None:
        line = json.dumps({"t": time.monotonic(), "event": event, **more})
        self._log_file.write(line + "\n")
        self._log_file.flush()

    async def _set_script(self, request: web.Request) -> web.Response:
        script = await request.json()
        self._scripts[script["model"]] = script["replies"]
        return web.json_response({})

    async def _set_facts(self, request: web.Request) -> web.Response:
        self._facts |= await request.json()
        return web.json_response({})

    async def _release(self, request: web.Request) -> web.Response:
        self._held(str((await request.json())["name"])).set()
        return web.json_response({})

    def _held(self, name: str) -> asyncio.Event:
        return self._holds.setdefault(name, asyncio.Event())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = next(self._ids)
        text = await request.text()
        body = json.loads(text) if text else {}
        headers = dict(request.headers)
        model = body.get("model", "")
        self.log(
            "request", id=number, method=request.method, path=request.path, model=model, headers=headers, body=body
        )
        try:
            response = await self._route(request, number, body)
        except (asyncio.CancelledError, ConnectionError):
            self.log("gone", id=number)
            raise
        self.log("end", id=number)
        return response

    async def _route(self, request: web.Request, number: int, body: dict[str, Any]) -> web.StreamResponse:
        match request.path:
            case "/v1/models":
                listed = [one if isinstance(one, dict) else {"id": one} for one in self._facts["models"]]
                return web.json_response({"object": "list", "data": listed})
            case "/api/tags":
                return web.json_response({"models": [{"name": _tagged(one)} for one in self._facts["models"]]})
            case "/api/ps":
                return web.json_response({"models": [{"name": _tagged(one)} for one in self._facts["loaded"]]})
            case "/api/show":
                return web.json_response(self._facts["show"])
            case "/v1/embeddings":
                return web.json_response(_embeddings(body))
            case "/v1/completions":
                return web.json_response(_completion(body))
            case "/v1/chat/completions" | "/api/chat":
                ollama = request.path == "/api/chat"
                return await self._play(request, number, self._next(body, ollama=ollama))
        return web.json_response({"error": {"message": f"no route {request.path}"}}, status=404)

    def _next(self, body: dict[str, Any], *, ollama: bool) -> Reply:
        model = str(body.get("model", ""))
        if replies := self._scripts.get(model):
            return replies.pop(0) if len(replies) > 1 else replies[0]
        name = model.partition("@")[0].removesuffix(":latest")
        if name == "silent":
            return {"steps": [{"hang": True}]}
        pieces = _pieces(name, body.get("messages", []))
        if pieces is None:
            return _missing(model, ollama=ollama)
        if ollama:
            return {"headers": {"Content-Type": "application/x-ndjson"}, "steps": list(_ollama(model, pieces))}
        if body.get("stream"):
            return {"steps": list(_openai(model, pieces))}
        whole = _plain(model, pieces)
        return {"headers": {"Content-Type": "application/json"}, "steps": [{"send": json.dumps(whole)}]}

    async def _play(self, request: web.Request, number: int, reply: Reply) -> web.StreamResponse:
        steps = reply.get("steps", [])
        headers = {"Content-Type": "text/event-stream", **reply.get("headers", {})}
        response = web.StreamResponse(status=reply.get("status", 200), headers=headers)
        if steps and steps[0].get("head") == "wait":
            await asyncio.Event().wait()
        if steps and "raw" in steps[0]:
            _transport(request).write(steps[0]["raw"].encode())
            _transport(request).close()
            return response
        await response.prepare(request)
        for step in steps:
            if not await self._step(request, response, number, step):
                return response
        await response.write_eof()
        return response

    async def _step(self, request: web.Request, response: web.StreamResponse, number: int, step: Step) -> bool:
        """Do one step; False: it was the last."""
        if "wait" in step:
            await asyncio.sleep(step["wait"])
        elif "hang" in step:
            await asyncio.Event().wait()
        elif "hold" in step:
            await self._held(step["hold"]).wait()
        elif "reset" in step:
            _transport(request).get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            _transport(request).abort()
            return False
        elif "drop" in step:
            _transport(request).close()
            return False
        else:
            data = base64.b64decode(step["send64"]) if "send64" in step else step["send"].encode()
            for _ in range(step.get("times", 1)):
                await response.write(data)
            self.log("sent", id=number, size=len(data) * step.get("times", 1), text=data[:200].decode(errors="replace"))
        return True


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    return transport


def _tagged(model: str) -> str:
    return model if ":" in model else f"{model}:latest"


def _missing(model: str, *, ollama: bool) -> Reply:
    error: object = f"model '{model}' not found"
    if not ollama:
        error = {"message": f"The model `{model}` does not exist.", "type": "x", "code": "model_not_found"}
    headers = {"Content-Type": "application/json"}
    return {"status": 404, "headers": headers, "steps": [{"send": json.dumps({"error": error})}]}


def _pieces(name: str, messages: list[dict[str, Any]]) -> list[Piece] | None:
    """What a model says; None: there is no such model."""
    said = [str(one.get("content") or "") for one in messages if one.get("role") == "user"]
    asked = said[-1] if said else ""
    if name == "hello":
        return [("text", word) for word in ("Hello ", "from ", "the ", "model.")]
    if name == "echo":
        return _words(asked)
    if name == "think":
        return [("think", "The person greets. "), ("think", "So do I."), *_words("Good day.")]
    if match := re.fullmatch(r"count-(\d+)(?:-([\d.]+))?", name):
        pause = float(match[2] or 0)
        return [piece for n in range(1, int(match[1]) + 1) for piece in (("wait", pause), ("text", f"{n} "))]
    if name == "obedient":
        return _obey(asked, messages)
    return None


def _obey(asked: str, messages: list[dict[str, Any]]) -> list[Piece]:
    last_user = max((n for n, one in enumerate(messages) if one.get("role") == "user"), default=0)
    results = [str(one.get("content")) for one in messages[last_user:] if one.get("role") == "tool"]
    if results:
        return _words("Done: " + " | ".join(results))
    calls = re.findall(r"^call ([\w-]+) (\{.*\})$", asked, re.M)
    return [("calls", calls)] if calls else _words(asked)


def _words(text: str) -> list[Piece]:
    return [("text", word) for word in re.findall(r"\S+\s*|\s+", text)]


def _calls(calls: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]


def _openai(model: str, pieces: list[Piece]) -> Iterator[Step]:
    """The steps of a streamed chat completion."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Step:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"send": f"data: {json.dumps({**base, 'choices': [choice]})}\n\n"}

    yield chunk({"role": "assistant", "content": ""})
    for kind, value in pieces:
        match kind:
            case "wait":
                yield {"wait": value}
            case "think":
                yield chunk({"reasoning_content": value})
            case "calls":
                yield from (chunk({"tool_calls": [call]}) for call in _calls(value))
            case _:
                yield chunk({"content": value})
    yield chunk({}, "tool_calls" if pieces and pieces[-1][0] == "calls" else "stop")
    usage = {"prompt_tokens": _USAGE[0], "completion_tokens": _USAGE[1], "total_tokens": sum(_USAGE)}
    yield {"send": f"data: {json.dumps({**base, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"}


def _plain(model: str, pieces: list[Piece]) -> dict[str, Any]:
    """A chat completion in one piece."""
    calls = [call for kind, value in pieces if kind == "calls" for call in _calls(value)]
    message = {"role": "assistant", "content": "".join(value for kind, value in pieces if kind == "text")}
    if calls:
        message["tool_calls"] = calls  # type: ignore[assignment]
    usage = {"prompt_tokens": _USAGE[0], "completion_tokens": _USAGE[1], "total_tokens": sum(_USAGE)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """For each text two numbers: its length, and 0.5."""
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vectors: list[Any] = [[float(len(one)), 0.5] for one in given]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack("<2f", *one)).decode() for one in vectors]
    listed = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(vectors)]
    usage = {"prompt_tokens": _USAGE[0], "total_tokens": _USAGE[0]}
    return {"object": "list", "data": listed, "model": body["model"], "usage": usage}


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    """A completion of the old kind: the prompt again."""
    choice = {"index": 0, "text": body["prompt"], "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": _USAGE[0], "completion_tokens": _USAGE[1], "total_tokens": sum(_USAGE)}
    return {
        "id": "1",
        "object": "text_completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }


def _ollama(model: str, pieces: list[Piece]) -> Iterator[Step]:
    """The steps of a streamed chat of Ollama."""

    def line(message: dict[str, Any], **more: Any) -> Step:
        whole = {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message}}
        return {"send": json.dumps({**whole, "done": False, **more}) + "\n"}

    for kind, value in pieces:
        match kind:
            case "wait":
                yield {"wait": value}
            case "think":
                yield line({"content": "", "thinking": value})
            case "calls":
                calls = [{"function": {"name": name, "arguments": json.loads(text)}} for name, text in value]
                yield line({"content": "", "tool_calls": calls})
            case _:
                yield line({"content": value})
    yield line({"content": ""}, done=True, done_reason="stop", prompt_eval_count=_USAGE[0], eval_count=_USAGE[1])


async def serve(arguments: argparse.Namespace) -> None:
    with open(arguments.log, "a", encoding="utf-8") as log:
        stand_in = StandIn(log)
        runner = web.AppRunner(stand_in.app(), handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, arguments.host, arguments.port, shutdown_timeout=0.2)
        await site.start()
        stand_in.log("listening", port=runner.addresses[0][1])
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted model server.")
    parser.add_argument("--log", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))
