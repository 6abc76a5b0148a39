"""Looks through the files of a skill for what a person should see before they enable it. A list of patterns, no proof.

`danger`: what attacks look like; `warning`: what they often hide in; `note`: worth knowing. Every pattern looks at a
bounded stretch, and a file is taken in pieces: no text, whatever it is, holds the program up.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

from ironclaw.redact import printable
from ironclaw.skills.models import Finding, Severity
from ironclaw.values import frozen

MOST_FINDINGS = 100
_MOST_OF_A_KIND = 5  # in one file
_MOST_SCANNED = 256 * 1024  # characters of one file
_PIECE = 4096
_OVERLAP = 512
_EXCERPT = 160
_SHORTEST_COMMENT = 20

_FETCH = r"\b(?:curl|wget|fetch|aria2c|iwr|irm|Invoke-WebRequest|Invoke-RestMethod)\b"
_SHELL = r"(?:(?:ba|z|k|da|fi|a|c|tc)?sh|python[\d.]{0,6}|perl|ruby|node|php|pwsh|powershell|iex|Invoke-Expression)\b"
_WITH = r"(?:sudo\s+(?:-\w+\s+){0,4}|env\s+(?:\w+=\S{0,80}\s+){0,4}|xargs\s+){0,3}"
_RUN = rf"{_WITH}(?:[\w./~-]{{0,60}}/)?{_SHELL}"
_URL_END = r"""[^\s"'<>)\]]{0,200}"""


@frozen
class _Rule:
    severity: Severity
    kind: str
    message: str
    pattern: "re.Pattern[str]"


def _rule(severity: Severity, kind: str, message: str, pattern: str) -> _Rule:
    return _Rule(severity, kind, message, re.compile(pattern, re.I | re.X))


_RULES = (
    _rule(
        "danger",
        "pipe-to-shell",
        "Runs what it loads from the net, unseen.",
        rf"""{_FETCH}[^\n]{{0,300}}?\|\s*{_RUN}
          | (?:\b{_SHELL}|\bsource|\beval|(?<=\s)\.)\s+(?:-\w+\s+){{0,4}}["']?(?:<\(|\$\(|`)\s*{_FETCH}
          | {_FETCH}[^\n]{{0,200}}?(?:\s-\w{{0,6}}[oO]|>)\s*(?P<file>[\w./-]{{1,60}})[^\n]{{0,60}}?(?:&&|;|\|\|)\s*
            (?:sudo\s+)?(?:{_SHELL}\s+|chmod\s+\S{{1,10}}\s+|\./)(?:\./)?(?P=file)
          | \biex\b[^\n]{{0,80}}?(?:DownloadString|{_FETCH})""",
    ),
    _rule(
        "danger",
        "decode-and-run",
        "Runs what it decodes, so that it can't be read here.",
        rf"""\b(?:base64\s+(?:-d|-D|--decode)|xxd\s+-r)\b[^\n]{{0,200}}?\|\s*{_RUN}
          | \b(?:exec|eval)\s*\(\s*[^\n]{{0,80}}?(?:b64decode|atob|fromCharCode|decompress|unhexlify|codecs\.decode)""",
    ),
    _rule(
        "danger",
        "override",
        "Tells the assistant to disregard its rules, or to keep something from you.",
        r"""\b(?:ignore|disregard|forget|override)\b[^\n.]{0,40}?\b(?:previous|prior|above|earlier|system|other|all)\b
            [^\n.]{0,30}?\b(?:instructions?|rules|prompts?|guidelines)\b
          | \b(?:do\s+not|don't|never|without)\b[^\n.]{0,20}?\b(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?|ask(?:ing)?
            |show(?:ing)?|reveal(?:ing)?)\b[^\n.]{0,30}?\b(?:user|human|owner|them)\b""",
    ),
    _rule(
        "danger",
        "destructive",
        "Deletes or overwrites without a way back.",
        r"""\brm\s+(?=[^\n]{0,40}?-\w{0,6}r)(?:-[\w-]{1,30}\s+){1,5}["']?(?:/|~|\$HOME)(?:["'\s/*]|$)
          | \bmkfs(?:\.\w+)?\s+/dev/ | \bdd\b[^\n]{0,80}?\bof=/dev/ | :\(\)\s*\{\s*:\|:""",
    ),
    _rule(
        "warning",
        "secrets",
        "Speaks of places where keys and passwords are kept.",
        r"""(?:~|\$HOME|/home/[\w*]{1,40}|/root)/\.(?:ssh|aws|gnupg|netrc|kube|docker|config/gcloud
            |ironclaw/(?:token|secrets|ironclaw\.db))\b
          | \bid_(?:rsa|ed25519)\b | /etc/shadow\b | \bGATEWAY_AUTH_TOKEN\b | \bsecrets\.key\b
          | (?:^|[\s"'/`])\.env(?![\w.-]) | \b(?:LLM|OPENAI|ANTHROPIC)_API_KEY\b""",
    ),
    _rule(
        "warning",
        "raw-script-link",
        "Links to a script or program that could be different tomorrow.",
        rf"""https?://[^\s"'<>)\]]{{1,300}}?
            \.(?:sh|bash|zsh|ps1|bat|cmd|exe|msi|dmg|pkg|appimage|jar|py|pl|rb|js|run|bin)(?=[\s"'<>)\]?\#]|$)
          | https?://(?:raw\.githubusercontent\.com|gist\.githubusercontent\.com|pastebin\.com/raw|paste\.\w{{1,20}}
            |transfer\.sh|[\w.-]{{1,60}}\.ngrok|[\w.-]{{1,60}}\.trycloudflare\.com|(?:\d{{1,3}}\.){{3}}\d{{1,3}}){_URL_END}""",
    ),
    _rule(
        "warning",
        "encoded",
        "Holds a long piece of encoded data that can't be read by eye.",
        r"""(?<![\w+/=])(?=[A-Za-z0-9+/]{0,99}\d)(?=[A-Za-z0-9+/]{0,99}[A-Z])(?=[A-Za-z0-9+/]{0,99}[a-z])
            (?-i:[A-Za-z0-9+/]{100})
          | \b(?:[0-9a-f]{2}){65} | (?:\\x[0-9a-f]{2}){16} | (?:\\u[0-9a-f]{4}){12} | (?:%[0-9a-f]{2}){24}""",
    ),
    _rule(
        "warning",
        "mixed-script",
        "Mixes letters of different scripts in one word, as look-alikes do.",
        r"[A-Za-z][\u0400-\u052f\u03b1\u03b9\u03bd\u03bf\u03c1] | [\u0400-\u052f\u03b1\u03b9\u03bd\u03bf\u03c1][A-Za-z]",
    ),
)
_COMMENT = _rule(
    "warning", "hidden-comment", "Has a comment that a reader of the page does not see, but the assistant does.", "<!--"
)
_SCRIPT = re.compile(r"\.(?:sh|bash|zsh|fish|ps1|bat|cmd|py|pl|rb|js|mjs|ts|php|lua|exe|so|dll|jar)$", re.I)
_CONTINUED = re.compile(r"\\\n[ \t]{0,80}")
_TAGS = range(0xE0000, 0xE0080)
_NAMED = {
    "bidi": "Turns the direction of text around, so that it reads otherwise than it is.",
    "tags": "Holds invisible tag signs, with which text for models is hidden from people",
    "invisible": "Holds signs that do not show.",
}
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800\u00ad")
_ORDER: Mapping[Severity, int] = {"danger": 0, "warning": 1, "note": 2}


def scan(contents: Mapping[str, bytes]) -> list[Finding]:
    """What was found in these files, the gravest first; at most `MOST_FINDINGS`."""
    found = [finding for path, data in sorted(contents.items()) for finding in _scan_file(path, data)]
    found.sort(key=lambda one: (_ORDER[one.severity], one.path, one.line or 0))
    return found[:MOST_FINDINGS]


def _scan_file(path: str, data: bytes) -> Iterator[Finding]:
    if not path.isascii():
        yield Finding(severity="warning", kind="file-name", path=path, line=None, message="Has letters beyond ASCII.")
    if _SCRIPT.search(path) or data.startswith(b"#!"):
        message = "Is a program. Nothing runs it by itself; the assistant could be told to."
        yield Finding(severity="note", kind="script", path=path, line=None, message=message)
    text = text_of(data)
    if text is None:
        message = "Is no text, so it was not looked through."
        yield Finding(severity="note", kind="binary", path=path, line=None, message=message)
        return
    yield from _hidden_signs(path, text)
    yield from _patterns(path, text)


def text_of(data: bytes) -> str | None:
    """The text of a file in UTF-8; None for what is none."""
    try:
        return None if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _patterns(path: str, text: str) -> Iterator[Finding]:
    # A command that goes on in the next line is one; equally long, so that places stay what they are.
    joined = _CONTINUED.sub(lambda match: " " * len(match[0]), text[:_MOST_SCANNED])
    counts: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for start, piece in _pieces(joined):
        for rule in _RULES:
            if counts[rule.kind] >= _MOST_OF_A_KIND:
                continue
            match = rule.pattern.search(piece)
            if match is not None and (place := (rule.kind, start + match.start())) not in seen:
                seen.add(place)
                counts[rule.kind] += 1
                yield _finding(rule, path, text, place[1], match[0])
    yield from _comments(path, text)
    if len(text) > _MOST_SCANNED:
        message = f"Is longer than {_MOST_SCANNED >> 10} KiB; the rest was not looked through for patterns."
        yield Finding(severity="warning", kind="large", path=path, line=None, message=message)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text line by line, long lines in parts that overlap, with where each begins."""
    at = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line), _PIECE - _OVERLAP):
            yield at + start, line[start : start + _PIECE]
        at += len(line)


def _comments(path: str, text: str) -> Iterator[Finding]:
    end = 0
    for _ in range(_MOST_OF_A_KIND):
        start = text.find("<!--", end)
        if start < 0:
            return
        end = text.find("-->", start)
        end = len(text) if end < 0 else end
        if len(text[start + 4 : end].strip()) >= _SHORTEST_COMMENT:
            yield _finding(_COMMENT, path, text, start, text[start : min(end + 3, start + 2 * _EXCERPT)])


def _finding(rule: _Rule, path: str, text: str, at: int, excerpt: str) -> Finding:
    shown = printable(" ".join(excerpt.split()))
    return Finding(
        severity=rule.severity,
        kind=rule.kind,
        path=path,
        line=text.count("\n", 0, at) + 1,
        message=rule.message,
        excerpt=shown if len(shown) <= _EXCERPT else f"{shown[: _EXCERPT - 1]}…",
    )


def _hidden_signs(path: str, text: str) -> Iterator[Finding]:
    if text.isascii() and text.isprintable():
        return
    lines = text.removeprefix("\ufeff").split("\n")
    count = 0
    for number, line in enumerate(lines, 1):
        kinds = {kind for at, sign in enumerate(line) if (kind := _kind_of(sign, line, at)) is not None}
        for kind in sorted(kinds):
            count += 1
            if count > 4 * _MOST_OF_A_KIND:
                return
            message = _NAMED[kind]
            if kind == "tags":
                secret = "".join(chr(ord(sign) - 0xE0000) for sign in line if ord(sign) in _TAGS)
                message += f": {printable(secret)[:_EXCERPT]!r}." if secret.strip("\0\1") else "."
            excerpt = printable(line.strip("\r"))[:_EXCERPT]
            yield Finding(
                severity="danger", kind="hidden-unicode", path=path, line=number, message=message, excerpt=excerpt
            )


def without_hidden_signs(text: str) -> str:
    """The text as a person sees it: what does not show is gone."""
    if text.isascii() and text.isprintable():
        return text
    lines = text.removeprefix("\ufeff").split("\n")
    return "\n".join(
        "".join(sign for at, sign in enumerate(line) if _kind_of(sign, line, at) is None) for line in lines
    )


def _kind_of(sign: str, line: str, at: int) -> str | None:
    """How a sign hides; None for one that does not."""
    if sign.isascii():
        return "invisible" if not sign.isprintable() and sign not in "\t\r" else None
    if ord(sign) in _TAGS:
        return "tags"
    if sign in _BIDI:
        return "bidi"
    if sign in "\u200c\u200d":  # they join the parts of an emoji, and shape letters of some scripts
        before = line[at - 1 : at]
        return None if before and not before.isascii() else "invisible"
    if sign == "\ufe0f":
        return None
    hidden = sign in _FILLERS or unicodedata.category(sign) in {"Cf", "Cc", "Co", "Cn"} or _is_selector(sign)
    return "invisible" if hidden else None


def _is_selector(sign: str) -> bool:
    return "\ufe00" <= sign <= "\ufe0e" or 0xE0100 <= ord(sign) <= 0xE01EF
