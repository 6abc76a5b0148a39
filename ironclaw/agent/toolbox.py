"""The tools of one agent, by name. What a tool is stands in `tools.py`; each ships with its noun."""

from collections.abc import Iterable

from ironclaw.agent.parameters import Checker
from ironclaw.llm.models import ToolSpec
from ironclaw.tools import Tool


class Toolbox:
    """A fixed set of tools; the first of a name stays, so that nothing added later can stand in for a built-in one."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self._tools.setdefault(tool.name, tool)
        self.checker = Checker()
        """Checks the arguments of calls; what it makes of a schema is kept with the tools."""
        self.specs = tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in self._tools.values())

    def find(self, name: str) -> Tool | None:
        """The tool of that name, if there is one."""
        return self._tools.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order in which they were given."""
        return tuple(self._tools)
