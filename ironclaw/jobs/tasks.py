"""What a job needs of whoever carries out agent tasks: a Protocol that `agent/task.py` fills in."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from ironclaw.jobs.models import Outcome
from ironclaw.values import frozen


@frozen
class ShellResult:
    """What a command in the sandbox gave: its exit code and the end of its output."""

    exit_code: int
    output: str


@frozen(kw_only=True)
class Task:
    """An agent task: *shell* runs a command in the job's sandbox, *note* adds text to its log.

    *folder* has its files; *spent* is told how many tokens it has used so far, of *most_tokens*.
    """

    job_id: str
    prompt: str
    folder: Path
    shell: Callable[[str], Awaitable[ShellResult]]
    note: Callable[[str], Awaitable[None]]
    spent: Callable[[int], None]
    most_tokens: int


class TaskRunner(Protocol):
    """Carries out agent tasks."""

    def check(self) -> None:
        """Raises *Unavailable* or *BudgetSpent* when no task can be carried out now."""

    async def run(self, task: Task) -> Outcome:
        """Carry out *task*. Cancelled when the job is ended."""
