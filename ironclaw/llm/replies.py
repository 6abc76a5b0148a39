"""A reply as it comes in from a model's server: what all protocols share. What one line means is known to the protocols."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Literal

import attrs

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import arguments, mapping, text
from ironclaw.llm.endpoint import Endpoint, Timeouts
from ironclaw.llm.estimates import bytes_of_delta, likely_tokens
from ironclaw.llm.failures import Failures
from ironclaw.llm.models import Delta, Finished, ToolCallDelta, Usage
from ironclaw.llm.transport import ModelStream
from ironclaw.values import define

Reason = Literal["stop", "length", "tool_calls", "content_filter"]

_MOST_CALLS = 128
_LONGEST_NAME = 256
_FIRST_TOKEN_LOCAL = 300.0  # seconds: a model at home may have to be read from a slow disk
_AFTER_THE_END = 10.0  # seconds that the usage may come after the finish


def patience(endpoint: Endpoint, timeouts: Timeouts) -> Timeouts:
    """The timeouts in force for a server: a local one is waited for longer."""
    if not endpoint.local:
        return timeouts
    return attrs.evolve(timeouts, first_token=max(timeouts.first_token, _FIRST_TOKEN_LOCAL))


@define
class Counted:
    """What the server says that it used. None: it did not say, or what it said can't be true.

    Servers that count along send it again and again; the largest counts, so that a cost never falls.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None

    def add(
        self,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Take note of one more statement."""
        self.input_tokens = _larger(self.input_tokens, input_tokens)
        self.output_tokens = _larger(self.output_tokens, output_tokens)
        self.cached_tokens = max(self.cached_tokens, cached_tokens or 0)
        self.reasoning_tokens = max(self.reasoning_tokens, reasoning_tokens or 0)
        self.cost_usd = cost_usd if self.cost_usd is None else max(self.cost_usd, cost_usd or 0.0)


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else max(one, other or 0)


@define
class _Call:
    call_id: str = ""
    name: str = ""


@define
class Calls:
    """Which call a piece belongs to. Some servers give no index, some the same to all, some repeat the name."""

    failures: Failures
    _calls: list[_Call] = attrs.Factory(list)
    _places: dict[int, int] = attrs.Factory(dict)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, piece: dict[str, Any]) -> ToolCallDelta:
        """One entry of `tool_calls`. A name that comes in pieces is given again as far as it is known."""
        function = mapping(piece.get("function"))
        call_id = text(piece.get("id"))[:_LONGEST_NAME]
        name = text(function.get("name"))
        place = self._place(piece.get("index"), call_id, name)
        call = self._calls[place]
        new_id = None if call_id == call.call_id else call_id or None
        call.call_id = call_id or call.call_id
        new_name = None
        if name and name != call.name:
            new_name = call.name = (call.name + name)[:_LONGEST_NAME]
        return ToolCallDelta(place, arguments(function.get("arguments")), new_id, new_name)

    def _place(self, index: object, call_id: str, name: str) -> int:
        number = index if type(index) is int else None
        place = self._find(number, call_id, name)
        if place is None:
            if len(self._calls) == _MOST_CALLS:
                raise self.failures.unreadable(f"more than {_MOST_CALLS} tool calls in one reply")
            place = len(self._calls)
            self._calls.append(_Call())
        if number is not None:
            self._places[number] = place
        return place

    def _find(self, number: int | None, call_id: str, name: str) -> int | None:
        """The place of the call that a piece goes on with; None for a new call."""
        if number is not None:
            place = self._places.get(number)
            other = place is not None and call_id and name and self._calls[place].call_id not in {"", call_id}
            return None if other else place
        if call_id:
            return next((place for place, call in enumerate(self._calls) if call.call_id == call_id), None)
        return None if name or not self._calls else len(self._calls) - 1


class Reply(ABC):
    """A reply as far as it has come.

    *reason* is set once the model has finished, *done* once nothing more can come. *request_size* is in bytes; tokens that
    the server does not count are estimated, or they would be free.
    """

    def __init__(self, failures: Failures, request_size: int) -> None:
        self.failures = failures
        self.calls = Calls(failures)
        self.counted = Counted()
        self.reason: Reason | None = None
        self.began = False
        self.done = False
        self._request_size = request_size
        self._size = 0

    @abstractmethod
    def take(self, line: bytes) -> Iterable[Delta]:
        """What one line brings. Raises `ProviderError`."""

    def end(self) -> Iterable[Delta]:
        """What is known only when no more lines come. Raises `ProviderError`."""
        return ()

    def note(self, delta: Delta) -> None:
        """Take note of what is given out."""
        self.began = True
        self._size += bytes_of_delta(delta)

    def finished(self) -> Finished:
        """The end of the reply. Raises `ProviderError` when the model had not finished."""
        if self.reason is None:
            raise self.failures.cut_off()
        reason: Reason = "tool_calls" if self.calls and self.reason == "stop" else self.reason
        return Finished(reason, self._usage())

    def _usage(self) -> Usage:
        counted = self.counted
        input_tokens = _or_estimate(counted.input_tokens, self._request_size)
        output_tokens = _or_estimate(counted.output_tokens, self._size)
        return Usage(
            input_tokens,
            output_tokens,
            0.0 if self.failures.endpoint.local else counted.cost_usd,
            min(counted.cached_tokens, input_tokens),
            min(counted.reasoning_tokens, output_tokens),
        )


def _or_estimate(counted: int | None, size: int) -> int:
    return max(1, likely_tokens(size)) if counted is None else counted


async def read_reply(stream: ModelStream, reply: Reply, timeouts: Timeouts) -> AsyncGenerator[Delta, None]:
    """The reply, piece by piece as it comes; closes the stream at its end. Raises `ProviderError`."""
    try:
        while not reply.done and (lines := await _next_lines(stream, reply, timeouts)):
            for line in lines:
                for delta in reply.take(line):
                    reply.note(delta)
                    yield delta
        for delta in reply.end():
            reply.note(delta)
            yield delta
    finally:
        stream.close()
    yield reply.finished()


async def _next_lines(stream: ModelStream, reply: Reply, timeouts: Timeouts) -> list[bytes]:
    """The next lines; none at the end. Once the model has finished, it no longer matters how the connection ends."""
    if reply.reason is None:
        return await stream.lines(timeouts.between if reply.began else timeouts.first_token, began=reply.began)
    try:
        return await stream.lines(min(timeouts.between, _AFTER_THE_END), began=True)
    except ProviderError:
        return []
