"""`ironclaw chat`: ask once, or talk. Only the answer goes to stdout; all else to stderr."""

import base64
import contextlib
import json
import mimetypes
import readline
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ironclaw.cli import EXIT_STILL_RUNNING
from ironclaw.cli.client import Gateway, colored, fail, url_option

_SHOWN_TURNS = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("text", required=False)
@click.option("-m", "--message", help="the message, or its first part; - for standard input alone")
@click.option("--thread", "thread_id", metavar="ID", help="the conversation [the default one]")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a picture or a text file to send along; may be given again",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON document with the answer and its usage")
@click.option("--no-approvals", is_flag=True, help="refuse tools that would ask for an approval")
@url_option
def command(
    *,
    text: str | None,
    message: str | None,
    thread_id: str | None,
    files: tuple[Path, ...],
    as_json: bool,
    no_approvals: bool,
    url: str | None,
) -> None:
    """Send TEXT to the agent and print its answer; without any text, talk.

    Text from standard input is put behind the message: `git diff | ironclaw chat "review this"`.

    A tool that needs your approval asks on the terminal; without one it waits for an answer in the page (exit 75).

    Exit codes: 0 answered, 1 no answer, 69 gateway not reachable, 75 still running, 77 token refused.
    """
    parts = [part for part in (message if message != "-" else None, text) if part]
    if not sys.stdin.isatty():
        parts.append(sys.stdin.read())
    asked = "\n\n".join(part.strip() for part in parts if part.strip())
    extra: dict[str, Any] = {"thread_id": thread_id} if thread_id else {}
    if files:
        extra["attachments"] = [_attached(path) for path in files]
    if no_approvals:
        extra["approvals"] = "deny"
    gateway = Gateway.find(url)
    if asked:
        sys.exit(_ask_json(gateway, asked, extra) if as_json else _ask(gateway, asked, extra))
    if message is not None or files or not sys.stdin.isatty():
        fail("there is no text to send.", 2)
    _talk(gateway, extra)


def _attached(path: Path) -> dict[str, str]:
    """A file in the form of the API. One of a type that nobody knows is sent as text: the gateway looks."""
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        fail(f"{path} can't be read: {error.strerror}.")
    return {"name": path.name, "media_type": kind, "data": data}


def _ask(gateway: Gateway, text: str, extra: dict[str, Any]) -> int:
    """Print the answer as it is written; 0, or 1 when there is none."""
    shown = False
    for event in gateway.stream("/api/chat/send", {"message": text, **extra}):
        match event["type"]:
            case "stream_chunk":
                shown = True
                _write(event["content"])
            case "approval_needed" if not _allowed(gateway, event):
                return EXIT_STILL_RUNNING
            case "response":
                _write("\n" if shown else event["content"] + "\n")
                return 0
            case "stopped":
                _write("\n" if shown else "")
                return _complain("stopped before its end")
            case "turn_failed":
                _write("\n" if shown else "")
                return EXIT_STILL_RUNNING if event["code"] == "interrupted" else _complain(event["message"])
            case _:
                pass
    return _complain("the answer broke off")


def _allowed(gateway: Gateway, event: dict[str, Any]) -> bool:
    """Ask the person at the terminal about a call that waits, and send the answer; False where nobody can be asked."""
    click.echo(f"\nThe assistant wants to use {event['name']} on:\n  {event['subject']}", err=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        click.echo(
            "ironclaw: it waits for your answer in the page. --no-approvals refuses such calls instead.", err=True
        )
        return False
    choices = {"y": "approve", "n": "deny"} | ({"a": "always"} if event["always"] else {})
    words = "[y]es, [n]o, [a]lways" if event["always"] else "[y]es, [n]o"
    answer = click.prompt(f"Allow it? {words}", type=click.Choice(list(choices)), show_choices=False, err=True)
    status, reply = gateway.post("/api/chat/approval", {"request_id": event["request_id"], "action": choices[answer]})
    if status != 200:
        _complain(reply["error"]["message"])
    return True


def _ask_json(gateway: Gateway, text: str, extra: dict[str, Any]) -> int:
    status, reply = gateway.post("/api/chat/send?wait=600", {"message": text, **extra})
    click.echo(json.dumps({"ok": status == 200, **reply}, ensure_ascii=False))
    return {200: 0, 202: EXIT_STILL_RUNNING}.get(status, 1)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _complain(message: str) -> int:
    click.echo(f"ironclaw: {message}", err=True)
    return 1


# Talking


def _talk(gateway: Gateway, extra: dict[str, Any]) -> None:
    """Read lines and answer them until Ctrl-D. Ctrl-C stops an answer, not the conversation."""
    history = _history(gateway, extra)
    thread_id = str(history["thread_id"])
    for turn in history["turns"]:
        readline.add_history(turn["user_message"].replace("\n", " "))
    for turn in history["turns"][-_SHOWN_TURNS:]:
        click.echo(_dim(f"> {turn['user_message']}"))
        click.echo(f"{turn['response'] or ''}\n")
    click.echo(_dim("Type a message. Ctrl-C stops an answer, Ctrl-D ends; /help says what there is."), err=True)
    for line in _lines():
        try:
            _answer(gateway, line, {**extra, "thread_id": thread_id})
        except KeyboardInterrupt:
            gateway.post("/api/chat/stop", {"thread_id": thread_id})
            click.echo("\nStopped.", err=True)
        if line.split() == ["/new"] and not extra:
            thread_id = str(_history(gateway, extra)["thread_id"])


def _history(gateway: Gateway, extra: dict[str, Any]) -> dict[str, Any]:
    thread = extra.get("thread_id")
    if thread is None:
        return gateway.get("/api/chat/history?limit=50")
    known = [one["id"] for one in gateway.get("/api/chat/threads?limit=200")["threads"]]
    if thread not in known:
        return {"thread_id": thread, "turns": []}
    return gateway.get(f"/api/chat/history?limit=50&thread_id={thread}")


def _lines() -> Iterator[str]:
    """What is typed, line by line; blank ones are passed over."""
    while True:
        try:
            line = input("> ")
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            continue
        if line.strip():
            yield line


def _answer(gateway: Gateway, text: str, extra: dict[str, Any]) -> None:
    for event in gateway.stream("/api/chat/send", {"message": text, **extra}):
        match event["type"]:
            case "stream_chunk":
                _write(event["content"])
            case "tool_completed":
                click.echo(_dim(f"[{event['name']}: {event['preview']}]"), err=True)
            case "queued":
                click.echo(_dim(f"[waiting, place {event['position']}]"), err=True)
            case "approval_needed":
                _allowed(gateway, event)
            case "turn_failed":
                click.echo(f"\nironclaw: {event['message']}", err=True)
            case "response" | "stopped":
                _write("\n\n")
            case _:
                pass


def _dim(text: str) -> str:
    return click.style(text, dim=True) if colored() else text


with contextlib.suppress(AttributeError):
    readline.set_auto_history(True)
