"""The sequence of events: order, durability, replay, reset, and clients that do not read."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironclaw.database import Database
from ironclaw.events import Response, StreamChunk, ToolCompleted, TurnFailed, TurnUsage
from ironclaw.hub import MIGRATIONS, Hub, ReaderTooSlow, Released, Subscription

USAGE = TurnUsage(input_tokens=0, output_tokens=0, total_tokens=0)


class Reader:
    """A client that keeps what it gets; one event a line."""

    def __init__(self, types: frozenset[str] | None = None) -> None:
        self.types = types
        self.seen = 0
        self.ids: list[int] = []
        self.kinds: list[str] = []
        self.broken = False

    @staticmethod
    def frames(batch: list[Released]) -> bytes:
        return b"".join(b"%d %s\n" % (one.id, one.kind.encode()) for one in batch)

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("broken on purpose")
        for line in data.decode().splitlines():
            id_, kind = line.split()
            self.ids.append(int(id_))
            self.kinds.append(kind)

    async def drain(self) -> None:
        await asyncio.sleep(0)


def chunk(text: str = "x", thread: str = "t", message: str = "m") -> StreamChunk:
    return StreamChunk(content=text, thread_id=thread, message_id=message)


def response(thread: str = "t", message: str = "m", text: str = "whole") -> Response:
    return Response(content=text, thread_id=thread, message_id=message, usage=USAGE, cost_usd=None, duration_ms=1)


def interrupted(thread: str = "t", message: str = "m") -> TurnFailed:
    return TurnFailed(
        code="interrupted",
        message="",
        content="",
        thread_id=thread,
        message_id=message,
        usage=USAGE,
        cost_usd=None,
        duration_ms=0,
    )


def completed(thread: str = "t") -> ToolCompleted:
    return ToolCompleted(
        name="T", success=True, thread_id=thread, message_id="m", call_id="c", duration_ms=1, preview=""
    )


async def open_hub(path: Path) -> tuple[Database, Hub]:
    database = await Database.open(path / "hub.db", MIGRATIONS)
    return database, await Hub.open(database)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    database, hub = await open_hub(tmp_path)
    yield hub
    await hub.aclose()
    await database.aclose()


async def read_all(subscription: Subscription, got: list[Released]) -> None:
    async for released in subscription:
        got.append(released)


async def settle(hub: Hub, last: int) -> None:
    async with asyncio.timeout(5):
        while hub.head < last:
            await asyncio.sleep(0.001)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_events_leave_in_id_order_behind_one_that_is_not_on_disk_yet(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, None, None)
    for _ in range(3):
        hub.publish(response())
        hub.publish(chunk())
        last = hub.publish(chunk()).id
    assert reader.ids == []  # all wait for the first commit
    await settle(hub, last)
    assert reader.ids == sorted(reader.ids)
    assert len(reader.ids) == 9


async def test_an_event_that_must_be_stored_and_is_not_is_never_seen(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, None, None)

    def fail(_: sqlite3.Connection) -> None:
        raise ValueError("no")

    published = hub.publish(response(), fail, required=True)
    kept = hub.publish(response())
    assert published.stored is not None
    with pytest.raises(ValueError, match="no"):
        await published.stored
    await settle(hub, kept.id)
    assert reader.ids == [kept.id]


async def test_an_end_that_could_not_be_stored_is_still_shown_to_those_who_listen(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, None, None)

    def fail(_: sqlite3.Connection) -> None:
        raise ValueError("no")

    published = hub.publish(response(), fail)
    await settle(hub, published.id)
    assert reader.ids == [published.id]


async def test_a_thread_listener_gets_its_own_thread_only(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, "b", None)
    hub.publish(chunk(thread="a"))
    own = hub.publish(chunk(thread="b"))
    await settle(hub, own.id)
    assert reader.ids == [own.id]


async def test_types_choose_what_a_client_gets(hub: Hub) -> None:
    reader = Reader(types=frozenset({"response"}))
    await hub.join(reader, None, None)
    hub.publish(chunk())
    await settle(hub, hub.publish(response()).id)
    assert reader.kinds == ["response"]


async def test_r17_any_place_in_the_past_is_resumed_without_loss_or_double(hub: Hub) -> None:
    ids = []
    for number in range(300):
        ids.append(hub.publish(chunk() if number % 7 else completed()).id)
    await settle(hub, ids[-1])
    for start in (0, *ids[::29]):
        reader = Reader()
        await hub.join(reader, None, start)
        more = hub.publish(chunk()).id
        ids.append(more)
        await settle(hub, more)
        assert reader.ids == [one for one in ids if one > start]
        hub.leave(reader, None)


async def test_resume_goes_over_from_the_log_to_memory_without_a_seam(tmp_path: Path) -> None:
    database, hub = await open_hub(tmp_path)
    old = [hub.publish(completed()).id for _ in range(20)]
    await settle(hub, old[-1])
    await hub.aclose()
    await database.aclose()
    database, hub = await open_hub(tmp_path)
    reader = Reader()
    new = [hub.publish(completed()).id, hub.publish(chunk()).id]
    await settle(hub, new[-1])
    await hub.join(reader, None, old[4])
    assert reader.ids == [*old[5:], *new]
    await hub.aclose()
    await database.aclose()


async def test_ids_never_repeat_when_the_process_dies_without_a_word(tmp_path: Path) -> None:
    database, hub = await open_hub(tmp_path)
    highest = max(hub.publish(chunk()).id for _ in range(50))
    assert hub._trimmer is not None
    hub._trimmer.cancel()
    await database.aclose()
    database, later = await open_hub(tmp_path)
    assert later.publish(chunk()).id > highest
    await later.aclose()
    await database.aclose()


async def test_ids_go_on_without_a_gap_after_a_clean_end(tmp_path: Path) -> None:
    database, hub = await open_hub(tmp_path)
    last = hub.publish(chunk()).id
    await hub.aclose()
    await database.aclose()
    database, hub = await open_hub(tmp_path)
    assert hub.publish(chunk()).id == last + 1
    await hub.aclose()
    await database.aclose()


async def test_more_events_than_a_block_of_ids_still_leave_in_order(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, None, None)
    last = 0
    for _ in range(25_000):
        last = hub.publish(chunk()).id
    await settle(hub, last)
    async with asyncio.timeout(5):
        while len(reader.ids) < 25_000:
            await asyncio.sleep(0.01)
    assert reader.ids == sorted(set(reader.ids))


async def test_a_turn_that_was_cut_by_a_crash_makes_one_reset_come_first(hub: Hub) -> None:
    place = hub.publish(chunk()).id
    end = hub.publish(interrupted()).id
    await settle(hub, end)
    reader = Reader()
    await hub.join(reader, None, place)
    assert reader.kinds == ["reset", "turn_failed"]
    behind = Reader()
    await hub.join(behind, None, end)
    assert behind.kinds == []


async def test_chunks_that_fell_out_of_memory_make_a_reset_only_while_their_turn_runs(hub: Hub) -> None:
    place = hub.publish(chunk()).id
    last = 0
    for _ in range(12_000):
        last = hub.publish(chunk()).id
    await settle(hub, last)
    reader = Reader()
    await hub.join(reader, None, place)
    assert reader.kinds[0] == "reset"
    await settle(hub, hub.publish(response()).id)
    later = Reader()
    await hub.join(later, None, place)
    assert "reset" not in later.kinds
    assert later.kinds[-1] == "response"


async def test_an_id_from_the_future_is_answered_with_a_reset(hub: Hub) -> None:
    reader = Reader()
    await hub.join(reader, None, hub.head + 1_000_000)
    assert reader.kinds == ["reset"]


async def test_a_client_that_raises_is_left_out_and_the_others_go_on(hub: Hub) -> None:
    good, bad = Reader(), Reader()
    bad.broken = True
    await hub.join(bad, None, None)
    await hub.join(good, None, None)
    last = [hub.publish(chunk()).id for _ in range(3)][-1]
    await settle(hub, last)
    assert len(good.ids) == 3


async def test_an_in_process_reader_that_does_not_read_is_cut_not_fed(hub: Hub) -> None:
    with hub.subscribe(message_id="m") as subscription:
        for _ in range(30):
            hub.publish(chunk("x" * 100_000))
        await asyncio.sleep(0)
        got: list[Released] = []
        with pytest.raises(ReaderTooSlow):
            await read_all(subscription, got)
        assert 10 <= len(got) <= 12


async def test_nothing_of_a_deleted_thread_is_replayed(hub: Hub) -> None:
    hub.publish(completed("gone"))
    last = hub.publish(completed("kept")).id
    await settle(hub, last)
    await hub.forget_thread("gone", lambda _: None)
    reader = Reader()
    await hub.join(reader, None, 0)
    assert reader.ids == [last]


async def test_no_task_is_left_when_the_hub_is_closed(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    database, hub = await open_hub(tmp_path)
    reader = Reader()
    await hub.join(reader, "t", None)
    hub.publish(chunk())
    await hub.aclose()
    await database.aclose()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
