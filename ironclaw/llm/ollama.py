"""Ollama's own protocol. Unlike its OpenAI-compatible one it lets us set the context, which is small otherwise."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

import attrs
import orjson

from ironclaw.errors import Invalid, ProviderError
from ironclaw.llm.chunks import arguments_object, count, items, mapping, parse, text
from ironclaw.llm.endpoint import Endpoint, ModelInfo, Timeouts
from ironclaw.llm.failures import Failures
from ironclaw.llm.models import (
    Abilities,
    Delta,
    ModelMessage,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    Waiting,
)
from ironclaw.llm.openai import tool_form
from ironclaw.llm.refusals import looks_like_page
from ironclaw.llm.replies import Reply, patience, read_reply
from ironclaw.llm.transport import ModelHTTP

DEFAULT_CONTEXT = (
    8192  # tokens; Ollama's own default cuts a conversation with tools, and a model's most may fill the memory
)
_PS_TIMEOUT = 5.0
_SAME_OPTIONS = frozenset({"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"})


class OllamaProvider:
    """A model behind `/api/chat`. Its context is `abilities.context_tokens`, or 8192; Ollama bounds it by the model's."""

    def __init__(
        self,
        http: ModelHTTP,
        endpoint: Endpoint,
        model: str,
        *,
        timeouts: Timeouts,
        abilities: Abilities = Abilities(),  # noqa: B008 - frozen
    ) -> None:
        self.name = endpoint.name
        self.model = model
        self.local = endpoint.local
        self.abilities = attrs.evolve(abilities, context_tokens=abilities.context_tokens or DEFAULT_CONTEXT)
        self._http = http
        self._endpoint = endpoint
        self._timeouts = patience(endpoint, timeouts)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The reply, piece by piece; the last piece is `Finished`. Raises `ProviderError`."""
        if not await self._is_loaded():
            yield Waiting(f"Loading {self.model}…")
        body = orjson.dumps(self._body(request))
        stream = await self._http.open(self._endpoint, "/api/chat", body, model=self.model, timeouts=self._timeouts)
        reply = OllamaReply(Failures(self._endpoint, self.model), len(body))
        async with aclosing(read_reply(stream, reply, self._timeouts)) as deltas:
            async for delta in deltas:
                yield delta

    async def _is_loaded(self) -> bool:
        try:
            answer = await self._http.get_json(self._endpoint, "/api/ps", timeout=_PS_TIMEOUT)
        except ProviderError:
            return True  # not worth an error: the chat itself tells what is wrong
        loaded = {text(mapping(one).get("name")) for one in items(mapping(answer).get("models"))}
        return _full_name(self.model) in loaded

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        options: dict[str, Any] = {"num_ctx": self.abilities.context_tokens}
        options |= {name: value for name, value in request.options.items() if name in _SAME_OPTIONS}
        if request.max_output_tokens is not None:
            options["num_predict"] = request.max_output_tokens
        body: dict[str, Any] = {
            "model": self.model,
            "messages": _messages(request.messages),
            "stream": True,
            "options": options,
        }
        if form := _format(mapping(request.options.get("response_format"))):
            body["format"] = form
        if request.tools and self.abilities.tools is not False:
            body["tools"] = [tool_form(spec) for spec in request.tools]
        return body


class OllamaReply(Reply):
    """A reply in lines of JSON."""

    def take(self, line: bytes) -> Iterable[Delta]:
        """What one line brings."""
        if not line.strip():
            return ()
        if looks_like_page(line):
            raise self.failures.not_this_api()
        try:
            return self._chunk(mapping(parse(line)))
        except ValueError:
            raise self.failures.unreadable("something that is not JSON") from None

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        if error := chunk.get("error"):
            raise self.failures.in_stream(error)
        message = mapping(chunk.get("message"))
        if thought := text(message.get("thinking")):
            yield ReasoningDelta(thought)
        if said := text(message.get("content")):
            yield TextDelta(said)
        for call in items(message.get("tool_calls")):
            yield self.calls.take(mapping(call))
        if chunk.get("done") is True:
            self.done = True
            self.reason = "length" if chunk.get("done_reason") == "length" else "stop"
            self.counted.add(
                input_tokens=count(chunk.get("prompt_eval_count")), output_tokens=count(chunk.get("eval_count"))
            )


async def list_models(http: ModelHTTP, endpoint: Endpoint, *, timeout: float) -> list[ModelInfo]:
    """The models that are on the server (`GET /api/tags`), within *timeout* seconds. Raises `ProviderError`."""
    listed = mapping(await http.get_json(endpoint, "/api/tags", timeout=timeout)).get("models")
    if not isinstance(listed, list):
        raise Failures(endpoint).not_this_api()
    names = (text(mapping(one).get("name")) for one in listed)
    return [ModelInfo(name) for name in names if name]


async def show(http: ModelHTTP, endpoint: Endpoint, model: str, *, timeout: float) -> Abilities:
    """What a model can do at most (`POST /api/show`), within *timeout* seconds. Raises `ProviderError`."""
    body = orjson.dumps({"model": model})
    answer = mapping(await http.get_json(endpoint, "/api/show", timeout=timeout, body=body, model=model))
    facts = mapping(answer.get("model_info"))
    sizes = [size for name, value in facts.items() if name.endswith(".context_length") and (size := count(value))]
    skills = answer.get("capabilities")  # not there in old versions
    return Abilities(sizes[0] if sizes else None, "tools" in skills if isinstance(skills, list) else None)


def _format(asked: dict[str, Any]) -> Any:
    """Ollama's word for the form of a reply."""
    if asked.get("type") == "json_schema":
        return mapping(asked.get("json_schema")).get("schema")
    return "json" if asked.get("type") == "json_object" else None


def _full_name(model: str) -> str:
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _messages(messages: Iterable[ModelMessage]) -> list[dict[str, Any]]:
    """Ollama knows a result by the name of its tool, and wants arguments as objects."""
    names: dict[str | None, str] = {}
    forms = []
    for message in messages:
        form: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.pictures:
            form["images"] = [_picture(url) for url in message.pictures]
        if message.tool_calls:
            names.update({call.call_id: call.name for call in message.tool_calls})
            form["tool_calls"] = [
                {"id": call.call_id, "function": {"name": call.name, "arguments": arguments_object(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            form |= {"tool_name": names.get(message.call_id, ""), "tool_call_id": message.call_id}
        forms.append(form)
    return forms


def _picture(url: str) -> str:
    """The picture in a `data:` URL, as base64. Raises *Invalid* for another: Ollama fetches nothing."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise Invalid("Ollama takes pictures as `data:` URLs in base64 only.", code="unsupported_content")
    return data
