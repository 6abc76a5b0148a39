"""Passes a client's calls through to the connected server: its bytes on, the reply's bytes back, counted on the way.

The client's own bytes are sent untouched unless its `model` stands for another one, the usage of a stream has to be
asked for, or a budget bounds the reply; then it is the same JSON with that one field changed.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import items, mapping, parse, text
from ironclaw.llm.failures import Failures
from ironclaw.llm.link import Link, Target
from ironclaw.llm.metered import OUTPUT_TOKENS, Meter, MeteredCall, is_local
from ironclaw.llm.models import Usage
from ironclaw.llm.openai import names_stream_options
from ironclaw.llm.refusals import looks_like_page
from ironclaw.llm.transport import ModelStream
from ironclaw.openai.calls import Call
from ironclaw.openai.errors import error_event
from ironclaw.openai.events import EventFilter, read_usage, size_of, usage_form
from ironclaw.openai.names import Names, answered_by
from ironclaw.values import define, frozen

_MOST_REPLY = 64 * 1024 * 1024
_AFTER_THE_END = 1.0  # seconds in which a server may end its answer after [DONE]
_SCOPE = ("v1", None)
_UNKNOWN = Usage(cost_usd=None)


@frozen
class Answer:
    """A reply that began well: its *body*, or the pieces of an event stream, which must be read or closed."""

    headers: dict[str, str]
    body: bytes | AsyncGenerator[bytes, None]


class Relay:
    """Passes calls through. It keeps what servers have shown not to know: models, and `stream_options`."""

    def __init__(self, meter: Meter, names: Names) -> None:
        self._meter = meter
        self._names = names
        self._tells_no_usage: set[str] = set()

    async def answer(self, link: Link, path: str, call: Call, *, default: bool) -> Answer | None:
        """The server's reply to a call of *path*; None where calls can't be passed through.

        *default*: a model that the server does not have is replaced by its default one. Raises *ProviderError*, and
        *BudgetSpent* instead of a call that could pass a budget.
        """
        model = self._names.meant(link.name, call.model)
        target = await link.target(model if model is not None or default else call.model)
        if target is None:
            return None
        try:
            return await self._answer(target, path, call)
        except ProviderError as error:
            usual = await link.target(None) if error.code == "model_missing" and default else None
            if usual is None or usual.model == target.model:
                raise
        self._names.is_missing(link.name, target.model)
        return await self._answer(usual, path, call)

    async def _answer(self, target: Target, path: str, call: Call) -> Answer:
        metered, more = await self._admit(target, call)
        try:
            stream, asked = await self._post(target, path, call, more)
            headers = {**answered_by(target.model), **_shown_headers(stream.headers)}
            if stream.headers.get("Content-Type", "").lower().startswith("text/event-stream"):
                passed = _Stream(target, call, metered, stream, hides_usage=asked and not call.wants_usage)
                return Answer({"Content-Type": "text/event-stream", **headers}, passed.pieces())
            body = await _Whole(target, call, metered, stream).read()
            return Answer({"Content-Type": "application/json", **headers}, body)
        except Exception:
            metered.fail()
            raise
        except BaseException:
            metered.end()  # the client has left: what the server did by then has cost something
            raise

    async def _admit(self, target: Target, call: Call) -> tuple[MeteredCall, dict[str, Any]]:
        """The call as it is counted, and what a budget adds to it."""
        if is_local(target):
            return MeteredCall(target, self._meter, _SCOPE, call.size, None), {}
        most = call.most_output
        reservation = await self._meter.reserve(target, call.size, most or OUTPUT_TOKENS * call.choices)
        more = {}
        if reservation is not None and most is None:
            # OpenAI's newer models refuse the old name; most other servers know only that.
            more = {"max_completion_tokens" if target.name == "openai" else "max_tokens": OUTPUT_TOKENS}
        return MeteredCall(target, self._meter, _SCOPE, call.size, reservation), more

    async def _post(self, target: Target, path: str, call: Call, more: Mapping[str, Any]) -> tuple[ModelStream, bool]:
        """The server's answer, and whether its usage was asked for."""
        asks = call.stream and target.endpoint.base_url not in self._tells_no_usage
        try:
            return await target.post(path, call.sent_as(target.model, usage=asks, more=more)), asks
        except ProviderError as error:
            if not (asks and names_stream_options(error)):
                raise
        self._tells_no_usage.add(target.endpoint.base_url)
        return await target.post(path, call.sent_as(target.model, usage=False, more=more)), False


@define
class _Whole:
    """A call that was answered in one piece."""

    target: Target
    call: Call
    metered: MeteredCall
    stream: ModelStream

    async def read(self) -> bytes:
        """The reply, counted. Raises *ProviderError*."""
        try:
            body = await self._read_all()
            reply = self._parse(body)
        finally:
            self.stream.close()
        self._count(reply)
        if self.call.model != self.target.model and "model" in reply:
            return orjson.dumps({**reply, "model": self.call.model})
        return body

    @property
    def _failures(self) -> Failures:
        return Failures(self.target.endpoint, self.target.model)

    async def _read_all(self) -> bytes:
        timeouts = self.target.timeouts
        body = await self.stream.read(timeouts.first_token, began=False)
        if self.stream.ended:
            return body
        whole = bytearray(body)
        while more := await self.stream.read(timeouts.between, began=True):
            whole += more
            if len(whole) > _MOST_REPLY:
                raise self._failures.unreadable("a reply that is too long")
        return bytes(whole)

    def _parse(self, body: bytes) -> dict[str, Any]:
        try:
            reply = parse(body)
        except ValueError:
            raise (
                self._failures.not_this_api()
                if looks_like_page(body)
                else self._failures.unreadable("something that is not JSON")
            ) from None
        if not isinstance(reply, dict):
            raise self._failures.unreadable("something that is not a JSON object")
        if error := reply.get("error"):
            failed = self._failures.in_stream(error)
            failed.answer = body
            raise failed
        return reply

    def _count(self, reply: dict[str, Any]) -> None:
        said = read_usage(reply.get("usage"))
        if said is None:
            choices = map(mapping, items(reply.get("choices")))
            self.metered.received = sum(size_of(one.get("message")) or len(text(one.get("text"))) for one in choices)
        self.metered.count(said or _UNKNOWN)


class _Stream:
    """A call that is answered piece by piece."""

    def __init__(
        self, target: Target, call: Call, metered: MeteredCall, stream: ModelStream, *, hides_usage: bool
    ) -> None:
        self._timeouts = target.timeouts
        self._metered = metered
        self._stream = stream
        self._began = False
        self._events = EventFilter(
            Failures(target.endpoint, target.model),
            call.model if call.model != target.model else None,
            hides_usage,
            self._usage_form if call.wants_usage else None,
        )

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The stream's bytes as they come. Raises *ProviderError* before the first; later it is the last event."""
        try:
            while (piece := await self._next()) is not None:
                if piece:
                    self._began = True
                    yield piece
        except ProviderError as error:
            if not self._began:
                self._metered.fail()
                raise
            yield b"\n" + error_event(error)
        finally:
            self._stream.close()
            self._count()

    async def _next(self) -> bytes | None:
        """What there is for the client after one more read, which may be nothing yet; None at the end."""
        events, timeouts = self._events, self._timeouts
        if events.failure is not None:
            raise events.failure
        if events.done:
            return await self._after_the_end()
        wait = timeouts.between if self._began else timeouts.first_token
        data = await self._stream.read(wait, began=self._began)
        return events.feed(data) if data else events.end()

    async def _after_the_end(self) -> bytes | None:
        """What little comes after `[DONE]`: only an answer that was read to its end leaves its connection to others."""
        with contextlib.suppress(ProviderError):
            data = b"" if self._stream.ended else await self._stream.read(_AFTER_THE_END, began=True)
            return self._events.feed(data) if data else None
        return None

    def _count(self) -> None:
        """Count the call with what is known of it, unless that is done."""
        if self._metered.settled:
            return
        self._metered.received = self._events.size
        if self._events.said is not None:
            self._metered.count(self._events.said)
        else:
            self._metered.end()

    def _usage_form(self) -> dict[str, Any]:
        """The usage by our estimate, as the client sees it."""
        self._metered.received = self._events.size
        usage = self._metered.count(_UNKNOWN)
        return usage_form(usage, estimated=self._metered.estimated)


def _shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What a client may know of the provider's answer: its rates, and its id for the request under a name of its own."""
    shown = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower.startswith("x-ratelimit-"):
            shown[name] = value
        elif lower == "x-request-id":
            shown["X-Provider-Request-Id"] = value
    return shown
