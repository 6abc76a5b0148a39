"""Servers in the sandbox: what of the machine they see, and what is said where they run without one."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, call, say, turn
from conftest import ScriptedModel
from extensions.stdio_ground import KEY, READS, SECRET, install, write_manifest

from ironclaw.extensions.confinement import confinement
from ironclaw.extensions.environment import Environment
from ironclaw.extensions.manifest import parse
from ironclaw.extensions.store import Record
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.settings import Settings


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def looked(client: TestClient) -> str:
    events = await turn(client, "go", thread_id="a")
    return str(next(one for one in events if one["type"] == "tool_completed")["preview"])


async def details(client: TestClient) -> dict[str, Any]:
    return await (await client.get("/api/extensions/local")).json()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("hosts", "expected"), [("", "no no yes no"), ('\nhosts = ["*"]', "no no yes yes")])
async def test_a_server_sees_its_own_folder_and_the_network_only_where_it_declares_hosts(
    make_client: MakeClient, settings: Settings, port: int, hosts: str, expected: str
) -> None:
    assert settings.home is not None
    write_manifest(settings.home, "good", server=READS + hosts, more=KEY)
    arguments = json.dumps({"path": str(settings.home / "secrets.key"), "port": port})
    client = await make_client(settings, llm=ScriptedModel(call("local__look", arguments), say("done")))
    await install(client)
    await client.post("/api/extensions/local/auth", json={"token": SECRET})
    assert (settings.home / "secrets.key").exists()
    assert await looked(client) == expected  # the gateway's key, a file beside the home, its own folder, the network
    assert (settings.home / "extensions/local/data/own").exists()
    said = (await details(client))["confinement"]
    assert said == f"It runs in a sandbox, {'with the network of this machine' if hosts else 'without network'}."


async def test_its_environment_is_explicit_in_the_sandbox_too(
    make_client: MakeClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONCLAW_CANARY", "must-not-be-seen")
    assert settings.home is not None
    write_manifest(settings.home, "good", server=READS + '\n[server.env]\nPLACE = "{data}/x"')
    model = ScriptedModel(call("local__environment"), say("done"))
    client = await make_client(settings, llm=model)
    await install(client)
    await turn(client, "go", thread_id="a")
    text = str(model.requests[1].messages[-1].content)
    variables = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert variables["PLACE"] == "/home/job/x"
    assert "IRONCLAW_CANARY" not in variables
    assert str(settings.home) not in json.dumps(variables)


async def test_without_a_sandbox_it_runs_all_the_same_and_says_so(make_client: MakeClient, settings: Settings) -> None:
    assert settings.home is not None
    write_manifest(settings.home, "good", server=READS)
    client = await make_client(attrs.evolve(settings, sandbox="off"))
    assert (await install(client))["tool_count"] == 6
    assert (await details(client))["confinement"].startswith("It runs without a sandbox. ")


@pytest.mark.skipif(os.geteuid() != 0, reason="a user's folders can be opened by the user's own sandbox")
async def test_root_says_that_a_server_with_folders_runs_without_a_sandbox(
    make_client: MakeClient, settings: Settings, tmp_path: Path
) -> None:
    assert settings.home is not None
    write_manifest(settings.home, "good", server=f'{READS}\nfolders = ["{tmp_path}"]')
    client = await make_client(settings)
    assert (await install(client))["tool_count"] == 6
    assert "the gateway is root" in (await details(client))["confinement"]


GIT = """
name = "x"
version = "1"
title = "X"
description = "x"
[server]
kind = "node"
package = "x"
args = ["{folders}", "{database}"]
folders = ["{folders}", "{database}"]
[[settings]]
name = "folders"
title = "f"
kind = "folders"
[[settings]]
name = "database"
title = "d"
kind = "file"
default = "{data}/x.db"
"""


def test_only_the_folders_that_are_declared_and_set_can_be_written(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    record = Record(source="own", manifest=parse(GIT), enabled=True, installed_at="")
    environment = Environment(tmp_path / "home/x")
    nothing = confinement(record, environment, ("/usr/bin/node",), Sandboxes([]))
    assert (nothing.writable, nothing.network) == ((), False)
    settings = {"folders": f"{tmp_path}/a:{tmp_path}/b", "database": f"{tmp_path}/c/y.db"}
    some = confinement(attrs.evolve(record, settings=settings), environment, ("/usr/bin/node",), Sandboxes([]))
    assert some.writable == (tmp_path / "a", tmp_path / "b", tmp_path / "c")
