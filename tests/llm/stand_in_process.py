"""The scripted model server of `stand_in.py` as a process: start it, script it, read its log, stop it.

The fixture `stand_in` is known where it is imported: `from llm.stand_in_process import run_stand_in  # noqa: F401`.
"""

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_START = 20.0
_PROGRAM = Path(__file__).with_name("stand_in.py")


class StandInProcess:
    """A running stand-in. `url` is where it listens; OpenAI's protocol is below `url + "/v1"`, Ollama's at `url`."""

    def __init__(self, log: Path, *, host: str = "127.0.0.1") -> None:
        self._log = log
        self.process = subprocess.Popen([sys.executable, str(_PROGRAM), "--log", str(log), "--host", host])
        try:
            self.port = int(self.wait_for("listening", within=_START)["port"])
        except BaseException:
            self.close()
            raise
        self.url = f"http://{host}:{self.port}"

    def script(self, model: str, *replies: dict[str, Any]) -> None:
        """What requests for *model* get, one reply each; the last one stays."""
        self._control("script", {"model": model, "replies": list(replies)})

    def facts(self, **facts: Any) -> None:
        """What the lists say: *models*, *loaded*, *show*."""
        self._control("facts", facts)

    def release(self, name: str) -> None:
        """Let a reply go on that holds at *name*."""
        self._control("release", {"name": name})

    def _control(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.url}/control/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def events(self, event: str | None = None, *, path: str | None = None) -> list[dict[str, Any]]:
        """What it has logged, of one kind if *event* is given, and below one *path* if that is."""
        text = self._log.read_text() if self._log.exists() else ""
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        ids = {one.get("id") for one in found if path and one.get("path") == path}
        return [one for one in found if event in (None, one["event"]) and (path is None or one.get("id") in ids)]

    def requests(self, path: str = "/v1/chat/completions") -> list[dict[str, Any]]:
        """The requests that it got for one path."""
        return self.events("request", path=path)

    def wait_for(
        self, event: str, number: int = 1, *, within: float = 5.0, where: Callable[[dict[str, Any]], bool] = bool
    ) -> dict[str, Any]:
        """The *number*-th logged event of a kind that *where* is true for; waits for it."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = [one for one in self.events(event) if where(one)]
            if len(found) >= number:
                return found[number - 1]
            assert self.process.poll() is None, "the stand-in has ended"
            time.sleep(0.01)
        raise AssertionError(f"no {event} within {within} s: {self.events()}")

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(name="stand_in")
def run_stand_in(tmp_path: Path) -> Iterator[StandInProcess]:
    """A stand-in for one test."""
    process = StandInProcess(tmp_path / "stand-in.log")
    yield process
    process.close()


def sse(*chunks: Any, done: bool = True) -> str:
    """Chunks as an event stream; a string stands for itself."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in chunks]
    return "".join(lines) + ("data: [DONE]\n\n" if done else "")


def chunk(content: str | None = None, *, finish: str | None = None, usage: Any = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a chat completion."""
    if content is not None:
        delta["content"] = content
    more = {} if usage is None else {"usage": usage}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def reply(*steps: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    """A scripted reply; a step that is a string is sent. Names of *headers* are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "status": status,
        "headers": named,
        "steps": [{"send": step} if isinstance(step, str) else step for step in steps],
    }


def byte_by_byte(data: bytes) -> list[dict[str, Any]]:
    """Steps that send *data* in as many writes as it has bytes."""
    sent = [{"send64": base64.b64encode(data[at : at + 1]).decode()} for at in range(len(data))]
    return [step for one in sent for step in (one, {"wait": 0})]
