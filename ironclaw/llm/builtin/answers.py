"""What the built-in assistant says. Text in, text out: tool results are read here, tools are called by `provider.py`."""

import re
from collections.abc import Sequence

from ironclaw.values import frozen

NO_MODEL = "That needs a language model, and none is connected."
KEY = "That looks like a key; I have not kept it, and nobody else got it. Don't paste keys into the chat."
NO_DELETE = "I don't delete on request. Your notes are plain files: delete them with your editor or shell."
HELP = """\
Without a language model I work with your notes and this machine:
- `find TODO` searches all notes; `"quoted words"` make a phrase
- `note: call the plumber` adds a line to today's note; `add milk to shopping.md` to another
- `show today`, or `read MEMORY.md`, shows a note
- `list notes` and `list open todos` give an overview; `done: plumber` ticks one
- `what did I do yesterday?` quotes that day's note
- `status` and `what time is it?` tell about this machine; `run df -h` runs a command in a sandbox, once you allow it"""
_SHOWN_LINES = 60
_LONG = 200
_SHOWN_FILES = 20
_MORE_HITS = "More lines match: use more words, or read the note."  # the last line of a MemorySearch that was cut
_SHOWN_OUTPUT = 40
_JOB = re.compile(
    r"(?P<id>job-[0-9a-f]+) (?P<status>[a-z_]+)(?:, exit code (?P<code>\d+))?(?:: (?P<detail>.*))?"
)  # the first line of a JobStart
# What a model is told of a call that was not carried out, in words for people.
_NOT_RUN = {
    "The person did not allow": "I have not run it.",
    "This call needs an approval": "That needs your approval, which can be given in a conversation only. It was not run.",
}
_HIT = re.compile(r"(?P<path>[^\t\n]+?):(?P<line>\d+):(?P<text>[^\n]*)")


def introduction(host: str) -> str:
    """The first words to somebody new."""
    return (
        f"Hello. I'm IronClaw on **{host}**. No language model is connected yet, so I can't converse, but I can already "
        "look after your notes and this machine. Try `find TODO`, `note: call the plumber` or `status`."
    )


def greeting(status: str) -> str:
    """A later hello: what is new, from the status lines."""
    facts = status_lines(status)
    changed = re.search(r"\((\d+) changed today\)", facts.get("notes", ""))
    count = int(changed[1]) if changed else 0
    jobs = facts.get("jobs", "0 running").split()[0]
    return f"Hello. {_plural(count, 'note')} changed today; {_plural(int(jobs), 'job')} running."


def status_lines(text: str) -> dict[str, str]:
    """The `key: value` lines of the status tool."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def status(text: str) -> str:
    """Five lines: machine, disk, notes and jobs, tokens, model."""
    facts = status_lines(text)
    return "\n".join(
        (
            f"- **{facts.get('host', '')}** up {facts.get('up', '')}, {facts.get('memory', '')}",
            f"- disk: {facts.get('disk', '')}",
            f"- notes: {facts.get('notes', '')}; jobs: {facts.get('jobs', '')}",
            f"- used so far: {facts.get('tokens', '')}",
            f"- model: {facts.get('model', '')}",
        )
    )


@frozen
class Hit:
    """One line that a search found; *heading* is the one above it."""

    place: str
    path: str
    text: str
    heading: str


def hits(result: str) -> tuple[str, list[Hit]]:
    """The first line of a search's result, and its hits."""
    head, *rest = result.split("\n")
    found = []
    for line in rest:
        hit, _, heading = line.partition("\t")
        match = _HIT.fullmatch(hit)
        if match is not None:
            place = f"{match['path']}:{match['line']}"
            found.append(Hit(place, match["path"], match["text"].strip(), heading.lstrip("# ")))
    return head, found


def found(result: str, words: Sequence[str], *, hint: bool, quote: bool = False) -> str:
    """A search's answer; where there is nothing, what was searched and one next step."""
    head, lines = hits(result)
    if quote and lines:
        return "\n\n".join(f"From `{hit.place}`: {hit.text}" for hit in lines)
    if lines:
        notes = len({hit.path for hit in lines})
        shown = [f"- `{hit.place}`{f' (under “{hit.heading}”)' if hit.heading else ''} {hit.text}" for hit in lines]
        cut = "\n\nThere are more: `find` with more words narrows it down." if result.endswith(_MORE_HITS) else ""
        return "\n".join([f"{_plural(len(lines), 'line')} in {_plural(notes, 'note')}:", *shown]) + cut
    count = re.fullmatch(r"No line matches in (\d+) notes?\.", head)
    if count is None:
        return head
    text = f"Nothing about *{', '.join(words)}* in your {_plural(int(count[1]), 'note')}."
    return f"{text} {NO_MODEL}" if hint else f"{text} Try fewer words, or only the beginning of one."


def todos(result: str) -> str:
    """Open todos, grouped by note."""
    _, lines = hits(result)
    if not lines:
        return "Nothing is open: no `- [ ]` and no TODO in your notes."
    groups: dict[str, list[str]] = {}
    for hit in lines:
        text = re.sub(r"^[-*] \[ \] ", "", hit.text)
        groups.setdefault(hit.path, []).append(f"- {text} (`{hit.place}`)")
    return "\n\n".join("\n".join([f"**{path}**", *items]) for path, items in groups.items())


def done(result: str, text: str) -> str:
    """The ticked line, before and after; or which todos it could be."""
    head, *lines = result.split("\n")
    if head.startswith("Done in "):
        return f"Done in `{head.removeprefix('Done in ')}`:\n\n```diff\n" + "\n".join(lines) + "\n```"
    _, found = hits(result)
    if found:
        shown = [f"- `{hit.place}` {hit.text}" for hit in found]
        return "\n".join([f"{len(found)} open todos hold *{text}*. Say more words of the one that is done:", *shown])
    return f"No open todo holds *{text}*. `list open todos` shows them all." if lines == [] else result


def note(result: str) -> str:
    """A note; of a long one the first lines, and how to see the rest."""
    head, *lines = result.splitlines()
    match = re.fullmatch(r"(.+) \(lines \d+-\d+ of (\d+)\)", head)
    if match is None:
        return result
    path, total = match[1], int(match[2])
    if total <= _LONG:
        return "\n".join([f"**{path}**", "", *lines])
    shown = "\n".join(lines[:_SHOWN_LINES])
    rest = f"These are {_SHOWN_LINES} of {total} lines. `find` a word to see where the rest has it."
    return f"**{path}**\n\n{shown}\n\n{rest}"


def days(results: Sequence[tuple[str, str]]) -> str:
    """The notes of some days, quoted; which days have none is said. *results*: (day, result or empty)."""
    parts, missing = [], []
    for day, result in results:
        if not result:
            missing.append(day)
            continue
        text = note(result)
        parts.append(text)
    if missing:
        parts.append(f"No note for {', '.join(missing)}.")
    return "\n\n".join(parts)


def job(result: str, command: str) -> str:
    """How a command ended, with the end of its output; or why it was not run."""
    head, _, output = result.partition("\n")
    match = _JOB.fullmatch(head)
    if match is None:
        return next((said for start, said in _NOT_RUN.items() if result.startswith(start)), result)
    line = command.split("\n", 1)[0]
    if match["status"] in {"running", "pending"}:
        text = f"`{line}` is {match['status']} as {match['id']}. `/jobs` lists the jobs."
    elif match["code"] is not None:
        text = f"`{line}` ended with exit code {match['code']} ({match['id']})."
    else:
        text = f"`{line}`: {match['status'].replace('_', ' ')}. {match['detail'] or ''} ({match['id']})"
    tail = output.rstrip("\n").split("\n")[-_SHOWN_OUTPUT:]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", output)), default=0))
    return "\n".join([text, "", fence, *tail, fence]) if output.strip() else text


def jobs(result: str) -> str:
    """The newest jobs, a line each."""
    rows = [row for row in (line.split("\t") for line in result.splitlines()) if len(row) == 4]
    if not rows:
        return "There are no jobs. `run df -h` starts one."
    return "\n".join(f"- **{status}** {title} ({name}, {started})" for name, status, started, title in rows)


def files(result: str) -> str:
    """Names, size and day of change; twenty, then how many more."""
    rows = [line.split("\t") for line in result.splitlines()]
    rows = [row for row in rows if len(row) == 3]
    if not rows:
        return result
    lines = [f"- {path} ({_size(int(size))}, {modified[:10]})" for path, size, modified in rows[:_SHOWN_FILES]]
    unlisted = re.search(r"\nand (\d+) more$", result)
    total = len(rows) + (int(unlisted[1]) if unlisted else 0)
    if total > len(lines):
        lines.append(f"and {total - len(lines)} more")
    return "\n".join([f"{_plural(total, 'note')}:", *lines])


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.1f} kB"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
