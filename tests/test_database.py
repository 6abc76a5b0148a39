"""The database: groups, durability, migrations, damage."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw.database import Database, DatabaseFailed, Migration
from ironclaw.errors import ConfigError

ONE = (Migration(1, "one", "CREATE TABLE things (name TEXT UNIQUE) STRICT"),)


def add(name: str) -> object:
    return lambda db: db.execute("INSERT INTO things VALUES (?)", (name,)).rowcount


async def names(database: Database) -> list[str]:
    return await database.read(lambda db: [row[0] for row in db.execute("SELECT name FROM things ORDER BY rowid")])


async def test_one_that_fails_in_a_group_takes_only_itself_back(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", ONE)
    results = await asyncio.gather(
        *(database.write(add(name)) for name in ("a", "b", "a", "c")), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False]
    assert await names(database) == ["a", "b", "c"]
    await database.aclose()


async def test_a_write_whose_caller_is_cancelled_is_still_carried_out_whole(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", ONE)
    task = asyncio.create_task(database.write(add("a")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.write(add("b"))
    assert await names(database) == ["a", "b"]
    await database.aclose()


async def test_r11_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "x.db", (*ONE, Migration(2, "two", "SELECT 1")))).aclose()
    with pytest.raises(ConfigError, match="newer version"):
        await Database.open(tmp_path / "x.db", ONE)


async def test_r11_a_migration_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = Migration(2, "two", "CREATE TABLE more (x TEXT); INSERT INTO nowhere VALUES (1)")
    with pytest.raises(ConfigError):
        await Database.open(tmp_path / "x.db", (*ONE, broken))
    fixed = Migration(2, "two", "CREATE TABLE more (x TEXT)")
    database = await Database.open(tmp_path / "x.db", (*ONE, fixed))
    assert await database.read(lambda db: db.execute("SELECT count(*) FROM migrations").fetchone()[0]) == 2
    await database.aclose()


async def test_r08_a_damaged_file_is_kept_and_never_replaced_silently(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    database = await Database.open(path, ONE)
    for number in range(200):
        await database.write(add(f"name {number} " * 20))
    await database.aclose()
    data = bytearray(path.read_bytes())
    data[4096:12_288] = b"\xff" * 8192
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="--start-empty"):
        await Database.open(path, ONE)
    kept = [one for one in tmp_path.iterdir() if ".corrupt-" in one.name and not one.name.endswith(("-wal", "-shm"))]
    assert kept
    assert kept[0].read_bytes() == bytes(data)
    with pytest.raises(ConfigError, match="--start-empty"):  # nor does a second start begin anew
        await Database.open(path, ONE)
    database = await Database.open(path, ONE, start_empty=True)
    assert await names(database) == []
    await database.aclose()


async def test_r33_a_lock_of_another_program_is_waited_out(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", ONE)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    writing = asyncio.create_task(database.write(add("a")))
    await asyncio.sleep(1.0)
    assert not writing.done()
    other.execute("COMMIT")
    other.close()
    assert await writing == 1
    await database.aclose()


async def test_a_failed_commit_is_said_to_each_caller_and_forgotten_after_the_next(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", ONE)
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 6").fetchone())
    with pytest.raises(DatabaseFailed, match="disk"):
        await database.write(add("x" * 100_000))
    assert database.failure
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    await database.write(add("y"))
    assert database.failure is None
    assert await names(database) == ["y"]
    await database.aclose()


async def test_files_are_readable_by_the_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", ONE)
    await database.write(add("a"))
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    await database.aclose()


# Upgrades

MANY = tuple(
    Migration(
        10 + n, f"step {n}", f"CREATE TABLE step_{n} (x TEXT); INSERT INTO step_{n} VALUES (hex(randomblob(20000)))"
    )
    for n in range(4)
)
UPGRADE = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_database import MANY, ONE
from ironclaw.database import Database

asyncio.run(Database.open(Path(sys.argv[1]), (*ONE, *MANY)))
"""


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("x.db.before-upgrade-*"))


async def test_r11_an_upgrade_keeps_a_copy_from_before_and_the_older_program_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    database = await Database.open(path, ONE)
    await database.write(add("a"))
    await database.aclose()
    assert copies(tmp_path) == []  # there was nothing before
    await (await Database.open(path, (*ONE, *MANY))).aclose()
    await (await Database.open(path, (*ONE, *MANY))).aclose()  # nothing to be done: no second copy
    (copy,) = copies(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match=f"newer version.*{copy.name}"):
        await Database.open(path, ONE)
    path.write_bytes(copy.read_bytes())
    database = await Database.open(path, ONE)
    assert await names(database) == ["a"]
    await database.aclose()


async def test_only_the_last_three_copies_are_kept(tmp_path: Path) -> None:
    for day in range(1, 6):
        (tmp_path / f"x.db.before-upgrade-2020010{day}T000000").write_text("old")
    await (await Database.open(tmp_path / "x.db", ONE)).aclose()
    await (await Database.open(tmp_path / "x.db", (*ONE, *MANY))).aclose()
    assert [path.name[-15:] for path in copies(tmp_path)][:2] == ["20200104T000000", "20200105T000000"]
    assert len(copies(tmp_path)) == 3


@pytest.mark.process
@pytest.mark.parametrize("write", [1, 12, 40, 75])
async def test_r11_a_kill_during_an_upgrade_leaves_the_old_or_the_new_and_the_next_start_ends_it(
    tmp_path: Path, write: int
) -> None:
    path = tmp_path / "x.db"
    database = await Database.open(path, ONE)
    await database.write(add("a"))
    await database.aclose()
    trace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64")
    command = (sys.executable, "-c", UPGRADE, str(path), str(Path(__file__).parent))
    killed = await asyncio.to_thread(
        subprocess.run, (*trace, "-e", f"inject=pwrite64:signal=KILL:when={write}", *command), timeout=50
    )
    assert killed.returncode != 0, "it was done before so many writes"
    db = sqlite3.connect(path)
    done = {row[0] for row in db.execute("SELECT number FROM migrations")}
    db.close()
    assert done in ({1}, {1, 10, 11, 12, 13})
    database = await Database.open(path, (*ONE, *MANY))
    assert await names(database) == ["a"]
    assert await database.read(lambda db: db.execute("SELECT count(*) FROM step_3").fetchone()[0]) == 1
    await database.aclose()
