"""The built-in assistant as a provider: plans a tool call, is called again with its result, and streams the answer."""

import asyncio
import platform
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import date, datetime

import orjson

from ironclaw.llm.builtin import answers, putting
from ironclaw.llm.builtin.phrases import Plan, key_words, understand
from ironclaw.llm.models import Delta, Finished, ModelMessage, ModelRequest, TextDelta, ToolCallDelta, Usage

_LONGEST_PAUSES = 2.0  # seconds that one answer may spend on pauses between words, unless they are set long
_FIXED: dict[str, str] = {"help": answers.HELP, "key": answers.KEY, "delete": answers.NO_DELETE}
_PLAIN = {"todos": "MemoryTodos", "status": "Status", "time": "Time", "jobs": "JobList"}
_SAID: dict[str, Callable[[str], str]] = {
    "list": answers.files,
    "todos": answers.todos,
    "status": answers.status,
    "jobs": answers.jobs,
}
_Call = tuple[str, dict[str, object]]


class BuiltinProvider:
    """Answers from phrases and tools. *word_delay* is the pause between words, in seconds."""

    name = "builtin"
    model = "builtin"

    def __init__(self, word_delay: float = 0.004, hostname: str | None = None) -> None:
        self._word_delay = word_delay
        self._hostname = hostname or platform.node() or "this machine"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The plan's tool calls, or, once their results are there, the answer word by word."""
        before, message, results = _split(request.messages)
        plan = understand(message.content, datetime.now().astimezone().date())
        asked = len(message.content.split())
        known = {spec.name for spec in request.tools}
        calls = self._calls(plan, results, greeted=_has_answers(before))
        missing = [name for name, _ in calls if name not in known]
        if calls and not missing:
            for index, (name, arguments) in enumerate(calls):
                yield ToolCallDelta(index, orjson.dumps(arguments).decode(), f"call_{index}", name)
            yield Finished("tool_calls", Usage(asked, len(calls), 0.0))
            return
        text = (
            f"I can't do that here: {', '.join(missing)} is not available."
            if missing
            else self._answer(plan, before, results)
        )
        words = re.findall(r"\S+\s*|\s+", text)
        pause = min(self._word_delay, max(_LONGEST_PAUSES, self._word_delay * 50) / max(len(words), 1))
        for word in words:
            yield TextDelta(word)
            await asyncio.sleep(pause)  # also when it is 0: the loop gets its turn between words
        yield Finished("stop", Usage(asked, len(words), 0.0))

    def _calls(self, plan: Plan, results: list[str], *, greeted: bool) -> list[_Call]:
        """The tools that a plan needs next; none when *results* are all there.

        Only an explicit `note:`, `remember`, `add ... to ...` or `done:` writes.
        """
        if plan.kind == "put":
            return putting.calls(plan, results)
        if results:
            return []
        match plan.kind:
            case "search":
                return [("MemorySearch", {"query": plan.text})]
            case "written" | "question":
                words = key_words(plan.text)
                return [("MemorySearch", {"query": " ".join(words)})] if words else []
            case "days":
                return [("FileRead", {"path": _daily(day)}) for day in plan.days]
            case "show":
                return [("FileRead", {"path": _daily(plan.days[0]) if plan.days else plan.text})]
            case "list":
                return [("FileList", {"path": plan.text} if plan.text else {})]
            case "add" | "done":
                return [("FileAppend" if plan.kind == "add" else "MemoryDone", {"text": plan.text})]
            case "run":
                return [("JobStart", {"command": plan.text, "wait": 60})]
            case "todos" | "status" | "time" | "jobs":
                return [(_PLAIN[plan.kind], {})]
            case "greeting":
                return [("Status", {})] if greeted else []
            case _:
                return []

    def _answer(self, plan: Plan, before: Sequence[ModelMessage], results: list[str]) -> str:
        result = results[0] if results else ""
        if plan.kind in _FIXED:
            return _FIXED[plan.kind]
        if plan.kind in _SAID:
            return _SAID[plan.kind](result)
        match plan.kind:
            case "greeting":
                return answers.greeting(result) if results else answers.introduction(self._hostname)
            case "search":
                return answers.found(result, [plan.text], hint=False)
            case "written" | "question":
                hint = not any(answers.NO_MODEL in one.content for one in before)
                words = key_words(plan.text)
                return (
                    answers.found(result, words, hint=hint, quote=plan.kind == "question") if results else answers.HELP
                )
            case "days":
                days = [str(day) for day in plan.days]
                return answers.days(
                    [(day, one if _is_note(one) else "") for day, one in zip(days, results, strict=False)]
                )
            case "show":
                return answers.note(result) if _is_note(result) or not plan.days else f"No note for {plan.days[0]}."
            case "done":
                return answers.done(result, plan.text)
            case "put":
                return putting.answer(plan, results)
            case "run":
                return answers.job(result, plan.text)
            case _:
                return result


def _split(messages: Sequence[ModelMessage]) -> tuple[Sequence[ModelMessage], ModelMessage, list[str]]:
    """What was said before the last user message, that message, and the tool results after it."""
    last = max(number for number, message in enumerate(messages) if message.role == "user")
    results = [message.content for message in messages[last:] if message.role == "tool"]
    return messages[:last], messages[last], results


def _has_answers(messages: Sequence[ModelMessage]) -> bool:
    return any(message.role == "assistant" for message in messages)


def _daily(day: date) -> str:
    return f"daily/{day:%Y-%m-%d}.md"


def _is_note(result: str) -> bool:
    """Whether a FileRead gave a note, not the sentence that there is none."""
    return re.match(r".+ \(lines \d+-\d+ of \d+\)(\n|$)", result) is not None
