"""JSON in and out: the one cattrs converter, on orjson.

What a body may hold in general is decided here; what a field may hold stands at the attrs class.

Scalars are strict: 5 is not "5" and "true" is not true. Times are RFC 3339 in UTC with a `Z`.
"""

import difflib
import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin

import attrs
import orjson
from cattrs import (
    BaseConverter,
    BaseValidationError,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.orjson import make_converter

from ironclaw.errors import BadRequest, Invalid

T = TypeVar("T")

converter = make_converter(forbid_extra_keys=True)


class WrongType(ValueError):  # noqa: N818 - never leaves this module
    """A scalar of another type than the field's; the text is for people."""


def _strict(kind: type, words: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise WrongType(f"must be {words}")
        return value

    return structure


def _strict_float(value: Any, _: Any) -> float:
    if type(value) not in {int, float} or not math.isfinite(value):
        raise WrongType("must be a number")
    return float(value)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _strict_list(kind: Any, to: BaseConverter) -> Callable[[Any, Any], Any]:
    structure_items = list_structure_factory(kind, to)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise WrongType("must be a list")
        return structure_items(value, kind)

    return structure


def _choice(value: Any, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise WrongType(f"must be one of {', '.join(kind)}") from None


def format_time(moment: datetime) -> str:
    """RFC 3339 with whole seconds and a `Z`, as every time in the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def _omit_none(cls: type) -> Callable[[Any], Any]:
    """Fields that default to None are left out while they are None; all others are always there."""
    omitted = {field.name: override(omit_if_default=True) for field in attrs.fields(cls) if field.default is None}
    return make_dict_unstructure_fn(cls, converter, **omitted)  # type: ignore[arg-type]


converter.register_structure_hook(str, _strict(str, "a string"))
converter.register_structure_hook(StrEnum, _choice)
converter.register_structure_hook(bool, _strict(bool, "true or false"))
converter.register_structure_hook(int, _strict(int, "a whole number of at most 64 bits"))
converter.register_structure_hook(float, _strict_float)
converter.register_structure_hook_factory(_is_list, _strict_list)
converter.register_unstructure_hook(datetime, format_time)
converter.register_unstructure_hook_factory(attrs.has, _omit_none)


def dumps(value: Any) -> bytes:
    """JSON bytes of plain data or of attrs objects."""
    return orjson.dumps(converter.unstructure(value))


def dumps_pretty(value: Any) -> bytes:
    """The same, indented, for eyes."""
    return orjson.dumps(converter.unstructure(value), option=orjson.OPT_INDENT_2)


def dumps_sorted(value: Any) -> bytes:
    """The same with names in order: equal data gives equal bytes."""
    return orjson.dumps(converter.unstructure(value), option=orjson.OPT_SORT_KEYS)


def loads(data: bytes | str) -> Any:
    """Plain data from JSON bytes.

    Raises *BadRequest* for anything that is not JSON: NaN, lone surrogates, bad UTF-8 and nesting beyond 1,024 included.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="not_json") from None


def structure(data: Any, cls: type[T]) -> T:
    """An object of the attrs class *cls* from plain data.

    Raises *Invalid* that names the first wrong field, and for an unknown field the nearest known one.
    """
    if not isinstance(data, dict):
        raise Invalid("The body must be a JSON object.")
    try:
        return converter.structure(data, cls)
    except BaseValidationError as error:
        field, text = _first_problem(error, cls)
        sentence = text if field is None else f"`{field}` {text}"
        raise Invalid(sentence if sentence.endswith(("?", ".")) else f"{sentence}.", field=field) from None


def _first_problem(error: BaseException, cls: type, path: str = "") -> tuple[str | None, str]:
    """The first leaf of a cattrs error tree, as (dotted field, sentence)."""
    if isinstance(error, ClassValidationError | IterableValidationError):
        # A misspelt field is also a missing one; its own name is the better news.
        inner = min(error.exceptions, key=lambda one: not isinstance(one, ForbiddenExtraKeysError))
        return _first_problem(inner, cls, _longer(path, inner))
    if isinstance(error, ForbiddenExtraKeysError):
        return _unknown_field(error, path)
    if isinstance(error, KeyError):
        return _longer_name(path, str(error.args[0])), "is missing"
    if "not in literal" in str(error):
        return path or None, f"must be one of {_choices(cls, path)}"
    if isinstance(error, ValueError) and str(error):
        return path or None, str(error)
    return path or None, "has the wrong type"


def _choices(cls: type, path: str) -> str:
    """The values that a field of choices may have."""
    fields = {field.name: field.type for field in attrs.fields(attrs.resolve_types(cls))}
    return ", ".join(map(str, get_args(fields.get(path)))) or "a few fixed words"


def _longer(path: str, error: BaseException) -> str:
    for note in getattr(error, "__notes__", ()):
        name = getattr(note, "name", None)
        if name is None:
            name = getattr(note, "index", None)
        if name is not None:
            return _longer_name(path, str(name))
    return path


def _longer_name(path: str, name: str) -> str:
    return f"{path}.{name}" if path and not path.endswith(name) else name


def _unknown_field(error: ForbiddenExtraKeysError, path: str) -> tuple[str, str]:
    name = sorted(error.extra_fields)[0]
    known = [field.name for field in attrs.fields(error.cl)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"is not known; did you mean `{near[0]}`?" if near else f"is not known; known are {', '.join(known)}"
    return _longer_name(path, name), hint
