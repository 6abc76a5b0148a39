"""`ironclaw jobs`: commands and tasks in the sandbox of a running gateway. Output on stdout, all else on stderr."""

import base64
import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import click

from ironclaw.cli import EXIT_STILL_RUNNING
from ironclaw.cli.client import Gateway, fail, url_option
from ironclaw.redact import printable

_HELP = {"help_option_names": ["-h", "--help"]}
_SHOWN = (
    *("id", "title", "status", "detail", "exit_code", "command", "prompt", "created_at", "started_at", "ended_at"),
    *("sandbox", "started_by", "network", "timeout_seconds", "memory_mb", "output_bytes", "disk_bytes", "tokens"),
    *("restart_of", "thread_id", "queue_position", "browse_url"),
)


@click.group(context_settings=_HELP)
def command() -> None:
    """Run commands and agent tasks in a sandbox, and look after them.

    Exit codes: 0 ok, 1 refused, 69 gateway not reachable, 75 still running, 77 token refused; those of `run`, `restart` and
    `logs -f` are the job's own where it has one.
    """


@command.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", metavar="[--] COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("--task", metavar="TEXT", help="instead of a COMMAND: what an agent of its own is to do")
@click.option("--title", help="its name in the list [the command]")
@click.option("--network", is_flag=True, help="let it use the network")
@click.option("--timeout", type=int, metavar="SECONDS", help="time that it may take [JOB_TIMEOUT]")
@click.option("--memory", type=int, metavar="MB", help="memory that it may use [JOB_MEMORY_MB]")
@click.option("--file", "files", multiple=True, metavar="PATH", help="a file for its folder, under its bare name")
@click.option("-i", "--stdin", is_flag=True, help="give it this command's standard input")
@click.option("-d", "--detach", is_flag=True, help="print its id and do not wait")
@url_option
def run(
    *,
    words: tuple[str, ...],
    task: str | None,
    title: str | None,
    network: bool,
    timeout: int | None,
    memory: int | None,
    files: tuple[str, ...],
    stdin: bool,
    detach: bool,
    url: str | None,
) -> None:
    """Run a shell COMMAND in a new sandbox and print its output as it comes; the exit code is the command's.

    One word is taken as a line for the shell (`ironclaw jobs run 'df -h | tail -3'`), several as a command and its
    arguments. Ctrl-C leaves it running.
    """
    if bool(words) is bool(task):
        fail("give a COMMAND, or a --task.", 2)
    asked = {
        "command": (words[0] if len(words) == 1 else shlex.join(words)) if words else None,
        "prompt": task,
        "title": title,
        "stdin": sys.stdin.read() if stdin else None,
        "timeout_seconds": timeout,
        "memory_mb": memory,
        "network": network,
        "files": [_file(Path(path)) for path in files],
    }
    gateway = Gateway.find(url)
    job = gateway.call("POST", "/api/jobs", {name: value for name, value in asked.items() if value is not None})
    _attend(gateway, job["id"], detach=detach)


@command.command("list")
@click.option("-s", "--status", help="only these: pending, running, completed, failed, stopped, timed_out, interrupted")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="at most so many")
@url_option
def list_(*, status: str | None, limit: int, url: str | None) -> None:
    """Print the jobs, the newest first: id, status, start, title."""
    query = {"limit": limit, **({"status": status} if status else {})}
    for job in Gateway.find(url).get(f"/api/jobs?{urlencode(query)}")["jobs"]:
        click.echo(f"{job['id']}  {job['status']:<11}  {job['created_at']}  {printable(job['title'])}")


@command.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="as the gateway answers it")
@url_option
def show(*, job: str, as_json: bool, url: str | None) -> None:
    """Print how JOB is, and what it was asked."""
    found = Gateway.find(url).get(_path(job))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for name in _SHOWN:
        if found[name] not in {None, ""}:
            click.echo(f"{name}: {printable(str(found[name]))}")


@command.command()
@click.argument("job")
@click.option("-f", "--follow", is_flag=True, help="stay until it ends")
@click.option("--raw", is_flag=True, help="the bytes as they were printed, terminal codes and all")
@url_option
def logs(*, job: str, follow: bool, raw: bool, url: str | None) -> None:
    """Print the output of JOB; terminal codes are taken out."""
    gateway = Gateway.find(url)
    if raw:
        if follow:
            fail("--raw can't follow.", 2)
        sys.stdout.buffer.write(gateway.fetch(_path(job, "/logs?raw=1")))
    elif follow:
        _follow(gateway, job)
    else:
        click.echo(gateway.fetch(_path(job, "/logs")).decode(), nl=False, color=True)


@command.command()
@click.argument("job", nargs=-1, required=True)
@url_option
def stop(*, job: tuple[str, ...], url: str | None) -> None:
    """End each JOB with all its processes; print what it is then."""
    gateway = Gateway.find(url)
    for one in job:
        click.echo(f"{one}  {gateway.call('POST', _path(one, '/stop'))['status']}")


@command.command()
@click.argument("job")
@click.option("-d", "--detach", is_flag=True, help="print its id and do not wait")
@url_option
def restart(*, job: str, detach: bool, url: str | None) -> None:
    """Run again what the ended JOB did, as a new job."""
    gateway = Gateway.find(url)
    _attend(gateway, gateway.call("POST", _path(job, "/restart"))["id"], detach=detach)


@command.command()
@click.argument("job")
@click.argument("path", default="")
@url_option
def files(*, job: str, path: str, url: str | None) -> None:
    """Print what is in the folder PATH of JOB's files (all of them without it), or the bytes of the file PATH."""
    gateway = Gateway.find(url)
    if path and not path.endswith("/") and not _is_folder(gateway, job, path):
        sys.stdout.buffer.write(gateway.fetch(_path(job, f"/files/read?{urlencode({'path': path})}")))
        return
    listed = gateway.get(_path(job, f"/files/list?{urlencode({'path': path})}"))
    for entry in listed["entries"]:
        size = "" if entry["is_folder"] else str(entry["size"])
        click.echo(f"{size:>10}  {entry['modified']}  {printable(entry['path'])}{'/' * entry['is_folder']}")
    if listed["truncated"]:
        click.echo("There are more.", err=True)


@command.command()
@click.argument("job", nargs=-1, required=True)
@url_option
def delete(*, job: tuple[str, ...], url: str | None) -> None:
    """Delete each ended JOB, its output and its files."""
    gateway = Gateway.find(url)
    for one in job:
        gateway.call("DELETE", _path(one))


def _path(job: str, below: str = "") -> str:
    return f"/api/jobs/{quote(job, safe='')}{below}"


def _file(path: Path) -> dict[str, str]:
    try:
        return {"path": path.name, "data": base64.b64encode(path.read_bytes()).decode()}
    except OSError as error:
        fail(f"{path} can't be read: {error.strerror}.")


def _is_folder(gateway: Gateway, job: str, path: str) -> bool:
    above, _, name = path.rpartition("/")
    entries = gateway.get(_path(job, f"/files/list?{urlencode({'path': above})}"))["entries"]
    return any(entry["is_folder"] and entry["name"] == name for entry in entries)


def _attend(gateway: Gateway, job: str, *, detach: bool) -> None:
    if detach:
        click.echo(job)
        return
    _follow(gateway, job)


def _follow(gateway: Gateway, job: str) -> NoReturn:
    """Print the output until the job ends, and end as it did."""
    with contextlib.suppress(KeyboardInterrupt):
        for one in gateway.follow(_path(job, "/logs?follow=1")):
            if one["type"] == "log":
                click.echo(one["text"], nl=False, color=True)
                sys.stdout.flush()
            elif one["type"] == "end":
                _end(job, one)
    click.echo(f"ironclaw: {job} runs on. `ironclaw jobs logs -f {job}` shows it, `jobs stop {job}` ends it.", err=True)
    sys.exit(EXIT_STILL_RUNNING)


def _end(job: str, end: dict[str, Any]) -> NoReturn:
    if end["status"] != "completed":
        click.echo(f"ironclaw: {job} {end['status']}: {printable(end['detail'] or '')}", err=True)
    code = end["exit_code"]
    sys.exit(code if code is not None and code < 256 else int(end["status"] != "completed"))
