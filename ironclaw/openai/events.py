"""A provider's event stream on its way to a client: forwarded as it is, each event looked at once.

Bytes leave in whole lines, so that what must be said at the end never lands in the middle of one.
"""

from collections.abc import Callable
from typing import Any

import attrs
import orjson

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import count, dollars, items, mapping, text
from ironclaw.llm.failures import Failures
from ironclaw.llm.models import Usage
from ironclaw.values import define

LONGEST_LINE = 32 * 1024 * 1024  # bytes: a picture may come in one
DONE = b"data: [DONE]\n\n"
_GOES_ON = b'"finish_reason":null'
_PIECE = 1024  # bytes that are looked at together, once it is known how an event of the stream looks


@define
class EventFilter:
    """Takes a stream's bytes, gives the bytes for the client, and knows what they said.

    *shown* is the model's name that the client must see, None to leave it. *hides_usage*: the usage was asked for by us,
    and the client does not get it. *counted* gives the usage as the client is to see it, where it asked for it (else
    None) and the provider says none. *failure* is set once the stream has broken.
    """

    failures: Failures
    shown: str | None
    hides_usage: bool
    counted: Callable[[], dict[str, Any]] | None
    said: Usage | None = None
    size: int = 0
    finished: bool = False
    done: bool = False
    failure: ProviderError | None = None
    _rest: bytearray = attrs.Factory(bytearray)
    _first: dict[str, Any] = attrs.Factory(dict)
    _envelope: int = 0  # bytes around the text of an event of this stream, the empty line included
    _goes_on: bytes = b""  # how a choice that goes on is written in this stream

    def feed(self, data: bytes) -> bytes:
        """The lines that *data* completes, as they go on."""
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._rest += data
            if len(self._rest) > LONGEST_LINE:
                self.failure = self.failures.unreadable("a line that is too long")
            return b""
        block = data[:cut]
        if self._rest:
            block = bytes(self._rest) + block
        self._rest = bytearray(data[cut:])
        return self._look(block)

    def end(self) -> bytes:
        """What is still to be said once no more bytes come."""
        rest = self._look(bytes(self._rest) + b"\n") if _is_whole(self._rest) else b""
        if not self.done and self.failure is None:
            if not self.finished:
                self.failure = self.failures.cut_off()
                return rest
            self.done = True
            rest += b"\n" + self._last_words() + DONE
        return rest

    def _look(self, block: bytes) -> bytes:
        """Look at each event of some whole lines; they stay the same bytes unless one must change."""
        if self.shown is not None:
            return self._look_closely(block)
        seen: list[bytes] = []
        at = 0
        while at < len(block) and self.failure is None:
            end = block.find(b"\n", at + (_PIECE if self._envelope else 0)) + 1 or len(block)
            piece = block[at:end]
            seen.append(piece if self._says_only_more(piece) else self._look_closely(piece))
            at = end
        return b"".join(seen)

    def _says_only_more(self, piece: bytes) -> bool:
        """Whether every event brings nothing but text: it has one choice that goes on, and no usage. If so it is counted.

        Found without reading them as JSON, which would take most of the time of a call. A field's name in its quotes is
        that field: inside of text they would be escaped. An error or `[DONE]` is an event with no choice that goes on.
        """
        if not self._envelope:
            return False
        events = piece.count(b"data:")
        if events != piece.count(self._goes_on) or b'"usage":{' in piece or b'"usage": {' in piece:
            return False
        self.size += max(0, len(piece) - events * self._envelope) if events else 0
        return True

    def _look_closely(self, block: bytes) -> bytes:
        kept: list[bytes] = []
        changed = hidden = False
        for line in block.split(b"\n"):
            seen = self._event(line) if line.startswith(b"data:") else line
            if self.failure is not None:
                return b"\n".join([*kept, b""]) if kept else b""
            ends_hidden, hidden = hidden and not line.strip(), bool(line) and not seen
            if ends_hidden or hidden:
                changed = True
            else:
                changed = changed or seen is not line
                kept.append(seen)
        return b"\n".join(kept) if changed else block

    def _event(self, line: bytes) -> bytes:
        """The line as it goes on; nothing for one that the client does not get."""
        payload = line[5:]
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return self._no_json(line, payload)
        if type(chunk) is not dict:
            return line
        if (error := chunk.get("error")) or chunk.get("object") == "error":
            self._break(error or chunk)
            return line
        if not self._first:
            self._first = {name: chunk.get(name) for name in ("id", "created", "model")}
        before = self.size
        for choice in chunk.get("choices") or ():
            self._choice(choice)
        if self.size > before and not self._envelope:
            self._envelope = len(line) + 2 - (self.size - before)
            self._goes_on = _GOES_ON if _GOES_ON in line else _GOES_ON.replace(b":", b": ")
        if (usage := chunk.get("usage")) is not None:
            self.said = read_usage(usage) or self.said
            if self.hides_usage and not chunk.get("choices"):
                return b""
        if self.shown is not None:
            return b"data: " + orjson.dumps({**chunk, "model": self.shown})
        return line

    def _no_json(self, line: bytes, payload: bytes) -> bytes:
        if payload.strip() != b"[DONE]":
            return line
        self.done = True
        return self._last_words() + line

    def _last_words(self) -> bytes:
        """The usage, where the client asked for it and the provider did not say it."""
        if self.counted is None or self.said is not None:
            return b""
        model = self._first.get("model") if self.shown is None else self.shown
        base = {"object": "chat.completion.chunk", **self._first, "model": model}
        return b"data: %s\n\n" % orjson.dumps({**base, "choices": [], "usage": self.counted()})

    def _choice(self, choice: Any) -> None:
        if type(choice) is not dict:
            return
        if choice.get("finish_reason"):
            self.finished = True
        self.size += size_of(choice.get("delta")) or len(text(choice.get("text")))

    def _break(self, error: Any) -> None:
        self.failure = self.failures.in_stream(error)
        self.failure.answer = orjson.dumps({"error": error})


def _is_whole(line: bytearray) -> bool:
    """Whether the last line of a stream lacks nothing but its end."""
    payload = line[5:].strip()
    try:
        return payload == b"[DONE]" or bool(orjson.loads(payload))
    except orjson.JSONDecodeError:
        return False


def size_of(message: Any) -> int:
    """Characters that a model wrote in a message or a piece of one."""
    if type(message) is not dict:
        return 0
    size = len(text(message.get("content")) or text(message.get("reasoning_content")) or text(message.get("reasoning")))
    for call in items(message.get("tool_calls")):
        function = mapping(mapping(call).get("function"))
        size += len(text(function.get("name"))) + len(text(function.get("arguments")))
    return size


def read_usage(value: Any) -> Usage | None:
    """A provider's `usage`; None for what can't be one."""
    said = mapping(value)
    input_tokens = count(said.get("prompt_tokens"))
    if input_tokens is None:
        return None
    return Usage(
        input_tokens,
        count(said.get("completion_tokens")) or 0,
        dollars(said.get("cost")),
        count(mapping(said.get("prompt_tokens_details")).get("cached_tokens")) or 0,
        count(mapping(said.get("completion_tokens_details")).get("reasoning_tokens")) or 0,
    )


def usage_form(usage: Usage, *, estimated: bool = False) -> dict[str, Any]:
    """Usage as OpenAI writes it; what is our own estimate says so."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        **({"estimated": True} if estimated else {}),
    }
