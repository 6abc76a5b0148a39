"""What a job is: what it was asked to do, how it is, how it ended. Plain values."""

import re
import secrets
from typing import Literal

import attrs

from ironclaw.errors import NotFound
from ironclaw.redact import printable, redact
from ironclaw.values import frozen

Status = Literal["pending", "running", "completed", "failed", "stopped", "timed_out", "interrupted"]
Starter = Literal["person", "agent"]

ENDED: tuple[Status, ...] = ("completed", "failed", "stopped", "timed_out", "interrupted")
STATUSES: tuple[Status, ...] = ("pending", "running", *ENDED)
MOST_TITLE = 200

_ID = re.compile(r"job-[0-9a-f]{8}")


@frozen(kw_only=True)
class JobFile:
    """A file that a job finds in its folder: *content* as text, or *data* in base64."""

    path: str
    content: str | None = None
    data: str | None = None


@frozen(kw_only=True)
class JobRequest:
    """What is asked for: a shell *command* or the *prompt* of an agent task, one of both. The title is made of it."""

    command: str | None = None
    prompt: str | None = None
    title: str | None = None
    stdin: str | None = None
    timeout_seconds: int | None = None
    memory_mb: int | None = None
    network: bool = False
    files: list[JobFile] = attrs.Factory(list)


@frozen(kw_only=True)
class Job:
    """One job. Times are RFC 3339; *exit_code* is null where no program ended by itself.

    *reason* is one word on why it ended so, *detail* the same for people: `exit_code`, `stopped`, `wall_time`, `cpu_time`,
    `memory`, `processes`, `file_size`, `disk`, `output`, `tokens`, `sandbox`, `model` or `gateway_ended`; null where it
    just ended well. *output_bytes* is all that it has written, *disk_bytes* what its folder took when it ended.
    """

    id: str
    title: str
    status: Status
    created_at: str
    started_at: str | None = attrs.field()
    ended_at: str | None = attrs.field()
    command: str | None = attrs.field()
    prompt: str | None = attrs.field()
    exit_code: int | None = attrs.field()
    reason: str | None = attrs.field()
    detail: str | None = attrs.field()
    sandbox: str | None = attrs.field()
    started_by: Starter
    thread_id: str | None = attrs.field()
    restart_of: str | None = attrs.field()
    network: bool
    timeout_seconds: int
    memory_mb: int
    output_bytes: int
    disk_bytes: int
    tokens: int

    @property
    def ended(self) -> bool:
        """Whether it has come to an end."""
        return self.status in ENDED


@frozen(kw_only=True)
class Outcome:
    """How a job has ended."""

    status: Status
    exit_code: int | None = None
    reason: str | None = None
    detail: str | None = None


def new_id() -> str:
    """A name that no job has had."""
    return f"job-{secrets.token_hex(4)}"


def check_id(text: str) -> str:
    """The id, if it has the form of one. Raises *NotFound*."""
    if not _ID.fullmatch(text):
        raise missing(text)
    return text


def missing(job_id: str) -> NotFound:
    """The error for a job that is not there."""
    shown = job_id if _ID.fullmatch(job_id) else "this id"
    return NotFound(f"There is no job {shown}. GET /api/jobs lists those that there are.", field="id")


def title_of(request: JobRequest) -> str:
    """The job's title: the given one, else the first line of what it does."""
    text = (request.title or request.command or request.prompt or "").strip()
    line = printable(redact(" ".join(text.split("\n", 1)[0].split())))
    return line if len(line) <= MOST_TITLE else f"{line[: MOST_TITLE - 1]}…"
