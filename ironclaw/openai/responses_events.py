"""A reply as the events of `/v1/responses`, in the order in which OpenAI sends them, and as the object they build up.

An event is plain data that is true when it is given: the items that it shows go on to grow.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ironclaw.errors import IronclawError
from ironclaw.llm.models import Delta, Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage, Waiting
from ironclaw.openai.errors import error_of
from ironclaw.values import define

Event = dict[str, Any]

_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_WHY = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TEXT = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
_THOUGHT = {"type": "reasoning_text", "text": ""}


def new_response_id() -> str:
    """An id that nobody has yet."""
    return f"resp_{uuid.uuid4().hex}"


@define
class _Item:
    """One item of the output that is not complete yet. *text* are the pieces of its text or arguments."""

    index: int
    form: dict[str, Any]
    text: list[str] = attrs.Factory(list)

    @property
    def whole(self) -> str:
        return "".join(self.text)

    @property
    def place(self) -> dict[str, Any]:
        return {"item_id": self.form["id"], "output_index": self.index}


class ResponseBuilder:
    """Builds one response; each method gives the events that are due."""

    def __init__(self, response_id: str, asked: Mapping[str, Any]) -> None:
        self.output: list[dict[str, Any]] = []
        self._response: dict[str, Any] = {
            "id": response_id,
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": asked["model"],
            "output": self.output,
            "usage": None,
        }
        for name, usual in _ECHOED.items():
            self._response[name] = usual if asked.get(name) is None else asked[name]
        self._number = 0
        self._speech: _Item | None = None
        self._calls: dict[int, _Item] = {}

    @property
    def response(self) -> dict[str, Any]:
        """The response as it is so far."""
        return {**self._response, "output": list(self.output)}

    @property
    def said(self) -> list[dict[str, Any]]:
        """What was said, as messages of a chat completion."""
        texts = [item["content"][0]["text"] for item in self.output if item["type"] == "message"]
        calls = [
            {
                "id": item["call_id"],
                "type": "function",
                "function": {name: item[name] for name in ("name", "arguments")},
            }
            for item in self.output
            if item["type"] == "function_call"
        ]
        if not texts and not calls:
            return []
        more = {"tool_calls": calls} if calls else {}
        return [{"role": "assistant", "content": "\n\n".join(texts) or None, **more}]

    def begin(self) -> list[Event]:
        """The first events."""
        return [self._event(f"response.{name}", response=self.response) for name in ("created", "in_progress")]

    def take(self, delta: Delta) -> Iterator[Event]:
        """The events of one piece of the reply."""
        match delta:
            case TextDelta(text):
                yield from self._speak("message", text)
            case ReasoningDelta(text):
                yield from self._speak("reasoning", text)
            case ToolCallDelta():
                yield from self._call(delta)
            case Finished(reason, usage):
                yield from self._finish(reason, usage)
            case Waiting():
                pass

    def fail(self, error: IronclawError) -> Event:
        """The last event of a reply that broke off."""
        words = error_of(error)
        code = words.code if words.code == "rate_limit_exceeded" else "server_error"
        self._response |= {"status": "failed", "error": {"code": code, "message": words.message}}
        return self._event("response.failed", response=self.response)

    def _event(self, kind: str, **fields: Any) -> Event:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event

    # Items

    def _open(self, kind: str, **fields: Any) -> tuple[_Item, Event]:
        prefix = {"message": "msg", "reasoning": "rs"}.get(kind, "fc")
        form = {"id": f"{prefix}_{uuid.uuid4().hex}", "type": kind, "status": "in_progress", **fields}
        item = _Item(len(self.output), form)
        self.output.append(form)
        return item, self._event("response.output_item.added", output_index=item.index, item=dict(form))

    def _speak(self, kind: str, text: str) -> Iterator[Event]:
        """Some more text of a message, or of what the model thinks."""
        if self._speech is None or self._speech.form["type"] != kind:
            yield from self._close_speech("completed")
            more: dict[str, Any] = {"role": "assistant"} if kind == "message" else {"summary": []}
            self._speech, added = self._open(kind, content=[], **more)
            yield added
            part = _TEXT if kind == "message" else _THOUGHT
            yield self._event("response.content_part.added", **self._speech.place, content_index=0, part=part)
        self._speech.text.append(text)
        yield self._part_event(self._speech, "delta", delta=text)

    def _part_event(self, item: _Item, step: str, **fields: Any) -> Event:
        is_message = item.form["type"] == "message"
        more: dict[str, Any] = {"logprobs": []} if is_message else {}
        name = "output_text" if is_message else "reasoning_text"
        return self._event(f"response.{name}.{step}", **item.place, content_index=0, **fields, **more)

    def _close_speech(self, status: str) -> Iterator[Event]:
        item, self._speech = self._speech, None
        if item is None:
            return
        part = {**(_TEXT if item.form["type"] == "message" else _THOUGHT), "text": item.whole}
        item.form |= {"status": status, "content": [part]}
        yield self._part_event(item, "done", text=item.whole)
        yield self._event("response.content_part.done", **item.place, content_index=0, part=part)
        yield self._event("response.output_item.done", output_index=item.index, item=item.form)

    def _call(self, delta: ToolCallDelta) -> Iterator[Event]:
        yield from self._close_speech("completed")
        item = self._calls.get(delta.index)
        if item is None:
            call_id = delta.call_id or f"call_{uuid.uuid4().hex}"
            item, added = self._open("function_call", call_id=call_id, name=delta.name or "", arguments="")
            self._calls[delta.index] = item
            yield added
        item.form["name"] = delta.name or item.form["name"]
        item.text.append(delta.arguments)
        if delta.arguments:
            yield self._event("response.function_call_arguments.delta", **item.place, delta=delta.arguments)

    def _close_call(self, item: _Item, status: str) -> Iterator[Event]:
        item.form |= {"status": status, "arguments": item.whole}
        more = {"name": item.form["name"], "arguments": item.whole}
        yield self._event("response.function_call_arguments.done", **item.place, **more)
        yield self._event("response.output_item.done", output_index=item.index, item=item.form)

    def _finish(self, reason: str, usage: Usage) -> Iterator[Event]:
        why = _WHY.get(reason)
        status = "incomplete" if why else "completed"
        yield from self._close_speech(status)
        for _, item in sorted(self._calls.items()):
            yield from self._close_call(item, status)
        self._response |= {"status": status, "usage": usage_form(usage)}
        if why:
            self._response["incomplete_details"] = {"reason": why}
        yield self._event(f"response.{status}", response=self.response)


def usage_form(usage: Usage) -> dict[str, Any]:
    """Usage as `/v1/responses` writes it."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
