"""Turns of a gateway process, as its clients see them: sent, read as events, and read again from its history."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, chunk, reply, sse

ENDS = {"response", "stopped", "turn_failed"}
KEY = "canary-key-83fa02b1c9d7"
_STAND_IN = Path(__file__).parent / "llm" / "stand_in.py"


def at_home(stand_in: StandInProcess, model: str) -> dict[str, str]:
    """The environment of a gateway whose model is on this machine."""
    return {"LLM_BASE_URL": f"{stand_in.url}/v1", "LLM_MODEL": model, "LLM_API_KEY": KEY}


def hosted(stand_in: StandInProcess, model: str) -> dict[str, str]:
    """The same with a model that is somewhere on the web, behind a proxy: the stand-in plays both.

    Only such a one is waited for as long as the settings say, and its tokens are not free.
    """
    return {**at_home(stand_in, model), "LLM_BASE_URL": "http://models.example.test/v1", "HTTP_PROXY": stand_in.url}


def says(*words: str, usage: tuple[int, int] = (12, 5)) -> dict[str, Any]:
    """A model's reply that is in order."""
    counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return reply(sse(*map(chunk, words), chunk(finish="stop"), {"choices": [], "usage": counted}))


def calls(*wanted: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A model's reply that asks for tools."""
    pieces = [
        {"index": n, "id": f"call_{n}", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(wanted)
    ]
    return reply(sse(chunk(tool_calls=pieces), chunk(finish="tool_calls")))


def turn(gateway: GatewayProcess, message: str, thread_id: str = "a", *, timeout: float = 30.0) -> list[dict[str, Any]]:
    """The events of one turn, to its end; heartbeats are none."""
    status, _, body = gateway.request(
        "POST",
        "/api/chat/send",
        {"message": message, "thread_id": thread_id},
        headers={"Accept": "application/x-ndjson"},
        timeout=timeout,
    )
    assert status == 200, body
    return [event for event in map(json.loads, body.splitlines()) if event["type"] != "ping"]


def history(gateway: GatewayProcess, thread_id: str = "a") -> list[dict[str, Any]]:
    """The turns of a thread as they are stored."""
    status, _, body = gateway.request("GET", f"/api/chat/history?thread_id={thread_id}")
    assert status == 200, body
    return body["turns"]  # type: ignore[no-any-return]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    """The kinds of a turn's events in their order; several of one kind in a row count once.

    What belongs to no thread is left out: the model's state may change at any time while it is looked at.
    """
    found = [str(event.get("type") or event["event"]) for event in events if event["thread_id"] is not None]
    return [kind for place, kind in enumerate(found) if not place or kind != found[place - 1]]


def text_of(events: Sequence[dict[str, Any]]) -> str:
    """What was streamed."""
    return "".join(event["content"] for event in events if (event.get("type") or event["event"]) == "stream_chunk")


def serve_at(port: int, log: Path) -> "subprocess.Popen[bytes]":
    """A stand-in at a port that is known beforehand."""
    process = subprocess.Popen([sys.executable, str(_STAND_IN), "--log", str(log), "--port", str(port)])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError("the stand-in did not start")
