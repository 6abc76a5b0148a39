"""Starts jobs, lets them wait for their turn, ends and keeps them. It owns the task of each job that runs."""

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.errors import Conflict, Invalid, IronclawError, NotFound
from ironclaw.events import Event
from ironclaw.hub import Hub
from ironclaw.jobs import store
from ironclaw.jobs.folder import Given, JobFolder, check_files
from ironclaw.jobs.limits import JobLimits
from ironclaw.jobs.links import Links
from ironclaw.jobs.models import Job, JobRequest, Outcome, Starter, check_id, new_id, title_of
from ironclaw.jobs.output import Output
from ironclaw.jobs.run import Run
from ironclaw.jobs.tasks import TaskRunner
from ironclaw.jobs.telling import started, tell_progress, updated
from ironclaw.sandbox.choice import Sandboxes

log = logging.getLogger(__name__)

_RETENTION_EVERY = 3600.0
_MOST_WAITING = 1000
_LEFT = "The gateway ended while it ran."


class _Alive:
    """A job that waits or runs. `gone` is set at its end, once that is on disk."""

    def __init__(self, job: Job, folder: JobFolder, output: Output) -> None:
        self.job = job
        self.folder = folder
        self.output = output
        self.run: Run | None = None
        self.task: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()


class Jobs:
    """The jobs of one gateway. Opened by `open()`, ended by `aclose()`."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        folder: Path,
        sandboxes: Sandboxes,
        limits: JobLimits,
        *,
        token: str,
    ) -> None:
        self.sandboxes = sandboxes
        self.limits = limits
        self.tasks: TaskRunner | None = None
        self.links = Links.of("", token)
        self._token = token
        self._database = database
        self._hub = hub
        self._folder = folder
        self._alive: dict[str, _Alive] = {}
        self._waiting: list[_Alive] = []
        self._running = 0
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None

    async def open(self, tasks: TaskRunner | None = None) -> None:
        """Take up what the last process left: what ran is interrupted, what waited waits on."""
        self.tasks = tasks
        now = codec.format_time(codec.now())
        secret = await self._database.write(lambda db: store.link_key(db, secrets.token_hex(32)))
        self.links = Links.of(secret, self._token)
        for job_id in await self._database.write(lambda db: store.interrupt(db, now, _LEFT)):
            folder = self._folder_of(job_id)
            size, disk = await asyncio.to_thread(folder.sizes)
            await self._database.write(functools.partial(store.set_output, job_id=job_id, output=size, disk=disk))
            self._hub.publish(self._update(await self.find(job_id)))
        for job in await self._database.read(store.waiting):
            self._queue(job)
        self._advance()
        self._keeper = asyncio.create_task(self._keep_forever(), name="jobs-keeper")

    # What there is

    @property
    def active(self) -> int:
        """How many run or wait."""
        return len(self._alive)

    @property
    def running(self) -> int:
        """How many run."""
        return self._running

    @property
    def alive(self) -> bool:
        """Whether old jobs are still cleared away."""
        return self._keeper is not None and not self._keeper.done()

    async def find(self, job_id: str) -> Job:
        """The job as it is now. Raises *NotFound*."""
        alive = self._alive.get(check_id(job_id))
        job = alive.job if alive is not None else await self._database.read(lambda db: store.find(db, job_id))
        return self._now(job)

    async def page(self, statuses: Sequence[str], limit: int, before: int | None) -> tuple[list[Job], int | None]:
        """Jobs, the newest first, and where the next page begins."""
        jobs, after = await self._database.read(lambda db: store.page(db, statuses, limit, before))
        return [self._now(job) for job in jobs], after

    def position(self, job_id: str) -> int | None:
        """The place of a job that waits, 1 for the next; None for any other."""
        return next((place for place, one in enumerate(self._waiting, 1) if one.job.id == job_id), None)

    def output(self, job_id: str) -> Output:
        """What a job has printed; it grows while the job runs. The first look at one that has ended blocks."""
        if (alive := self._alive.get(check_id(job_id))) is not None:
            return alive.output
        output = self._folder_of(job_id).output
        output.close()
        return output

    async def files(self, job_id: str) -> JobFolder:
        """The folder of a job. Raises *NotFound*."""
        return self._folder_of((await self.find(job_id)).id)

    def _now(self, job: Job) -> Job:
        """With what has changed since it was written down."""
        alive = self._alive.get(job.id)
        return job if alive is None else attrs.evolve(alive.job, output_bytes=alive.output.total)

    def _folder_of(self, job_id: str) -> JobFolder:
        return JobFolder(self._folder / check_id(job_id))

    # Start and end

    async def launch(
        self,
        request: JobRequest,
        *,
        started_by: Starter = "person",
        thread_id: str | None = None,
        restart_of: str | None = None,
    ) -> Job:
        """Start a job, or let it wait for its turn. Once this returns it is on disk.

        Raises *Invalid* for a request that can't be, *SandboxUnavailable* where nothing could confine it, *BudgetSpent*
        or *Unavailable* where no model could carry out a task.
        """
        self._check(request)
        await self.sandboxes.working()
        if request.prompt is not None:
            assert self.tasks is not None
            self.tasks.check()
        job = self._new_job(request, started_by, thread_id, restart_of)
        folder = self._folder_of(job.id)
        await asyncio.to_thread(folder.lay_out, Given(stdin=request.stdin, files=request.files))
        published = self._hub.publish(started(job, self.links), lambda db: store.add(db, job), required=True)
        assert published.stored is not None
        try:
            await asyncio.shield(published.stored)
        except Exception:
            await asyncio.to_thread(folder.remove)
            raise
        self._queue(job)
        self._advance()
        return await self.find(job.id)

    def _check(self, request: JobRequest) -> None:
        given = [text for text in (request.command, request.prompt) if text is not None]
        if len(given) != 1 or not given[0].strip():
            raise Invalid(
                "A job needs a `command` for the shell, or the `prompt` of a task: one of both.", field="command"
            )
        if "\0" in given[0]:
            raise Invalid("A command can't hold a NUL.", field="command")
        if request.prompt is not None and self.tasks is None:
            raise Invalid("Tasks can't be carried out here.", field="prompt")
        _check_number("timeout_seconds", request.timeout_seconds, 1, self.limits.timeout_seconds, "JOB_TIMEOUT")
        _check_number("memory_mb", request.memory_mb, 16, self.limits.each.memory_mb, "JOB_MEMORY_MB")
        check_files(request.files)
        if len(self._waiting) >= _MOST_WAITING:
            raise Conflict(f"{_MOST_WAITING} jobs wait already. Stop some, or let them end.")

    def _new_job(self, request: JobRequest, started_by: Starter, thread_id: str | None, restart_of: str | None) -> Job:
        return Job(
            id=new_id(),
            title=title_of(request),
            status="pending",
            created_at=codec.format_time(codec.now()),
            started_at=None,
            ended_at=None,
            command=request.command,
            prompt=request.prompt,
            exit_code=None,
            reason=None,
            detail=None,
            sandbox=None,
            started_by=started_by,
            thread_id=thread_id,
            restart_of=restart_of,
            network=request.network,
            timeout_seconds=request.timeout_seconds or self.limits.timeout_seconds,
            memory_mb=request.memory_mb or self.limits.each.memory_mb,
            output_bytes=0,
            disk_bytes=0,
            tokens=0,
        )

    async def restart(self, job_id: str) -> Job:
        """Start a new job that does what an ended one did. Raises *Conflict* while that runs."""
        old = await self._ended(job_id, "Stop it first.")
        try:
            given = await asyncio.to_thread(self._folder_of(old.id).given)
        except NotFound:
            raise Conflict("What this job was given is gone, so it can't be started again.") from None
        request = JobRequest(
            command=old.command,
            prompt=old.prompt,
            title=old.title,
            stdin=given.stdin,
            timeout_seconds=min(old.timeout_seconds, self.limits.timeout_seconds),
            memory_mb=min(old.memory_mb, self.limits.each.memory_mb),
            network=old.network,
            files=given.files,
        )
        return await self.launch(request, thread_id=old.thread_id, restart_of=old.id)

    async def stop(self, job_id: str, *, by: Starter = "person") -> Job:
        """End a job, and wait until it has; one that has ended already stays as it is."""
        alive = self._alive.get(check_id(job_id))
        if alive is not None:
            who = "the agent" if by == "agent" else "a person"
            outcome = Outcome(status="stopped", reason="stopped", detail=f"It was stopped by {who}.")
            if alive.run is not None:
                alive.run.end(outcome)
            elif alive in self._waiting:
                self._waiting.remove(alive)
                await asyncio.shield(self._end(alive, outcome, None))
            await alive.gone.wait()
        return await self.find(job_id)

    async def wait(self, job_id: str, timeout: float) -> Job:
        """The job at its end, or as it is after *timeout* seconds."""
        alive = self._alive.get(check_id(job_id))
        if alive is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await alive.gone.wait()
        return await self.find(job_id)

    async def delete(self, job_id: str) -> None:
        """Forget an ended job, and delete its files and output. Raises *Conflict* while it runs."""
        job = await self._ended(job_id, "Stop it first.")
        await self._forget(job.id)

    async def _forget(self, job_id: str) -> None:
        await asyncio.to_thread(self._folder_of(job_id).remove)
        await self._database.write(lambda db: store.remove(db, job_id))

    async def _ended(self, job_id: str, advice: str) -> Job:
        job = await self.find(job_id)
        if not job.ended:
            raise Conflict(f"The job is {job.status}. {advice}")
        return job

    # Running

    def _queue(self, job: Job) -> None:
        folder = self._folder_of(job.id)
        alive = _Alive(job, folder, Output(folder.path / "output", []))
        self._alive[job.id] = alive
        self._waiting.append(alive)

    def _advance(self) -> None:
        """Let as many run as may."""
        while self._waiting and self._running < self.limits.parallel and not self._closing:
            alive = self._waiting.pop(0)
            self._running += 1
            alive.run = self._run_of(alive)
            alive.task = asyncio.create_task(self._live(alive, alive.run), name=alive.job.id)

    def _run_of(self, alive: _Alive) -> Run:
        return Run(
            job=alive.job,
            folder=alive.folder,
            output=alive.output,
            limits=attrs.evolve(self.limits.each, memory_mb=alive.job.memory_mb),
            most_output=self.limits.output_mb << 20,
            most_tokens=self.limits.tokens,
            sandboxes=self.sandboxes,
            tasks=self.tasks,
        )

    async def _live(self, alive: _Alive, run: Run) -> None:
        telling = tell_progress(alive.job, alive.output, self.links, self._hub.publish)
        progress = asyncio.create_task(telling, name=f"{alive.job.id} progress")
        outcome = Outcome(status="interrupted", reason="gateway_ended", detail=_LEFT)
        try:
            await self._begin(alive)
            outcome = await run.carry_out()
        except IronclawError as error:
            outcome = Outcome(status="failed", reason="sandbox", detail=error.message)
        finally:
            progress.cancel()
            self._running -= 1
            await asyncio.shield(self._end(alive, outcome, run))
            self._advance()

    async def _begin(self, alive: _Alive) -> None:
        sandbox = (await self.sandboxes.working()).name
        now = codec.format_time(codec.now())
        alive.job = attrs.evolve(alive.job, status="running", started_at=now, sandbox=sandbox)
        published = self._hub.publish(self._update(alive.job), lambda db: store.begin(db, alive.job.id, now, sandbox))
        assert published.stored is not None
        await asyncio.shield(published.stored)

    async def _end(self, alive: _Alive, outcome: Outcome, run: Run | None) -> None:
        try:
            _, disk = await asyncio.to_thread(alive.folder.sizes)
            alive.job = job = attrs.evolve(
                alive.job,
                **attrs.asdict(outcome),
                ended_at=codec.format_time(codec.now()),
                output_bytes=alive.output.total,
                disk_bytes=disk,
                tokens=run.tokens if run is not None else 0,
            )
            published = self._hub.publish(self._update(job), lambda db: store.end(db, job))
            assert published.stored is not None
            await asyncio.shield(published.stored)
        except Exception:
            log.exception("How the job %s ended could not be kept", alive.job.id)
        finally:
            self._alive.pop(alive.job.id, None)
            alive.output.close()  # who follows it looks then how the job has ended
            alive.gone.set()

    def _update(self, job: Job) -> Event:
        return updated(job, self.links)

    # Keeping

    async def _keep_forever(self) -> None:
        while True:
            try:
                await self._clear_away()
            except Exception:
                log.exception("Old jobs could not be cleared away")
            await asyncio.sleep(_RETENTION_EVERY)

    async def _clear_away(self) -> None:
        since = codec.format_time(codec.now() - timedelta(days=self.limits.keep_days))
        most = self.limits.keep_mb << 20
        for job_id in await self._database.read(lambda db: store.worn_out(db, since, most)):
            await self._forget(job_id)

    async def aclose(self) -> None:
        """End what runs; it is interrupted. What waits is taken up at the next start."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
        tasks = [one.task for one in self._alive.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *([self._keeper] if self._keeper else []), return_exceptions=True)
        for alive in self._waiting:
            alive.output.close()
            alive.gone.set()
        self._waiting.clear()


def _check_number(field: str, value: int | None, least: int, most: int, setting: str) -> None:
    if value is not None and not least <= value <= most:
        raise Invalid(f"`{field}` must be from {least} to {most} ({setting} is the most).", field=field)
