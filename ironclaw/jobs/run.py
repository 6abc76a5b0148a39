"""One job that runs: its program, its output, its end. Which jobs run when is decided in `manager.py`."""

import asyncio
import contextlib
import logging

import attrs

from ironclaw.errors import IronclawError, Unavailable
from ironclaw.jobs.folder import JobFolder
from ironclaw.jobs.models import Job, Outcome
from ironclaw.jobs.output import Output
from ironclaw.jobs.tasks import ShellResult, Task, TaskRunner
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.sandbox.protocol import Confined, Limits, Program
from ironclaw.values import define

log = logging.getLogger(__name__)

_BLOCK = 64 << 10
_PAUSE = 0.004  # between blocks, so that a program that floods leaves the loop to others
_GRACE = 1.0  # for a program that is asked to end
_LAST_WORDS = 2.0  # to read what is left in the pipe
_SHELL_OUTPUT = 16 << 10

_DETAILS = {
    "memory": "It used more memory than it may ({memory_mb} MB).",
    "processes": "It had more processes and threads than it may ({processes}).",
    "cpu_time": "It used more processor time than it may ({cpu_seconds} s).",
    "disk": "Its files took more of the disk than they may ({disk_mb} MB).",
    "file_size": "It wrote a larger file than it may ({file_mb} MB).",
}
_BY_SIGNAL = {128 + 24: "cpu_time", 128 + 25: "file_size"}  # SIGXCPU, SIGXFSZ


@define(eq=False)
class Run:
    """A job while it runs. *limits* are those of its programs, *most_output* in bytes."""

    job: Job
    folder: JobFolder
    output: Output
    limits: Limits
    most_output: int
    most_tokens: int
    sandboxes: Sandboxes
    tasks: TaskRunner | None
    _ending: "asyncio.Future[Outcome]" = attrs.field(init=False)
    tokens: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._ending = asyncio.get_running_loop().create_future()

    def end(self, outcome: Outcome) -> None:
        """End it, so; the first who says how is heard."""
        if not self._ending.done():
            self._ending.set_result(outcome)

    async def carry_out(self) -> Outcome:
        """Run it to its end, by itself or by `end()`; never raises but for its own cancellation."""
        work = asyncio.create_task(self._work(), name=f"{self.job.id} work")
        try:
            await asyncio.wait(
                {work, self._ending}, timeout=self.job.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not work.done():
                self.end(Outcome(status="timed_out", reason="wall_time", detail=self._too_long()))
            if self._ending.done():
                work.cancel()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if self._ending.done():
            return self._ending.result()
        try:
            return work.result()
        except IronclawError as error:
            return Outcome(status="failed", reason=_reason_of(error), detail=error.message)
        except Exception:
            log.exception("The job %s failed inside", self.job.id)
            return Outcome(status="failed", reason="internal", detail="It failed inside; the log has the details.")

    def _too_long(self) -> str:
        return f"It took longer than {self.job.timeout_seconds} s."

    async def _work(self) -> Outcome:
        if self.job.command is not None:
            given = await asyncio.to_thread(self.folder.given)
            return self._outcome_of(await self._program(self.job.command, given.stdin))
        assert self.tasks is not None
        assert self.job.prompt is not None
        return await self.tasks.run(
            Task(
                job_id=self.job.id,
                prompt=self.job.prompt,
                folder=self.folder.work,
                shell=self._shell,
                note=self._note,
                spent=self._count_tokens,
                most_tokens=self.most_tokens,
            )
        )

    def _outcome_of(self, code: int) -> Outcome:
        if code == 0:
            return Outcome(status="completed", exit_code=0)
        if reason := _BY_SIGNAL.get(code):
            return self._passed(reason, code)
        return Outcome(
            status="failed", exit_code=code, reason="exit_code", detail=f"It ended with the exit code {code}."
        )

    def _passed(self, reason: str, code: int | None = None) -> Outcome:
        detail = _DETAILS[reason].format(**attrs.asdict(self.limits))
        return Outcome(status="failed", exit_code=code, reason=reason, detail=detail)

    # Programs

    async def _program(self, command: str, stdin: str | None = None) -> int:
        """Run a shell command to its end; its exit code. Ends the job when it passes a limit."""
        program = Program(
            argv=("/bin/sh", "-c", command),
            folder=self.folder.work,
            limits=self.limits,
            network=self.job.network,
            stdin=stdin is not None,
        )
        process = await self.sandboxes.start(program)
        feeding = asyncio.create_task(_feed(process, stdin), name=f"{self.job.id} stdin")
        pumping = asyncio.create_task(self._pump(process), name=f"{self.job.id} output")
        try:
            with self.sandboxes.watcher.watching(process) as watched:
                code = await self._until_end(process)
            if excess := watched.excess or process.excess:
                self.end(self._passed(excess))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await asyncio.shield(pumping)
            return code
        finally:
            await asyncio.shield(self._clear(process, feeding, pumping))

    async def _until_end(self, process: Confined) -> int:
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await asyncio.shield(_end(process))
            raise

    async def _clear(self, process: Confined, *helpers: "asyncio.Task[None]") -> None:
        await process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await asyncio.wait(helpers)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await process.aclose()

    async def _pump(self, process: Confined) -> None:
        """Keep what it prints, up to the end of the stream: a pipe that nobody reads would keep the process from ending."""
        while data := await process.stdout.read(_BLOCK):
            await self._keep(data)
            await asyncio.sleep(_PAUSE if len(data) >= _BLOCK // 2 else 0)

    async def _keep(self, data: bytes) -> None:
        room = self.most_output - self.output.total
        if room > 0:
            await asyncio.to_thread(self.output.append, data[:room])
            self.output.tell()
        if len(data) > room:
            most = self.most_output >> 20
            self.end(Outcome(status="failed", reason="output", detail=f"It printed more than it may ({most} MB)."))

    # For agent tasks

    async def _note(self, text: str) -> None:
        await self._keep(text.encode("utf-8", "replace"))

    def _count_tokens(self, tokens: int) -> None:
        self.tokens = tokens

    async def _shell(self, command: str) -> ShellResult:
        from ironclaw.jobs.text import harmless  # noqa: PLC0415 - a start reads no output

        start = self.output.total
        code = await self._program(command)
        piece = await asyncio.to_thread(self.output.read, max(start, self.output.total - _SHELL_OUTPUT), _SHELL_OUTPUT)
        return ShellResult(code, harmless(piece.data, final=True)[0])


def _reason_of(error: IronclawError) -> str:
    return "sandbox" if isinstance(error, Unavailable) else "model"


async def _feed(process: Confined, text: str | None) -> None:
    """Give it its input; one that does not read it is left alone."""
    if process.stdin is None or text is None:
        return
    with contextlib.suppress(ConnectionError):
        process.stdin.write(text.encode("utf-8", "replace"))
        await process.stdin.drain()
    process.stdin.close()
    with contextlib.suppress(ConnectionError):
        await process.stdin.wait_closed()


async def _end(process: Confined) -> None:
    """Ask it to end, and end it when it does not."""
    process.terminate()
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(_GRACE):
            await process.wait()
    await process.kill()
