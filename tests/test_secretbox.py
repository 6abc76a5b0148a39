"""Secrets at rest: they come back for their name and origin only, and no file and no log shows them."""

import logging
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.database import Database
from ironclaw.errors import Unavailable
from ironclaw.redact import redact
from ironclaw.secretbox import MIGRATIONS, SecretBox
from ironclaw.secretbox.box import _bound, _seal, _unseal

CANARY = "canary-secret-3f9b1c77"
ORIGIN = "https://models.test"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "ironclaw.db", MIGRATIONS)
    yield opened
    await opened.aclose()


@pytest.fixture
def box(database: Database, tmp_path: Path) -> SecretBox:
    return SecretBox(database, tmp_path)


async def test_a_secret_comes_back_for_its_name_and_origin_only(box: SecretBox) -> None:
    await box.put("model", CANARY, origin=ORIGIN)
    assert await box.get("model", origin=ORIGIN) == CANARY
    assert await box.get("model", origin="https://other.test") is None
    assert await box.get("other", origin=ORIGIN) is None
    assert await box.has("model")
    assert not await box.has("other")


async def test_a_new_value_takes_the_place_of_the_old_and_a_forgotten_one_is_gone(box: SecretBox) -> None:
    await box.put("model", CANARY, origin=ORIGIN)
    await box.put("model", "next-" + CANARY, origin="http://next.test")
    assert await box.get("model", origin=ORIGIN) is None
    assert await box.get("model", origin="http://next.test") == "next-" + CANARY
    await box.forget("model")
    await box.forget("model")
    assert not await box.has("model")


@pytest.mark.parametrize("change", ["name = 'other'", "origin = 'https://evil.test'", "sealed = zeroblob(40)"])
async def test_a_row_that_was_moved_or_changed_does_not_open(box: SecretBox, database: Database, change: str) -> None:
    await box.put("model", CANARY, origin=ORIGIN)
    await database.write(lambda db: db.execute(f"UPDATE secrets SET {change}"))
    for name in ("model", "other"):
        for origin in (ORIGIN, "https://evil.test"):
            assert await box.get(name, origin=origin) is None
        assert not await box.has(name)


async def test_a_row_of_a_few_bytes_counts_as_missing(box: SecretBox, database: Database) -> None:
    await box.put("model", CANARY, origin=ORIGIN)
    for sealed in (b"", b"123", b"1" * 12):
        await database.write(lambda db, sealed=sealed: db.execute("UPDATE secrets SET sealed = ?", (sealed,)))
        assert await box.get("model", origin=ORIGIN) is None


async def test_s20_no_file_of_the_home_shows_a_secret_and_the_key_is_the_owners_only(
    box: SecretBox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mask = os.umask(0)
    try:
        await box.put("model", CANARY, origin=ORIGIN)
    finally:
        os.umask(mask)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {"ironclaw.db", "ironclaw.db-wal", "secrets.key"} <= {path.name for path in files}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert CANARY.encode() not in path.read_bytes()
    assert CANARY not in caplog.text
    assert CANARY not in redact(f"key {CANARY} in a line")


async def test_the_key_of_the_home_is_made_once_and_kept(box: SecretBox, tmp_path: Path) -> None:
    assert not (tmp_path / "secrets.key").exists()
    assert await box.get("model", origin=ORIGIN) is None
    assert not (tmp_path / "secrets.key").exists()
    await box.put("a", CANARY, origin=ORIGIN)
    kept = (tmp_path / "secrets.key").read_bytes()
    await box.put("b", CANARY, origin=ORIGIN)
    assert (tmp_path / "secrets.key").read_bytes() == kept
    assert len(bytes.fromhex(kept.decode())) == 32


@pytest.mark.parametrize("damage", [None, b"", b"no key\n", b"\xff\xfe", b"00" * 31, b"11" * 32])
async def test_with_a_lost_or_wrong_key_a_secret_counts_as_missing_and_the_log_says_so_once(
    box: SecretBox, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    await box.put("model", CANARY, origin=ORIGIN)
    kept = (tmp_path / "secrets.key").read_bytes()
    if damage is None:
        (tmp_path / "secrets.key").unlink()
    else:
        (tmp_path / "secrets.key").write_bytes(damage)
    assert await box.get("model", origin=ORIGIN) is None
    assert not await box.has("model")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "enter the secret anew" in caplog.text
    (tmp_path / "secrets.key").write_bytes(kept)  # put back from a copy, it opens again
    assert await box.get("model", origin=ORIGIN) == CANARY


async def test_a_damaged_key_is_never_replaced(box: SecretBox, tmp_path: Path) -> None:
    (tmp_path / "secrets.key").write_bytes(b"half a k")
    with pytest.raises(Unavailable, match="Put a copy of it back"):
        await box.put("model", CANARY, origin=ORIGIN)
    assert (tmp_path / "secrets.key").read_bytes() == b"half a k"


@given(st.text(max_size=200), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_what_is_sealed_opens_with_exactly_its_name_and_origin(
    value: str, name: str, origin: str, other_name: str, other_origin: str
) -> None:
    from cryptography.exceptions import InvalidTag

    key = bytes(range(32))
    sealed = _seal(key, value, _bound(name, origin))
    assert _unseal(key, sealed, _bound(name, origin)) == value
    if (other_name, other_origin) != (name, origin):
        with pytest.raises(InvalidTag):
            _unseal(key, sealed, _bound(other_name, other_origin))


async def test_a_secret_outlives_the_process(tmp_path: Path) -> None:
    for step in range(2):
        database = await Database.open(tmp_path / "ironclaw.db", MIGRATIONS)
        box = SecretBox(database, tmp_path)
        if step == 0:
            await box.put("model", CANARY, origin=ORIGIN)
        assert await box.get("model", origin=ORIGIN) == CANARY
        await database.aclose()
    with sqlite3.connect(tmp_path / "ironclaw.db") as db:
        assert CANARY not in str(db.execute("SELECT * FROM secrets").fetchall())
    db.close()
