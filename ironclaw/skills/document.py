"""Reads a SKILL.md: YAML front matter between `---` lines, then instructions in markdown (agentskills.io/specification).

Tolerant where files found in public differ (line ends, byte order mark, titles as names, lists written as text, plain
colons in a description), and strict about what could mean two things. It says why it refuses one.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from ironclaw.errors import Invalid
from ironclaw.skills import names
from ironclaw.skills.models import MAIN, MOST_MAIN, Document

MOST_FRONT_MATTER = 16 * 1024
MOST_DESCRIPTION = 4096
_MOST_WORDS = 30
_MOST_WORD = 64
_MOST_VERSION = 64
_DEEPEST = 12

_FRONT_MATTER = re.compile(r"\s*^---[ \t]*\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)(?P<body>.*)\Z", re.M | re.S)
_PLAIN_LINE = re.compile(r"(?P<key>[A-Za-z][\w-]*):[ ]+(?P<value>[^\s'\"|>&{\[].*)")
_SPACES = re.compile(r"\s+")


def parse(data: bytes, *, name: str | None = None) -> Document:
    """What the file says; *name* is what it is called where it does not say so itself.

    Raises *Invalid* with the reason, its field `content`.
    """
    text = _text_of(data)
    found = _FRONT_MATTER.match(text)
    if found is None:
        raise _refused("does not begin with front matter: a line `---`, then name and description, then a line `---`")
    fields = _fields(found["yaml"])
    instructions = found["body"].strip()
    if not instructions:
        raise _refused("has no instructions below its front matter")
    return Document(
        name=_name(fields, name),
        description=_description(fields),
        version=_version(fields),
        tags=_words(fields, ("tags",), ("metadata", "tags"), ("activation", "tags")),
        keywords=_words(fields, ("keywords",), ("triggers",), ("activation", "keywords"), ("metadata", "keywords")),
        allowed_tools=_words(fields, ("allowed-tools",), ("allowed_tools",), ("tools",)),
        instructions=instructions,
    )


def _refused(reason: str) -> Invalid:
    return Invalid(f"{MAIN} {reason}.", field="content", code="bad_skill")


def _text_of(data: bytes) -> str:
    if len(data) > MOST_MAIN:
        raise _refused(f"is larger than {MOST_MAIN // 1024} KiB; move details into files beside it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused("is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(f"is not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise _refused("holds a NUL character")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


# The front matter


def _fields(text: str) -> Mapping[str, Any]:
    if len(text) > MOST_FRONT_MATTER:
        raise _refused(f"has more than {MOST_FRONT_MATTER // 1024} KiB of front matter")
    try:
        fields = load_yaml(text)
    except Invalid as error:
        # `description: Use when: it rains` is everywhere, and every reader but YAML knows what it means.
        quoted = _quoted(text)
        if quoted == text:
            raise
        try:
            fields = load_yaml(quoted)
        except Invalid:
            raise error from None
    if not isinstance(fields, dict):
        raise _refused("has front matter that is no list of `name: value` lines")
    return fields


def _quoted(text: str) -> str:
    """The front matter with its plain values of one line in quotes."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        found = _PLAIN_LINE.fullmatch(line.rstrip())
        goes_on = at + 1 < len(lines) and lines[at + 1].startswith((" ", "\t"))
        if found is not None and not goes_on:
            lines[at] = f"{found['key']}: {json.dumps(found['value'], ensure_ascii=False)}"
    return "\n".join(lines)


def load_yaml(text: str) -> Any:
    """YAML as strings, lists and dicts of strings; no tag makes an object, no alias multiplies, no key comes twice.

    Raises *Invalid* with the line.
    """
    import yaml  # noqa: PLC0415 - only where a skill is read

    class Loader(yaml.BaseLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.MarkedYAMLError(problem="has an alias (*), which is not read", problem_mark=self._mark())
            self.depth += 1
            if self.depth > _DEEPEST:
                raise yaml.MarkedYAMLError(problem="is nested too deep", problem_mark=self._mark())
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

        def _mark(self) -> Any:
            return self.peek_event().start_mark  # type: ignore[no-untyped-call]

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(keys) != len(node.value):
                raise yaml.MarkedYAMLError(problem="has a key that is no word", problem_mark=node.start_mark)
            if len(set(keys)) < len(keys):
                raise yaml.MarkedYAMLError(
                    problem="has a list of values that says a key twice", problem_mark=node.start_mark
                )
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a BaseLoader makes nothing but strings, lists and dicts
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 2}" if error.problem_mark else "somewhere"
        raise _refused(f"has front matter that is not YAML: {line} {error.problem or 'can not be read'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is nested too deep"
        raise _refused(f"has front matter that is not YAML: {reason}") from None


def _name(fields: Mapping[str, Any], fallback: str | None) -> str:
    name = names.name_of(_line(fields, "name") or fallback or "")
    if not name:
        raise _refused("has no `name`")
    if problem := names.problem_of(name):
        raise _refused(f"has the name {name[:80]!r}, but a name {problem}")
    return name


def _description(fields: Mapping[str, Any]) -> str:
    text = _line(fields, "description")
    if not text:
        raise _refused("has no `description`: one sentence on what it does and when to use it")
    if len(text) > MOST_DESCRIPTION:
        raise _refused(f"has a description of more than {MOST_DESCRIPTION} characters")
    return text


def _version(fields: Mapping[str, Any]) -> str:
    more = fields.get("metadata")
    text = _line(fields, "version") or (_line(more, "version") if isinstance(more, dict) else "")
    if len(text) > _MOST_VERSION:
        raise _refused(f"has a version of more than {_MOST_VERSION} characters")
    return text or "0.0.0"


def _line(fields: Mapping[str, Any], key: str) -> str:
    """A text in one line; empty where there is none."""
    value = fields.get(key) or ""
    if not isinstance(value, str):
        raise _refused(f"has a `{key}` that is no text")
    return _SPACES.sub(" ", value).strip()


def _words(fields: Mapping[str, Any], *paths: tuple[str, ...]) -> tuple[str, ...]:
    """The words of the first of *paths* that is there: a list, or a text with commas or else spaces between them."""
    for path in paths:
        value: Any = fields
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value:
            return _listed(value, path[-1])
    return ()


def _listed(value: Any, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _refused(f"has `{key}` that are no list of words")
    words = [one for word in value if (one := _SPACES.sub(" ", word).strip())]
    if len(words) > _MOST_WORDS or any(len(word) > _MOST_WORD for word in words):
        raise _refused(f"has more `{key}` than {_MOST_WORDS}, or one of more than {_MOST_WORD} characters")
    return tuple(dict.fromkeys(words))
