"""From what somebody wrote to what to do about it. Only here are phrases matched; what is said is in `answers.py`."""

import re
from datetime import date, timedelta
from typing import Literal

from ironclaw.redact import KEY_REMOVED, redact
from ironclaw.values import frozen

Kind = Literal[
    "greeting",
    "help",
    "search",
    "written",
    "question",
    "days",
    "add",
    "put",
    "done",
    "show",
    "list",
    "todos",
    "status",
    "time",
    "key",
    "delete",
    "run",
    "jobs",
]


@frozen
class Plan:
    """What to do. *text* is what it is about, *place* the note or list it goes to; *days* are those asked for."""

    kind: Kind
    text: str = ""
    days: tuple[date, ...] = ()
    place: str = ""


_GREETING = re.compile(r"(?:hello|hi|hey|hallo|good (?:morning|evening|day))(?:[\s,]+(?:agent|there|ironclaw))?", re.I)
_HELP = re.compile(r"help|what can you do|how does this work|what can i (?:ask|say)", re.I)
_SEARCH = re.compile(r"(?:search(?: for)?|find|grep|look for)\s+(.+)", re.I | re.S)
_WRITTEN = re.compile(
    r"(?:where|what|when) (?:did|do|have) (?:i|we) (?:write|written|note|noted)(?: down)?(?: about)?\s+(.+)",
    re.I | re.S,
)
_QUESTION = re.compile(
    r"(?:when (?:is|was|are)|where (?:is|are)|who (?:is|was)|what(?:'s| is| are| was)|which"
    r"|how (?:much|many|long|old|do|does))\s+(.+)",
    re.I | re.S,
)
_NOTE = re.compile(r"(?:note|remember|todo)\s*:\s*(.+)|remember (?:that|to)\s+(.+)", re.I | re.S)
_PUT = re.compile(r"add\s+(.+)\s+(?:to|on|onto|in|into)\s+(?:the\s+|my\s+|our\s+)?(.+)", re.I | re.S)
_DONE = re.compile(r"(?:done|tick(?: off)?|finished)\s*:\s*(.+)", re.I | re.S)
_SHOW_DAY = re.compile(r"(?:show|read|open)(?: me)? (today|yesterday)(?:'s)?(?: notes?)?", re.I)
_SHOW = re.compile(r"(?:show|read|open)(?: me)?\s+(\S+\.(?:md|markdown|txt))", re.I)
_LIST = re.compile(r"list (?:all |the |my )?(?:notes|files)(?: in (\S+))?|what(?:'s| is) in (\S+?/?)|list (\S+/)", re.I)
_TODOS = re.compile(
    r"(?:list|show)(?: all| my| the| me)*(?: open)? todos?|(?:open )?todos|what(?:'s| is) (?:still )?open", re.I
)
_STATUS = re.compile(r"status|how are you(?: doing)?|how is (?:the )?(?:server|gateway|machine)", re.I)
_TIME = re.compile(
    r"(?:what(?:'s| is) the |what )?(?:time|date|day)(?: is it)?(?: today| now)?|what(?:'s| is) today", re.I
)
_DID = re.compile(r"what did (?:i|we) do (yesterday|today|last week|this week)", re.I)
_RUN = re.compile(r"(?:run|execute)\s*:?\s+(.+)", re.I | re.S)
_JOBS = re.compile(r"(?:list |show )?(?:all |the |my )?jobs|what(?:'s| is) running", re.I)
_DELETE = re.compile(r"(?:delete|remove|erase|wipe|destroy)\s+.*", re.I | re.S)


def understand(text: str, today: date) -> Plan:
    """The plan for a message. What no phrase matches is searched for, word by word."""
    said = text.strip()
    if redact.remove_keys(said) != said or KEY_REMOVED in said:
        return Plan("key")
    note = _NOTE.fullmatch(said)
    if note and (note[1] or not said.endswith("?")):
        return Plan("add", (note[1] or note[2]).strip())
    if search := _SEARCH.fullmatch(said):
        return Plan("search", search[1].strip())
    if change := _change(said):
        return change
    plain = said.rstrip("?!. ")
    return _exact(plain) or _dated(plain, today) or _about(plain, said)


def _change(said: str) -> Plan | None:
    """What changes something is said outright, never asked."""
    if said.endswith("?"):
        return None
    if done := _DONE.fullmatch(said):
        return Plan("done", done[1].strip())
    if run := _RUN.fullmatch(said):
        return Plan("run", run[1].strip().strip("`"))
    if put := _PUT.fullmatch(said):
        place = re.sub(r"\s+(?:list|note)$", "", put[2].strip(" .!"), flags=re.I)
        return Plan("put", put[1].strip(), place=place)
    return None


def _exact(plain: str) -> Plan | None:
    for pattern, kind in _KINDS:
        if pattern.fullmatch(plain):
            return Plan(kind)
    if show := _SHOW.fullmatch(plain):
        return Plan("show", show[1])
    if listing := _LIST.fullmatch(plain):
        return Plan("list", (listing[1] or listing[2] or listing[3] or "").strip("/"))
    return None


_KINDS: tuple[tuple["re.Pattern[str]", Kind], ...] = (
    (_GREETING, "greeting"),
    (_HELP, "help"),
    (_STATUS, "status"),
    (_JOBS, "jobs"),
    (_TIME, "time"),
    (_TODOS, "todos"),
    (_DELETE, "delete"),
)


def _dated(plain: str, today: date) -> Plan | None:
    if day := _SHOW_DAY.fullmatch(plain):
        return Plan("show", days=(today - timedelta(days=day[1].lower() == "yesterday"),))
    if did := _DID.fullmatch(plain):
        return Plan("days", days=_days(did[1].lower(), today))
    return None


def _days(words: str, today: date) -> tuple[date, ...]:
    monday = today - timedelta(days=today.weekday())
    match words:
        case "today":
            return (today,)
        case "yesterday":
            return (today - timedelta(days=1),)
        case "last week":
            return tuple(monday - timedelta(days=7 - number) for number in range(7))
        case _:
            return tuple(monday + timedelta(days=number) for number in range(today.weekday() + 1))


def _about(plain: str, said: str) -> Plan:
    if written := _WRITTEN.fullmatch(plain):
        return Plan("written", written[1].strip())
    if question := _QUESTION.fullmatch(plain):
        return Plan("question", question[1].strip())
    return Plan("written", said)


_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about again all am an and any are as at be been but by can could did do does for from had has have how i if "
        "in into is it its just like me my no not of on or our please she he that the their them then there these they "
        "this to up us was we were what when where which who whose why will with would write wrote written you your",
    )
)


def key_words(text: str) -> list[str]:
    """The words that carry meaning, in their order; all words when none does."""
    words = re.findall(r"[\w'\u2019-]+", text)
    bare = [re.sub(r"['\u2019]s$", "", word) for word in words]
    return [word for word in bare if word.casefold() not in _STOP_WORDS] or bare
