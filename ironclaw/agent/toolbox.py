"""The tools of one agent, by name, and what is left of them for a turn that must not act. Each ships with its noun."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from ironclaw.agent.parameters import Checker
from ironclaw.llm.models import ToolSpec
from ironclaw.tools import Risk, Tool


class ToolSource(Protocol):
    """What brings tools that may change while the program runs."""

    def tools(self) -> Sequence[Tool]:
        """The tools that there are now."""


class Toolbox:
    """A set of tools; the first of a name stays, so that nothing added later can stand in for a built-in one.

    *sources* are asked anew each time: what they bring comes after the fixed *tools*.
    """

    def __init__(self, tools: Iterable[Tool] = (), sources: Iterable[ToolSource] = ()) -> None:
        self._fixed: dict[str, Tool] = {}
        for tool in tools:
            self._fixed.setdefault(tool.name, tool)
        self._sources = tuple(sources)
        self.checker = Checker()
        """Checks the arguments of calls; what it makes of a schema is kept with the tools."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of them."""
        return tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in self._all().values())

    def find(self, name: str) -> Tool | None:
        """The tool of that name, if there is one."""
        return self._all().get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order in which they were given."""
        return tuple(self._all())

    def _all(self) -> dict[str, Tool]:
        found = dict(self._fixed)
        for source in self._sources:
            for tool in source.tools():
                found.setdefault(tool.name, tool)
        return found


def only_reads(tool: Tool | None) -> bool:
    """Whether a turn that has read a skill from elsewhere may still call *tool*; None: a tool of the program that asks."""
    return tool is not None and tool.risk is Risk.READ


def refusal(skill: str) -> str:
    """What the model is told of a call that *skill* is the reason to refuse."""
    return (
        f"This turn has read the skill {skill}, which came from elsewhere, so only tools that read can be called in it."
        " Do not try it again. Say what is left to do: your user can ask for that in a new message, or let this skill act"
        f" with `ironclaw skills enable {skill} --tools all`."
    )
