"""Jobs over HTTP: launching, listing, stopping. Their output is `job_logs.py`, their files are `job_files.py`."""

import asyncio

import attrs
from aiohttp import web

from ironclaw.api.job_links import browse_url
from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import PICTURES_LIMIT, cursor_of, limit_of, parse_json, read_bytes, read_query
from ironclaw.api.responses import json_response
from ironclaw.errors import BadRequest
from ironclaw.jobs.manager import Jobs
from ironclaw.jobs.models import STATUSES, Job, JobRequest
from ironclaw.jobs.text import whole
from ironclaw.values import frozen

_MOST = 200
_DEFAULT_WAIT = 120
_LONGEST_WAIT = 600


@frozen
class JobsQuery:
    """Jobs with this *status* (several with commas), at most *limit* (200), from *cursor* on."""

    status: str | None = None
    limit: int = 50
    cursor: str | None = None


@frozen
class LaunchQuery:
    """*wait*: answer at the job's end, or after so many seconds (120; at most 600)."""

    wait: str | None = None


@frozen(kw_only=True)
class ShownJob(Job):
    """A job, where its files can be looked at without a token, and its place where it waits (1 is the next)."""

    browse_url: str
    queue_position: int | None = attrs.field()


@frozen(kw_only=True)
class JobDetails(ShownJob):
    """The same with all of its output, as harmless text."""

    logs: str


@frozen(kw_only=True)
class JobList:
    """Jobs, the newest first."""

    jobs: list[ShownJob]
    next_cursor: str | None = attrs.field()


@frozen
class JobStatus:
    """How a job is."""

    status: str


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """The jobs, the newest first."""
    query = read_query(request, JobsQuery)
    jobs = _jobs(request)
    page, after = await jobs.page(_statuses(query.status), limit_of(query.limit, _MOST), cursor_of(query.cursor))
    shown = [_shown(request, job) for job in page]
    return json_response(request, JobList(jobs=shown, next_cursor=None if after is None else str(after)))


async def launch(request: web.Request) -> web.StreamResponse:
    """Start a job; with `?wait` answer at its end."""
    seconds = _wait_seconds(read_query(request, LaunchQuery).wait)
    body = await read_bytes(request, request.app[SERVICES].settings.body_timeout, PICTURES_LIMIT)
    job = await _jobs(request).launch(parse_json(request, body, JobRequest))
    return await _created(request, job, seconds)


async def restart(request: web.Request) -> web.StreamResponse:
    """Start a new job that does the same."""
    seconds = _wait_seconds(read_query(request, LaunchQuery).wait)
    job = await _jobs(request).restart(request.match_info["id"])
    return await _created(request, job, seconds)


async def details(request: web.Request) -> web.StreamResponse:
    """One job with its output."""
    job = await _jobs(request).find(request.match_info["id"])
    return json_response(request, await _details(request, job))


async def stop(request: web.Request) -> web.StreamResponse:
    """End a job; one that has ended says how."""
    job = await _jobs(request).stop(request.match_info["id"])
    return json_response(request, JobStatus(job.status))


async def delete(request: web.Request) -> web.StreamResponse:
    """Forget an ended job, its output and its files."""
    await _jobs(request).delete(request.match_info["id"])
    return json_response(request, JobStatus("deleted"))


async def _created(request: web.Request, job: Job, seconds: int | None) -> web.Response:
    # Relative, so that it is right wherever the application is mounted.
    headers = {"Location": f"{request.rel_url.path.partition('/api/jobs')[0]}/api/jobs/{job.id}"}
    if seconds is None:
        return json_response(request, await _details(request, job), status=201, headers=headers)
    job = await _jobs(request).wait(job.id, seconds)
    return json_response(request, await _details(request, job), status=201, headers=headers)


def _shown(request: web.Request, job: Job) -> ShownJob:
    return ShownJob(**attrs.asdict(job), browse_url=browse_url(request, job.id), queue_position=_place(request, job))


async def _details(request: web.Request, job: Job) -> JobDetails:
    return JobDetails(**attrs.asdict(_shown(request, job)), logs=await _logs(request, job.id))


async def _logs(request: web.Request, job_id: str) -> str:
    return await asyncio.to_thread(lambda: whole(_jobs(request).output(job_id)))


def _place(request: web.Request, job: Job) -> int | None:
    return _jobs(request).position(job.id)


def _statuses(text: str | None) -> list[str]:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    for word in words:
        if word not in STATUSES:
            raise BadRequest(f"There is no status {word}; there are {', '.join(STATUSES)}.", field="status")
    return words


def _wait_seconds(text: str | None) -> int | None:
    if text is None:
        return None
    if text.lower() in {"", "true"}:
        return _DEFAULT_WAIT
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BadRequest(f"`wait` must be a number of seconds, at most {_LONGEST_WAIT}.", field="wait")
    return min(int(text), _LONGEST_WAIT)


def _jobs(request: web.Request) -> Jobs:
    return request.app[SERVICES].jobs
