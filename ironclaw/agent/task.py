"""Agent tasks for jobs: the turn loop with a job's folder as its files and its sandbox as its shell, nothing else."""

import asyncio
from contextlib import aclosing
from typing import Annotated

from ironclaw import files
from ironclaw.agent.approvals import Policy
from ironclaw.agent.loop import Agent, AgentLimits
from ironclaw.agent.prompt import TaskBriefing
from ironclaw.agent.toolbox import Toolbox
from ironclaw.agent.turn import Tally, Turn
from ironclaw.errors import BudgetSpent, Invalid, ProviderError, Unavailable
from ironclaw.events import StreamChunk, ToolStarted
from ironclaw.jobs.models import Outcome
from ironclaw.jobs.tasks import Task
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.metered import Meter, MeteredProvider
from ironclaw.tools import Approval, Risk, Tool, ToolContext, ToolResult, make_tool
from ironclaw.values import frozen

_MOST_READ = 40_000
_MOST_FILE = 4 << 20
_LONGEST_COMMAND = 86_400.0  # the job's own time ends it before


@frozen
class AgentTasks:
    """Carries out tasks with the connected model; its calls are counted for the job."""

    connection: ModelConnection
    meter: Meter
    iterations: int

    def check(self) -> None:
        """See *TaskRunner*."""
        connected = self.connection.current()
        if connected.state == "none":
            raise Unavailable("A task needs a language model, and none is connected. Connect one, or give a `command`.")
        self.meter.check(connected.provider)

    async def run(self, task: Task) -> Outcome:
        """See *TaskRunner*."""
        connected = self.connection.current()
        agent = Agent(
            MeteredProvider(connected.provider, self.meter, "job", task.job_id),
            Toolbox(task_tools(task)),
            policy=Policy(),
            briefing=TaskBriefing(),
            abilities=connected.abilities,
            limits=AgentLimits(iterations=self.iterations, tokens=task.most_tokens),
        )
        turn, tally = Turn(task.job_id, task.job_id, task.prompt, can_ask=False), Tally()
        try:
            async with aclosing(agent.run(turn, tally)) as events:
                async for event in events:
                    task.spent(tally.usage.total_tokens)
                    if isinstance(event, StreamChunk):
                        await task.note(event.content)
                    elif isinstance(event, ToolStarted) and event.name != "Shell":
                        await task.note(f"\n[{event.name} {event.parameters.get('path', '')}]\n")
            await task.note("\n")
        except (ProviderError, BudgetSpent) as error:
            return Outcome(status="failed", reason="model", detail=error.message)
        finally:
            task.spent(tally.usage.total_tokens)
        if tally.usage.total_tokens >= task.most_tokens:
            detail = f"It used more tokens than it may ({task.most_tokens:,})."
            return Outcome(status="failed", reason="tokens", detail=detail)
        return Outcome(status="completed")


def task_tools(task: Task) -> tuple[Tool, ...]:
    """The tools of one task. None asks: nothing outside the sandbox can be touched with them."""
    calls = _Calls(task)
    return (
        make_tool(calls.shell, name="Shell", risk=Risk.ACT, approval=Approval.NEVER, timeout=_LONGEST_COMMAND),
        make_tool(calls.read, name="FileRead"),
        make_tool(calls.write, name="FileWrite", risk=Risk.WRITE, approval=Approval.NEVER),
        make_tool(calls.list, name="FileList"),
    )


@frozen
class _Calls:
    """The functions behind the tools; their docstrings are what a model reads."""

    task: Task

    async def shell(self, _: ToolContext, *, command: Annotated[str, "the command, for sh"]) -> ToolResult:
        """Runs a shell command in your folder and gives its exit code and the end of its output."""
        if "\0" in command:
            raise Invalid("A command can't hold a NUL.", field="command")
        await self.task.note(f"\n$ {command}\n")
        result = await self.task.shell(command)
        text = f"exit code {result.exit_code}\n{result.output}"
        return ToolResult(text, f"exit code {result.exit_code}", success=result.exit_code == 0)

    async def read(
        self,
        _: ToolContext,
        *,
        path: Annotated[str, "the file, in your folder"],
        offset: Annotated[int, "where to begin, in characters (0)", {"minimum": 0}] = 0,
    ) -> ToolResult:
        """Reads a text file of your folder."""
        content = await asyncio.to_thread(files.read_bytes, self.task.folder, path, limit=_MOST_FILE)
        text = content.data.decode("utf-8", "replace")
        shown = text[offset : offset + _MOST_READ]
        more = len(text) - offset - len(shown)
        cut = f"\n[Cut here. Go on with offset {offset + len(shown)}.]" if more > 0 else ""
        return ToolResult(shown + cut, f"{len(shown)} characters")

    async def write(
        self,
        _: ToolContext,
        *,
        path: Annotated[str, "the file, in your folder"],
        content: Annotated[str, "all of its new text"],
    ) -> ToolResult:
        """Makes a text the whole content of a file in your folder, new or not."""
        data = content.encode("utf-8", "replace")
        await asyncio.to_thread(files.atomic_write, self.task.folder, path, data)
        return ToolResult(f"Wrote {path}: {len(data)} bytes.", f"{len(data)} bytes")

    async def list(
        self, _: ToolContext, *, path: Annotated[str | None, "a folder in your folder; without it all"] = None
    ) -> ToolResult:
        """Lists what is in your folder, or in one below it."""
        entries = await asyncio.to_thread(files.scan, self.task.folder, (path or "").strip("/"))
        lines = [f"{one.name}/" if one.is_folder else f"{one.name}\t{one.size}" for one in entries]
        return ToolResult("\n".join(sorted(lines)) or "Nothing is in it.", f"{len(lines)} entries")
