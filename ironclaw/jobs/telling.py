"""The events of jobs: what clients are told when one is accepted, goes on, or ends."""

import asyncio
from collections.abc import Callable

import attrs

from ironclaw.events import Event, JobProgress, JobStarted, JobUpdated
from ironclaw.jobs.links import Links
from ironclaw.jobs.models import Job
from ironclaw.jobs.output import Output

_EVERY = 1.0


def started(job: Job, links: Links) -> JobStarted:
    """A job was accepted."""
    return JobStarted(
        job_id=job.id,
        title=job.title,
        status=job.status,
        started_by=job.started_by,
        browse_path=links.path(job.id),
        thread_id=job.thread_id,
    )


def updated(job: Job, links: Links) -> JobUpdated:
    """A job runs, or has ended."""
    return JobUpdated(
        job_id=job.id,
        title=job.title,
        status=job.status,
        exit_code=job.exit_code,
        reason=job.reason,
        output_bytes=job.output_bytes,
        browse_path=links.path(job.id),
        thread_id=job.thread_id,
    )


async def tell_progress(job: Job, output: Output, links: Links, publish: Callable[[Event], object]) -> None:
    """While a job runs: at most once a second, that it has printed more. Ends by being cancelled."""
    from ironclaw.jobs.text import last_line  # noqa: PLC0415 - a start reads no output

    told = 0
    while True:
        await asyncio.sleep(_EVERY)
        if output.total != told:
            told = output.total
            line = await asyncio.to_thread(last_line, output)
            now = attrs.evolve(job, status="running", output_bytes=told)
            facts = attrs.asdict(updated(now, links))
            publish(JobProgress(**facts, last_line=line))
