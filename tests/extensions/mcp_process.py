"""The stand-in of `mcp_server.py` as a process: start it, read its log, change what it does.

The fixture `hosted` is known where it and the process behind it are imported: `run_hosted` and `run_hosted_process`.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOKEN_OF_SERVER = "ghp_abc123xyz456"
_START = 30.0
_PROGRAM = Path(__file__).with_name("mcp_server.py")


class HostedServer:
    """A running stand-in: `url` is where MCP is spoken."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._seen = 0
        with log.with_suffix(".err").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), "--log", str(log), "--token", TOKEN_OF_SERVER], stderr=errors
            )
        deadline = time.monotonic() + _START
        while not self.events("listening"):
            assert self.process.poll() is None, log.with_suffix(".err").read_text()
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.05)
        self.port = int(self.events("listening")[0]["port"])
        self.url = f"http://127.0.0.1:{self.port}/mcp"

    def set(self, **facts: Any) -> None:
        """Change the *token* that it takes, or where it sends all requests on to (*redirect*)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/control", json.dumps(facts).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def events(self, event: str) -> list[dict[str, Any]]:
        """What it has logged of one kind, for this test."""
        return [one for one in self._all()[self._seen :] if one["event"] == event]

    def begin(self) -> None:
        """Be as new, for the next test."""
        self.set(token=TOKEN_OF_SERVER, redirect=None, header="authorization")
        self._seen = len(self._all())

    def _all(self) -> list[dict[str, Any]]:
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(name="hosted_process", scope="module")
def run_hosted_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedServer]:
    """One process for all tests of a module: it takes seconds to start."""
    server = HostedServer(tmp_path_factory.mktemp("hosted") / "hosted.jsonl")
    yield server
    server.close()


@pytest.fixture(name="hosted")
def run_hosted(hosted_process: HostedServer) -> HostedServer:
    """A hosted MCP server that takes one token."""
    hosted_process.begin()
    return hosted_process
