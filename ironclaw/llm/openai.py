"""The Chat Completions protocol of OpenAI, which most servers speak: llama.cpp, vLLM, LM Studio, OpenRouter and others."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

import orjson

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import arguments_object, count, dollars, items, mapping, parse, text
from ironclaw.llm.endpoint import Endpoint, ModelInfo, Timeouts
from ironclaw.llm.failures import Failures
from ironclaw.llm.lines import LONGEST_LINE
from ironclaw.llm.models import (
    Abilities,
    Delta,
    ModelMessage,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from ironclaw.llm.refusals import looks_like_page
from ironclaw.llm.replies import Reason, Reply, patience, read_reply
from ironclaw.llm.transport import ModelHTTP, ModelStream

_REASONS: dict[str, Reason] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
_FIELDS = (b":", b"event:", b"id:", b"retry:")  # lines of an event stream that say nothing about the reply
_CONTEXT_NAMES = ("context_length", "context_window", "max_model_len", "max_context_length", "n_ctx")


class OpenAIProvider:
    """A model behind `/chat/completions`."""

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
        self.abilities = abilities
        self._http = http
        self._endpoint = endpoint
        self._timeouts = patience(endpoint, timeouts)
        self._asks_usage = True

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The reply, piece by piece; the last piece is `Finished`. Raises `ProviderError`."""
        stream, size = await self._open(request)
        reply = OpenAIReply(Failures(self._endpoint, self.model), size)
        async with aclosing(read_reply(stream, reply, self._timeouts)) as deltas:
            async for delta in deltas:
                yield delta

    async def _open(self, request: ModelRequest) -> tuple[ModelStream, int]:
        """The stream, and the size of the request in bytes."""
        try:
            return await self._post(request)
        except ProviderError as error:
            if not (self._asks_usage and names_stream_options(error)):
                raise
        self._asks_usage = False
        return await self._post(request)

    async def _post(self, request: ModelRequest) -> tuple[ModelStream, int]:
        body = orjson.dumps(self._body(request))
        path = "/chat/completions"
        stream = await self._http.open(self._endpoint, path, body, model=self.model, timeouts=self._timeouts)
        return stream, len(body)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            **request.options,
            "model": self.model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
        }
        if self._asks_usage:
            body["stream_options"] = {"include_usage": True}
        if request.tools and self.abilities.tools is not False:
            body["tools"] = [tool_form(spec) for spec in request.tools]
        if request.max_output_tokens is not None:
            # OpenAI's newer models refuse the old name; most other servers know only that.
            name = "max_completion_tokens" if self.name == "openai" else "max_tokens"
            body[name] = request.max_output_tokens
        return body


class OpenAIReply(Reply):
    """A reply in server-sent events, one `data:` line each; or in one piece, from servers that don't stream.

    Lines are taken one by one: no server splits an event over lines, but some forget the empty line between two.
    """

    def __init__(self, failures: Failures, request_size: int) -> None:
        super().__init__(failures, request_size)
        self._loose = bytearray()

    def take(self, line: bytes) -> Iterable[Delta]:
        """What one line brings."""
        if line.startswith(b"data:"):
            return self._event(line[5:].strip())
        if line and not line.startswith(_FIELDS) and not self.began:
            self._loose += line + b"\n"
            if looks_like_page(self._loose) or len(self._loose) > LONGEST_LINE:
                raise self.failures.not_this_api()
        return ()

    def end(self) -> Iterable[Delta]:
        """The reply in one piece, if there was no stream."""
        if self.began or not self._loose:
            return ()
        try:
            whole = mapping(parse(self._loose))
        except ValueError:
            raise self.failures.not_this_api() from None
        if not whole.keys() & {"choices", "error"}:
            raise self.failures.not_this_api()
        return self._chunk(whole)

    def _event(self, data: bytes) -> Iterable[Delta]:
        if data == b"[DONE]":
            self.done = True
            return ()
        try:
            return self._chunk(mapping(parse(data))) if data else ()
        except ValueError:
            raise self.failures.unreadable("something that is not JSON") from None

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        if error := chunk.get("error") or (chunk.get("object") == "error" and chunk):  # the latter is vLLM's
            raise self.failures.in_stream(error)
        self._count(mapping(chunk.get("usage")))
        for choice in map(mapping, items(chunk.get("choices"))):
            if choice.get("index") in (0, None):
                yield from self._choice(choice)

    def _choice(self, choice: dict[str, Any]) -> Iterator[Delta]:
        # A whole `message` after its pieces, as some servers send it, would say everything twice.
        delta = mapping(choice.get("delta")) or ({} if self.began else mapping(choice.get("message")))
        if thought := text(delta.get("reasoning_content")) or text(delta.get("reasoning")):
            yield ReasoningDelta(thought)
        if said := text(delta.get("content")) or text(delta.get("refusal")):
            yield TextDelta(said)
        for piece in items(delta.get("tool_calls")):
            yield self.calls.take(mapping(piece))
        if reason := text(choice.get("finish_reason")):
            if reason == "error":
                raise self.failures.in_stream(choice.get("error") or "the reply broke off")
            self.reason = _REASONS.get(reason, "stop")

    def _count(self, usage: dict[str, Any]) -> None:
        if usage:
            self.counted.add(
                input_tokens=count(usage.get("prompt_tokens")),
                output_tokens=count(usage.get("completion_tokens")),
                cached_tokens=count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
                reasoning_tokens=count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")),
                cost_usd=dollars(usage.get("cost")),
            )


async def list_models(http: ModelHTTP, endpoint: Endpoint, *, timeout: float) -> list[ModelInfo]:
    """The models that the server offers (`GET /models`), within *timeout* seconds. Raises `ProviderError`."""
    answer = await http.get_json(endpoint, "/models", timeout=timeout)
    listed = answer if isinstance(answer, list) else mapping(answer).get("data")
    if not isinstance(listed, list):
        raise Failures(endpoint).not_this_api()
    models = (_model_info(mapping(one)) for one in listed)
    return [model for model in models if model.id]


def tool_form(spec: ToolSpec) -> dict[str, Any]:
    """A tool in the form that OpenAI has made common."""
    function = {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}
    return {"type": "function", "function": function}


def _message(message: ModelMessage) -> dict[str, Any]:
    form: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.pictures:
        words = [{"type": "text", "text": message.content}] if message.content else []
        form["content"] = [*words, *({"type": "image_url", "image_url": {"url": url}} for url in message.pictures)]
    if message.tool_calls:
        form["content"] = message.content or None
        form["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool":
        form["tool_call_id"] = message.call_id
    return form


def _call(call: ToolCall) -> dict[str, Any]:
    """A call as history. Arguments that are no object were refused by us, and would be by the server."""
    written = call.arguments if arguments_object(call.arguments) else "{}"
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": written}}


def names_stream_options(error: ProviderError) -> bool:
    """Whether a server refuses a call because it was asked for the usage of a stream."""
    return error.status in {400, 422} and "stream_options" in error.what


def _model_info(model: dict[str, Any]) -> ModelInfo:
    facts = {**mapping(model.get("meta")), **model}  # llama.cpp keeps its own in `meta`
    sizes = [size for name in _CONTEXT_NAMES if (size := count(facts.get(name)))]
    return ModelInfo(text(model.get("id")), sizes[0] if sizes else None)
