"""The agent's tools on jobs, and the plain-text form of their results.

The forms are fixed: models read them, and the built-in assistant (`llm/builtin/`) parses them.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from ironclaw.jobs.manager import Jobs
from ironclaw.jobs.models import Job, JobRequest
from ironclaw.jobs.text import whole
from ironclaw.tools import Risk, Tool, ToolContext, ToolResult, make_tool
from ironclaw.values import frozen

LONGEST_WAIT = 120
_USUAL_WAIT = 30
_MOST_OUTPUT = 8000
_MOST_LISTED = 20


def job_tools(jobs: Jobs) -> tuple[Tool, ...]:
    """The tools that start jobs and look after them. Starting and stopping one asks a person, unless that is allowed."""
    calls = _Calls(jobs)
    return (
        make_tool(calls.start, name="JobStart", risk=Risk.ACT, subject=_subject, timeout=LONGEST_WAIT + 30.0),
        make_tool(calls.status, name="JobStatus"),
        make_tool(calls.stop, name="JobStop", risk=Risk.WRITE, subject=lambda given: str(given.get("job_id", ""))),
        make_tool(calls.list, name="JobList"),
    )


def _subject(arguments: Mapping[str, Any]) -> str:
    """All that decides what is run: what a person allows is this, and nothing else."""
    text = str(arguments.get("command") or f"task: {arguments.get('prompt') or ''}")
    if arguments.get("network"):
        text = f"with the network: {text}"
    return f"{text}\nwith the input:\n{arguments['stdin']}" if arguments.get("stdin") else text


@frozen
class _Calls:
    """The functions behind the tools; their docstrings are what a model reads."""

    jobs: Jobs

    async def start(
        self,
        context: ToolContext,
        *,
        command: Annotated[str | None, "a shell command, such as df -h"] = None,
        prompt: Annotated[str | None, "instead of a command: what an agent of its own is to do"] = None,
        title: Annotated[str | None, "a few words for the list of jobs"] = None,
        stdin: Annotated[str | None, "text for the command's standard input"] = None,
        network: Annotated[bool | None, "whether it needs the network (no)"] = None,
        wait: Annotated[int | None, f"seconds to wait for its end ({_USUAL_WAIT}; up to {LONGEST_WAIT})"] = None,
    ) -> ToolResult:
        """Runs a shell command in a sandbox: an empty folder, the system's programs, no network, no files of the user.
        Gives its state and the end of its output; one that takes longer runs on, and JobStatus tells of it.
        """  # noqa: D205
        request = JobRequest(command=command, prompt=prompt, title=title, stdin=stdin, network=bool(network))
        job = await self.jobs.launch(request, started_by="agent", thread_id=context.thread_id or None)
        seconds = _USUAL_WAIT if wait is None else max(0, min(wait, LONGEST_WAIT))
        return await self._result(await self.jobs.wait(job.id, seconds))

    async def status(self, _: ToolContext, *, job_id: Annotated[str, "the job, such as job-3f9a1c2b"]) -> ToolResult:
        """Tells how a job is, with the end of its output."""
        return await self._result(await self.jobs.find(job_id))

    async def stop(self, _: ToolContext, *, job_id: Annotated[str, "the job, such as job-3f9a1c2b"]) -> ToolResult:
        """Ends a job that waits or runs."""
        return await self._result(await self.jobs.stop(job_id, by="agent"))

    async def list(self, _: ToolContext) -> ToolResult:
        """Lists the newest jobs: id, state, start and title, separated by tabs."""
        jobs, _after = await self.jobs.page((), _MOST_LISTED, None)
        if not jobs:
            return ToolResult("There are no jobs.", "no jobs")
        lines = [f"{job.id}\t{job.status}\t{job.created_at}\t{job.title}" for job in jobs]
        return ToolResult("\n".join(lines), f"{len(jobs)} job{'s' * (len(jobs) != 1)}")

    async def _result(self, job: Job) -> ToolResult:
        output = await asyncio.to_thread(lambda: whole(self.jobs.output(job.id)))
        if len(output) > _MOST_OUTPUT:
            output = f"[... {len(output) - _MOST_OUTPUT:,} characters before ...]\n{output[-_MOST_OUTPUT:]}"
        line = state_line(job)
        return ToolResult(f"{line}\n{output}", line, success=job.status in _FINE)


_FINE = ("pending", "running", "completed")


def state_line(job: Job) -> str:
    """A job's state in one line, such as `job-3f9a1c2b failed, exit code 3: It ended with the exit code 3.`."""
    code = "" if job.exit_code is None else f", exit code {job.exit_code}"
    detail = "" if job.detail is None else f": {job.detail}"
    return f"{job.id} {job.status}{code}{detail}"
