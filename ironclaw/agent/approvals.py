"""Who must be asked before a tool runs: pure policy. Waiting for the answer and keeping it is `chat/approvals.py`.

An answer is bound to the digest of one call, so that what runs is what was shown. "Always" covers a tool on one subject
(a path, a host, a command), and never what destroys.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from ironclaw import codec
from ironclaw.redact import redact
from ironclaw.tools import Approval, Risk, Tool
from ironclaw.values import frozen

_BY_RISK = {
    Risk.READ: Approval.NEVER,
    Risk.WRITE: Approval.UNLESS_REMEMBERED,
    Risk.ACT: Approval.UNLESS_REMEMBERED,
}
# Commands that destroy, run what can't be seen, or change who may do what: a person looks at each single one.
_DESTRUCTIVE = re.compile(
    r"""\b(?:rm|rmdir|shred|srm|unlink|wipefs|fdisk|parted|mkfs(?:\.\w+)?|mkswap|truncate|shutdown|reboot|poweroff|halt|kill
        |killall|pkill|sudo|su|doas|chmod|chown|chattr|passwd|userdel|crontab|iptables|nft|eval|exec|source)\b
      |\bdd\b.*\bof= | \bfind\b.*-(?:delete|exec) | \bgit\b.*\b(?:push|reset|clean|rebase)\b | \bdocker\b.*\b(?:rm|prune)\b
      |\b(?:drop|delete|truncate|alter)\s+(?:table|database|from|schema)\b
      |\b(?:ba|z|k|da|fi)?sh\s+-\w*c\b | \|\s*(?:\S*/)?(?:ba|z|k|da)?sh\b | \benv\s+-\w*S | \bbase64\b.*-d
      |>\s*/(?:dev|etc|boot|usr|bin|sbin|lib)\b | :\(\)\s*\{
    """,
    re.I | re.X | re.S,
)
# What a shell takes out before it knows the command: `r\m`, `r''m`, and a line that goes on in the next one.
_QUOTING = re.compile(r"\\\n|[\\'\"]")
# Printable in name only: they show as nothing, so they could hide text or part a word.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MOST_SUBJECT = 2000


@frozen
class Decision:
    """What to do about one call.

    *ask*: a person must allow it. *subject* is what they are shown, *always* whether they may answer "always" to it.
    """

    ask: bool
    subject: str
    digest: str
    always: bool


class Policy:
    """Decides, with what a person has answered "always" to: pairs of a tool's name and a subject."""

    def __init__(self, remembered: Iterable[tuple[str, str]] = ()) -> None:
        self._remembered = set(remembered)

    def remember(self, tool: str, subject: str) -> None:
        """Do not ask again for this tool on this subject."""
        self._remembered.add((tool, subject))

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Whether to ask before *tool* runs with *arguments*."""
        approval = tool.approval or _BY_RISK[tool.risk]
        text = _subject(tool, arguments)
        subject = visible(text)
        # What was masked, cut or written out could stand for another call, too: that is asked about each time.
        whole = subject == text
        always = approval is Approval.UNLESS_REMEMBERED and whole and not is_destructive(tool, arguments)
        ask = approval is not Approval.NEVER and not (always and (tool.name, subject) in self._remembered)
        return Decision(ask, subject, digest_of(tool.name, arguments), always)


def _subject(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """What a call acts on: the tool's own word for it, else all its arguments."""
    return tool.subject(arguments) if tool.subject is not None else canonical(arguments)


def digest_of(name: str, arguments: Mapping[str, Any]) -> str:
    """A fingerprint of exactly this call."""
    return hashlib.sha256(f"{name}\0{canonical(arguments)}".encode()).hexdigest()


def canonical(arguments: Mapping[str, Any]) -> str:
    """The arguments as JSON with sorted names."""
    return codec.dumps_sorted(dict(arguments)).decode()


def is_destructive(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    """Whether a call that acts could destroy something, as far as its text tells."""
    if tool.risk is not Risk.ACT:
        return False
    texts = _texts(arguments) if tool.subject is None else [tool.subject(arguments)]
    return any(_destroys(unicodedata.normalize("NFKC", text)) for text in texts)


def _destroys(text: str) -> bool:
    return any(_DESTRUCTIVE.search(one) for one in (text, _QUOTING.sub("", text)))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        yield " ".join(str(item) for item in value)
        for item in value:
            if not isinstance(item, str):
                yield from _texts(item)


def visible(text: str) -> str:
    """The text for people: secrets masked, and signs that don't show written out, so that nothing hides or turns around.

    Of a long one both ends, with how much is missing between them.
    """
    shown = "".join(map(_written, redact(text)))
    if len(shown) <= _MOST_SUBJECT:
        return shown
    half = _MOST_SUBJECT // 2
    return f"{shown[:half]}\n[… {len(shown) - 2 * half} characters more …]\n{shown[-half:]}"


def _written(sign: str) -> str:
    shows = sign in "\n\t" or (sign.isprintable() and not _BLANK.match(sign))
    return sign if shows else sign.encode("unicode_escape").decode()
