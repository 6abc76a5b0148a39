"""Manifests for the stand-in of `stdio_server.py`, written into a home as a user would, and what tests do with them."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient

PROGRAM = Path(__file__).with_name("stdio_server.py")
SECRET = "canary-key-0123456789"


def write_manifest(
    home: Path, how: str, *, name: str = "local", more: str = "", timeout: float = 30.0, server: str = "sandbox = false"
) -> Path:
    """An own manifest; the file in which the server notes its starts. *server* is more of its section of that name."""
    folder = home / "extensions"
    folder.mkdir(parents=True, exist_ok=True)
    notes = home.parent / f"{name}.starts"
    (folder / f"{name}.toml").write_text(
        f"""
name = "{name}"
version = "1.0"
title = "Local"
description = "A server of this test."

[server]
kind = "command"
command = "{sys.executable}"
args = ["{PROGRAM}", "{how}", "{notes}"]
{server}

[tools]
read = ["*"]
timeout = {timeout}
{more}
"""
    )
    return notes


READS = f'reads = ["{PROGRAM.parent}", "{sys.prefix}", "{sys.base_prefix}"]'
KEY = '[[secrets]]\nname = "key"\ntitle = "Key"\nenv = "KEY"\n'


def starts(notes: Path) -> list[int]:
    """The process ids of all its starts."""
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


def is_alive(pid: int) -> bool:
    """Whether there is such a process, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], Any], within: float = 20.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, 9)


async def install(client: TestClient, name: str = "local") -> dict[str, Any]:
    """The item once its tools were listed, or it failed."""
    response = await client.post("/api/extensions/install", json={"name": name}, params={"wait": "30"})
    body = await response.json()
    assert response.status == 200, body
    return body
