"""A client's call in OpenAI's protocol: checked, not rebuilt. What a field means beyond these checks, servers know."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import orjson

from ironclaw import codec
from ironclaw.errors import BadRequest, Invalid
from ironclaw.llm.chunks import count, mapping
from ironclaw.llm.estimates import PICTURE
from ironclaw.values import frozen

_LONGEST_MODEL = 500
_DEEPEST = 200  # objects and lists in each other, of which JSON is written up to 254
_BIGGEST = float(1 << 63)
_OUTPUT_FIELDS = ("max_completion_tokens", "max_tokens")
_OPTIONS = (
    "temperature",
    "top_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "response_format",
    "reasoning_effort",
    "verbosity",
)


@frozen
class Writing:
    """How a client wants the replies of a model: OpenAI's *options*, and at most so many tokens."""

    options: Mapping[str, Any] = attrs.field(factory=dict)
    most_output: int | None = None


@frozen(kw_only=True)
class Call:
    """One call: the client's own bytes, and what they say."""

    raw: bytes = attrs.field(repr=False)
    fields: Mapping[str, Any] = attrs.field(repr=False)
    model: str

    @property
    def stream(self) -> bool:
        """Whether the reply is to come piece by piece."""
        return self.fields.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with the usage."""
        return mapping(self.fields.get("stream_options")).get("include_usage") is True

    @property
    def most_output(self) -> int | None:
        """How many tokens the reply may have, all its choices together; None where the call does not say it."""
        most = self.writing.most_output
        return most and most * self.choices

    @property
    def choices(self) -> int:
        """How many replies it asks for."""
        return count(self.fields.get("n")) or 1

    @property
    def writing(self) -> Writing:
        """How the replies are to be, for whoever writes them in place of a server of OpenAI's protocol."""
        given = {name: self.fields[name] for name in _OPTIONS if self.fields.get(name) is not None}
        most = next((one for name in _OUTPUT_FIELDS if (one := count(self.fields.get(name)))), None)
        return Writing(given, most)

    def size(self) -> int:
        """The bytes that a model gets to read, about: pictures count as a page of text."""
        size = len(self.raw)
        for value in _values(self.fields):
            if isinstance(value, str) and len(value) > PICTURE and value.startswith("data:"):
                size += PICTURE - len(value)
        return size

    def sent_as(self, model: str, *, usage: bool, more: Mapping[str, Any]) -> bytes:
        """The bytes to send on: the client's own, or, where something must differ, the same JSON with that changed.

        *usage* says whether a stream is to end with the usage; *more* has fields that the client did not give.
        """
        changed = dict(more) if model == self.model else {"model": model, **more}
        options = dict(mapping(self.fields.get("stream_options")))
        if usage != self.wants_usage:
            options["include_usage"] = usage
            changed["stream_options"] = options
        if not changed:
            return self.raw
        fields = {**self.fields, **changed}
        if options == {"include_usage": False}:
            del fields["stream_options"]
        return orjson.dumps(fields)


def parse_call(raw: bytes, needs: str) -> Call:
    """The call in a body that must have a `model` and *needs*. Of a name that comes twice the last one counts.

    Raises *BadRequest* for what is no JSON object of numbers with 64 bits, *Invalid* that names the wrong field.
    """
    fields = read_object(raw)
    if any(type(value) is float and abs(value) >= _BIGGEST for value in _values(fields)):
        raise BadRequest("The body holds a number that does not fit into 64 bits.", code="number_too_large")
    _check_types(fields)
    if fields.get(needs) in (None, [], ""):
        raise _missing(needs)
    return Call(raw=raw, fields=fields, model=fields["model"])


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises *BadRequest* for anything else, and for one that could not be written again."""
    fields = codec.loads(raw)
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object.", code="not_json")
    if raw.count(b"{") + raw.count(b"[") > _DEEPEST:
        try:
            orjson.dumps(fields)
        except TypeError:
            raise BadRequest("The body is nested too deeply.", code="nested_too_deeply") from None
    return fields


def _check_types(fields: dict[str, Any]) -> None:
    """Raises *Invalid* for a field that we read and that has the wrong type."""
    model = fields.get("model")
    if model is None or model == "":
        raise _missing("model")
    if not isinstance(model, str) or len(model) > _LONGEST_MODEL or not model.isprintable():
        raise Invalid("`model` must be a model's name.", field="model", code="invalid_type")
    if not isinstance(fields.get("stream"), bool | None):
        raise Invalid("`stream` must be true or false.", field="stream", code="invalid_type")
    if not isinstance(fields.get("stream_options"), dict | None):
        raise Invalid("`stream_options` must be an object.", field="stream_options", code="invalid_type")
    messages = fields.get("messages", [])
    if not isinstance(messages, list):
        raise Invalid("`messages` must be a list.", field="messages", code="invalid_type")
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise Invalid(f"`messages[{at}]` must be an object.", field=f"messages[{at}]", code="invalid_type")


def _missing(name: str) -> Invalid:
    return Invalid(f"`{name}` is missing.", field=name, code="missing_required_parameter")


def _values(fields: Mapping[str, Any]) -> Iterator[Any]:
    """All values at any depth. Not recursive: JSON may be deeper than Python's stack."""
    waiting: list[Any] = [fields]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            waiting.extend(value.values())
        elif type(value) is list:
            waiting.extend(value)
        else:
            yield value
