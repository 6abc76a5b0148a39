"""The backups that a gateway makes by itself: when, how many are kept, and what is said when one fails."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from backup_home import KNOWN
from gateway_process import GatewayProcess

from ironclaw.backup.contents import name_for
from ironclaw.backup.restore import verify
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]


def nightly_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("ironclaw-nightly-*"))


async def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def part(client: TestClient) -> dict[str, Any]:
    await asyncio.sleep(1.1)  # parts are looked at once a second
    return (await (await client.get("/api/status")).json())["parts"]["backup"]  # type: ignore[no-any-return]


def last_night(settings: Settings) -> datetime:
    now = datetime.now().astimezone()
    due = now.replace(hour=settings.backup_hour, minute=0, second=0, microsecond=0)
    return due if due <= now else due - timedelta(days=1)


@pytest.fixture
def soon(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a gateway that makes up for a missed night at once."""
    return attrs.evolve(settings, backup_delay=0.0, backup_dir=tmp_path / "backups")


async def test_a_missed_night_is_made_up_for_and_a_good_backup_it_is(make_client: MakeClient, soon: Settings) -> None:
    assert soon.backup_dir is not None
    soon.backup_dir.mkdir()
    old = name_for(last_night(soon) - timedelta(minutes=1), nightly=True)
    (soon.backup_dir / old).write_bytes(b"of the night before")
    client = await make_client(soon)
    await until(lambda: len(nightly_names(soon.backup_dir)) == 2, "no backup was made")
    keeper = client.gateway.services.backups  # type: ignore[attr-defined]
    await until(lambda: not keeper.busy, "it did not come to its end")
    new = next(name for name in nightly_names(soon.backup_dir) if name != old)
    verify(soon.backup_dir / new, KNOWN)
    found = await (await client.get("/api/backups")).json()
    assert [one["name"] for one in found["backups"]] == [new, old]
    assert (found["keep"], found["busy"], found["failure"]) == (7, False, None)
    assert datetime.fromisoformat(found["next_at"]) == last_night(soon) + timedelta(days=1)
    assert (await part(client)) == {
        "state": "ok",
        "reason": f"The newest backup is of {found['backups'][0]['created_at']}.",
    }


async def test_a_night_that_has_its_backup_gets_no_second_one(make_client: MakeClient, soon: Settings) -> None:
    assert soon.backup_dir is not None
    soon.backup_dir.mkdir()
    there = name_for(last_night(soon) + timedelta(seconds=1), nightly=True)
    (soon.backup_dir / there).write_bytes(b"of this night")
    client = await make_client(soon)
    keeper = client.gateway.services.backups  # type: ignore[attr-defined]
    await until(lambda: keeper.newest is not None, "it did not look")
    await asyncio.sleep(0.2)
    assert nightly_names(soon.backup_dir) == [there]


async def test_the_oldest_nightly_ones_go_and_those_made_by_hand_stay(make_client: MakeClient, soon: Settings) -> None:
    assert soon.backup_dir is not None
    soon.backup_dir.mkdir()
    nights = [name_for(last_night(soon) - timedelta(days=n), nightly=True) for n in range(1, 10)]
    by_hand = name_for(last_night(soon) - timedelta(days=99))
    left = soon.backup_dir / ".ironclaw-20260101T000000Z.tar.gz.part"
    for name in (*nights, by_hand, left.name, "photos.tar.gz"):
        (soon.backup_dir / name).write_bytes(b"x")
    os.utime(left, (0, 0))
    await make_client(attrs.evolve(soon, backup_keep=3))
    await until(lambda: len(nightly_names(soon.backup_dir)) == 3, "the old ones are still there")
    assert nightly_names(soon.backup_dir)[:2] == sorted(nights[:2])
    assert (soon.backup_dir / by_hand).exists()
    assert (soon.backup_dir / "photos.tar.gz").exists()
    assert not left.exists()


async def test_none_are_made_where_they_are_off_or_the_home_is_a_temporary_one(
    make_client: MakeClient, soon: Settings
) -> None:
    assert soon.backup_dir is not None
    off = await make_client(attrs.evolve(soon, backup_keep=0))
    temporary = await make_client(attrs.evolve(soon, home=None))
    await asyncio.sleep(0.3)
    assert not soon.backup_dir.exists()
    assert (await (await off.get("/api/backups")).json())["next_at"] is None
    assert await part(temporary) == {"state": "ok", "reason": "There are none: BACKUP_KEEP is 0."}


async def test_a_failure_degrades_the_status_with_its_reason_and_a_success_mends_it(
    make_client: MakeClient, soon: Settings
) -> None:
    assert soon.backup_dir is not None
    soon.backup_dir.write_text("a file where the folder should be")
    client = await make_client(soon)
    keeper = client.gateway.services.backups  # type: ignore[attr-defined]
    await until(lambda: keeper.failure, "it did not fail")
    found = await part(client)
    assert found["state"] == "degraded"
    assert str(soon.backup_dir) in found["reason"]
    assert (await client.get("/readyz")).status == 200  # all else works on
    reply = await client.post("/api/backups")
    assert (reply.status, (await reply.json())["error"]["code"]) == (503, "backup_failed")
    soon.backup_dir.unlink()
    assert (await client.post("/api/backups")).status == 201
    assert (await part(client))["state"] == "ok"


async def test_one_that_is_asked_for_is_made_once_at_a_time_whoever_goes_away(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings)
    assert settings.home is not None
    both = await asyncio.gather(*(client.post("/api/backups") for _ in range(2)))
    assert sorted(one.status for one in both) == [201, 409]
    made = await next(one for one in both if one.status == 201).json()
    assert (made["nightly"], made["with_secrets"]) == (False, False)
    verify(settings.home / "backups" / made["name"], KNOWN)


@pytest.mark.process
def test_a_gateway_that_ends_during_a_backup_breaks_it_off_and_leaves_nothing(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    gateway = gateway_process(BACKUP_DIR=str(folder), BACKUP_DELAY="0.5")
    (gateway.home / "workspace").mkdir(parents=True)
    for number in range(12):
        (gateway.home / "workspace" / f"{number}.bin").write_bytes(os.urandom(8 << 20))
    gateway.start()
    deadline = time.monotonic() + 20
    while not list(folder.glob(".*.part")):
        assert time.monotonic() < deadline, gateway.log
        time.sleep(0.01)
    gateway.terminate()
    assert gateway.wait(20) == 0
    assert list(folder.iterdir()) == []
    assert "Traceback" not in gateway.log
