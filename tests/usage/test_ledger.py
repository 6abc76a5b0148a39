"""What is recorded is counted, on disk within a second, and true after a restart."""

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from usage_parts import NOON, cost, open_parts, records

from ironclaw.database import Database
from ironclaw.hub import MIGRATIONS as HUB
from ironclaw.usage.ledger import Ledger
from ironclaw.usage.periods import end_of, last_days, local_day, midnight, start_of
from ironclaw.usage.store import MIGRATIONS, Totals


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_sums_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        parts.ledger.record(cost(0.25, 10))
        parts.ledger.record(cost(None, 5))
        parts.ledger.record(cost(0.0, 2))
        before = parts.ledger.totals
    assert before == Totals(17, 0.25, 5)
    async with open_parts(tmp_path) as parts:
        assert (parts.ledger.totals, parts.ledger.spent("day"), parts.ledger.spent("month")) == (before, 0.25, 0.25)


async def test_records_are_on_disk_within_a_second_without_being_asked_for(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        parts.ledger.record(cost(0.25, 10))
        count = 0
        async with asyncio.timeout(1):
            while not count:
                await asyncio.sleep(0.05)
                count = await parts.database.read(lambda db: db.execute("SELECT count(*) FROM usage").fetchone()[0])
        assert count == 1


async def test_what_was_recorded_a_second_before_a_kill_is_kept(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from usage_parts import cost, open_parts\n"
        "async def run():\n"
        "    async with open_parts(Path(sys.argv[1])) as parts:\n"
        "        for _ in range(40): parts.ledger.record(cost(0.5, 10)); await asyncio.sleep(0.05)\n"
        "        print('go', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), env={**os.environ, "PYTHONPATH": path}, stdout=-1
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"go\n"
    process.kill()
    await process.wait()
    async with open_parts(tmp_path) as parts:
        assert 20 <= len(await records(parts)) <= 40  # at 20 a second
        count = len(await records(parts))
        assert parts.ledger.totals == Totals(10 * count, 0.5 * count, 0)


async def test_a_report_has_what_was_recorded_a_moment_ago(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        for n in range(50):
            parts.ledger.record(cost(0.5, 10))
            assert (await parts.ledger.report(1)).totals.calls == n + 1


async def test_a_report_waits_for_records_that_are_being_written(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        parts.ledger.record(cost(0.5, 10))
        disk_is_free = threading.Event()
        parts.database.submit(lambda db: disk_is_free.wait(5))
        reports = [asyncio.create_task(parts.ledger.report(1)) for _ in range(2)]  # the first takes what is unwritten
        asyncio.get_running_loop().call_later(0.2, disk_is_free.set)
        assert [report.totals.calls for report in await asyncio.gather(*reports)] == [1, 1]


async def test_what_a_full_disk_refused_is_written_later(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        await parts.database.write(lambda db: db.execute("ALTER TABLE usage RENAME TO away") and None)
        parts.ledger.record(cost(0.5, 10))
        with pytest.raises(sqlite3.Error):
            await parts.ledger.rows(1)
        await parts.database.write(lambda db: db.execute("ALTER TABLE away RENAME TO usage") and None)
        assert len(await records(parts)) == 1


async def test_a_database_of_the_first_version_keeps_its_records_and_sums(tmp_path: Path) -> None:
    first = tuple(one for one in MIGRATIONS if one.number == 20)
    database = await Database.open(tmp_path / "usage.db", (*HUB, *first))
    old = "INSERT INTO usage VALUES (?, '2026-03-14T10:00:00Z', 'thread', 't1', 'openai', 'm', 7, 3, ?)"
    await database.write(lambda db: db.executemany(old, [(1, 0.5), (2, None)]) and None)
    await database.aclose()
    async with open_parts(tmp_path) as parts:
        assert parts.ledger.totals == Totals(20, 0.5, 10)
        assert parts.ledger.spent("day") == 0.5
        assert [record["cached_tokens"] for record in await records(parts)] == [0, 0]


async def test_an_empty_database_has_no_sums(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        assert parts.ledger.totals == Totals(0, 0.0, 0)
        report = await parts.ledger.report(3)
        assert (report.totals.cost_usd, [day.day for day in report.by_day]) == (
            0.0, ["2026-03-12", "2026-03-13", "2026-03-14"],
        )  # fmt: skip


async def test_a_report_sums_by_day_model_thread_and_scope(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        parts.clock.now = NOON - timedelta(days=1)
        parts.ledger.record(cost(0.25, 10, cached_tokens=4, reasoning_tokens=2, priced_by="provider"))
        parts.clock.now = NOON
        parts.ledger.record(cost(0.5, 20, priced_by="prices", estimated=True))
        parts.ledger.record(cost(None, 40, provider="other", model="m", scope_id="t2"))
        parts.ledger.record(cost(0.0, 1, scope="v1", scope_id=None, provider="builtin", model="b", priced_by="local"))
        report = await parts.ledger.report(2)
    total = report.totals
    assert (total.calls, total.total_tokens, total.cached_tokens, total.reasoning_tokens) == (4, 71, 4, 2)
    assert (total.cost_usd, total.unpriced_tokens, total.estimated_calls) == (0.75, 40, 1)
    assert [(one.day, one.calls, one.cost_usd) for one in report.by_day] == [
        ("2026-03-13", 1, 0.25),
        ("2026-03-14", 3, 0.5),
    ]
    assert [(one.provider, one.model, one.cost_usd, one.priced_by) for one in report.by_model] == [
        ("other", "m", None, []), ("openai", "gpt-4o-mini", 0.75, ["prices", "provider"]), ("builtin", "b", 0.0, ["local"]),
    ]  # fmt: skip
    assert [(one.thread_id, one.total_tokens) for one in report.by_thread] == [("t2", 40), ("t1", 30)]
    assert [(one.scope, one.total_tokens) for one in report.by_scope] == [("thread", 70), ("v1", 1)]


async def test_a_report_reads_the_asked_days_only(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        asked: list[str] = []
        await parts.database.read(lambda db: db.set_trace_callback(asked.append))
        await parts.ledger.report(2)
        await parts.database.read(lambda db: db.set_trace_callback(None))
        assert len(asked) == 2
        for sql in asked:
            plan = await parts.database.read(lambda db, sql=sql: db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
            assert "USING INDEX usage_by_time (created_at>? AND created_at<?)" in plan[0]["detail"]
        parts.clock.now = NOON - timedelta(days=40)
        parts.ledger.record(cost(0.25, 10))
        parts.clock.now = NOON
        assert (await parts.ledger.report(40)).totals.calls == 0
        assert (await parts.ledger.report(41)).totals.calls == 1


async def test_a_day_is_one_of_the_local_time_zone(tmp_path: Path, berlin: None) -> None:
    late = datetime(2026, 3, 14, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in Berlin
    async with open_parts(tmp_path, now=late) as parts:
        parts.ledger.record(cost(0.25))
        assert parts.ledger.spent("day") == 0.25
        parts.clock.now += timedelta(seconds=1)
        assert (parts.ledger.spent("day"), parts.ledger.spent("month")) == (0.0, 0.25)
        parts.ledger.record(cost(0.5))
        assert [one.cost_usd for one in (await parts.ledger.report(2)).by_day] == [0.25, 0.5]
        parts.clock.now = late  # the clock was put back
        assert (parts.ledger.spent("day"), parts.ledger.spent("month")) == (0.25, 0.25)
    async with open_parts(tmp_path, now=late) as parts:
        assert parts.ledger.spent("day") == 0.25


def test_days_begin_at_local_midnight_also_when_clocks_change(berlin: None) -> None:
    spring = date(2026, 3, 29)
    assert (midnight(spring), midnight(end_of("day", spring))) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
    assert local_day(datetime(2026, 3, 28, 23, tzinfo=UTC)) == spring


def test_a_month_ends_with_its_last_day() -> None:
    for day, first, after in [
        ("2026-01-31", "2026-01-01", "2026-02-01"), ("2028-02-29", "2028-02-01", "2028-03-01"),
        ("2026-12-01", "2026-12-01", "2027-01-01"),
    ]:  # fmt: skip
        one = date.fromisoformat(day)
        assert (str(start_of("month", one)), str(end_of("month", one))) == (first, after)
    assert [str(day) for day in last_days(3, date(2026, 3, 1))] == ["2026-02-27", "2026-02-28", "2026-03-01"]


async def test_a_thread_list_is_bounded(tmp_path: Path) -> None:
    async with open_parts(tmp_path) as parts:
        for n in range(300):
            parts.ledger.record(cost(0.5, n + 1, scope_id=f"t{n}"))
        report = await parts.ledger.report(1)
        assert len(report.by_thread) == 200
        assert (report.by_thread[0].thread_id, report.totals.calls) == ("t299", 300)


async def test_a_ledger_says_when_its_writer_has_ended(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "usage.db", MIGRATIONS)
    ledger = await Ledger.open(database)
    assert ledger.alive
    await ledger.aclose()
    assert not ledger.alive
    await database.aclose()
