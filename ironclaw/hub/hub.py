"""Gives events their ids, keeps the durable ones, and releases them in the order of their ids.

An event that must be on disk first holds back those behind it until its group commit is done; all others leave at once.
What was released lately stays in a ring in memory, so that a client that comes back gets exactly what it missed.
"""

import asyncio
import bisect
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import islice
from typing import Any

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.events import TURN_END_KINDS, Event, Reset, field_of
from ironclaw.hub import log as event_log
from ironclaw.hub.channels import Channel, Client, Released, framed
from ironclaw.levels import TRACE
from ironclaw.values import define, frozen

log = logging.getLogger(__name__)

_BLOCK = 10_000  # ids promised at a time
_RING_EVENTS = 5_000
_RING_BYTES = 4 << 20
_PAGE_EVENTS = 500
_PAGE_BYTES = 256 << 10
_KEEP_EVENTS = 100_000
_KEEP_DAYS = 7
_TRIM_EVERY = 3600.0
_READER_BYTES = 1 << 20


class ReaderTooSlow(Exception):  # noqa: N818
    """An in-process reader left more than 1 MiB of events unread."""


@define
class _Pending:
    released: Released
    stored: "asyncio.Future[Any] | None"
    required: bool


@frozen
class Published:
    """An event's id, and, where it had to be stored, the future of that (it carries the transaction's value)."""

    id: int
    stored: "asyncio.Future[Any] | None"


class Subscription:
    """An in-process reader of one turn's, one thread's or all events: iterate it. Bounded; use it as a context."""

    def __init__(self, hub: "Hub", key: tuple[str, str | None]) -> None:
        self._hub = hub
        self._key = key
        self._waiting: asyncio.Queue[Released | None] = asyncio.Queue()
        self._bytes = 0
        self._cut = False

    def put(self, released: Released) -> None:
        """Give the reader one more event, or cut it."""
        if self._bytes > _READER_BYTES:
            self._hub.cut += not self._cut
            self._cut = True
            return
        self._bytes += len(released.body)
        self._waiting.put_nowait(released)

    def end(self) -> None:
        """Let the reader finish with what it has."""
        self._waiting.put_nowait(None)

    def __enter__(self) -> "Subscription":
        self._hub.readers.setdefault(self._key, set()).add(self)
        return self

    def __exit__(self, *_: object) -> None:
        readers = self._hub.readers.get(self._key, set())
        readers.discard(self)
        if not readers:
            self._hub.readers.pop(self._key, None)

    async def __aiter__(self) -> AsyncGenerator[Released, None]:
        while True:
            if self._cut and self._waiting.empty():
                raise ReaderTooSlow
            released = await self._waiting.get()
            if released is None:
                return
            self._bytes -= len(released.body)
            yield released


class Hub:
    """The one sequence of events. Made by `open()`, ended by `aclose()`."""

    def __init__(self, database: Database, highest: int, trimmed: int) -> None:
        self._database = database
        self._next = highest + 1
        self._promised = highest
        self._promise: asyncio.Future[Any] | None = None
        self._pending: deque[_Pending] = deque()
        self._ring: deque[Released] = deque()
        self._ring_bytes = 0
        self._ring_first = highest + 1
        self._open_turns: set[str] = set()
        self._evicted: dict[str, Released] = {}
        self._trimmed = trimmed
        self._channels: dict[str | None, Channel] = {}
        self._trimmer: asyncio.Task[None] | None = None
        self.readers: dict[tuple[str, str | None], set[Subscription]] = {}
        self.cut = 0
        """In-process readers that were cut because they left too much unread."""
        self.head = highest
        """The id of the event that was released last."""

    @classmethod
    async def open(cls, database: Database) -> "Hub":
        """A hub that goes on where the last process left off."""
        highest, trimmed = await database.read(event_log.read_marks)
        hub = cls(database, highest, trimmed)
        hub._promise_ids()
        assert hub._promise is not None
        await asyncio.shield(hub._promise)
        hub._trimmer = asyncio.get_running_loop().create_task(hub._trim_forever(), name="event-log-trimmer")
        return hub

    @property
    def alive(self) -> bool:
        """Whether the log is still trimmed."""
        return self._trimmer is not None and not self._trimmer.done()

    @property
    def waiting(self) -> int:
        """Events that wait for a commit before they may be seen."""
        return len(self._pending)

    # Publishing

    def publish(
        self, event: Event, transaction: Callable[[sqlite3.Connection], Any] | None = None, *, required: bool = False
    ) -> Published:
        """Give *event* its id and let it out, after *transaction* and, if it is durable, the event itself are on disk.

        When that fails a *required* event is dropped, any other is released all the same: the failure is in `stored`.
        """
        released = Released(
            self._next,
            event.kind,
            field_of(event, "thread_id"),
            field_of(event, "message_id"),
            codec.dumps(event),
            event,
        )
        self._next += 1
        stored = self._store(released, event, transaction)
        barrier = stored
        if self._next > self._promised - _BLOCK // 2:
            self._promise_ids()
        if released.id > self._promised and barrier is None:
            barrier = self._promise
        if barrier is None and not self._pending:
            self._release(released)
        else:
            self._pending.append(_Pending(released, barrier, required))
            if barrier is not None:
                barrier.add_done_callback(self._release_ready)
        return Published(released.id, stored)

    async def forget_thread(self, thread_id: str, transaction: Callable[[sqlite3.Connection], Any]) -> None:
        """Delete a thread's events together with *transaction*, from the log and from memory."""

        def store(db: sqlite3.Connection) -> None:
            transaction(db)
            event_log.forget_thread(db, thread_id)

        await self._database.write(store)
        kept = [one for one in self._ring if one.thread_id != thread_id]
        self._ring = deque(kept)
        self._ring_bytes = sum(len(one.body) for one in kept)

    def _store(
        self, released: Released, event: Event, transaction: Callable[[sqlite3.Connection], Any] | None
    ) -> "asyncio.Future[Any] | None":
        if not event.durable:
            return None if transaction is None else self._database.submit(transaction)

        def store(db: sqlite3.Connection) -> Any:
            value = transaction(db) if transaction is not None else None
            event_log.append(db, released, resets=event.resets)
            return value

        return self._database.submit(store)

    def _promise_ids(self) -> None:
        if self._promise is not None and not self._promise.done():
            return
        highest = self._next + _BLOCK
        self._promise = self._database.submit(event_log.keep_highest(highest))

        def promised(future: "asyncio.Future[Any]") -> None:
            if not future.cancelled() and future.exception() is None:
                self._promised = highest

        self._promise.add_done_callback(promised)

    def _release_ready(self, _: object) -> None:
        while self._pending:
            first = self._pending[0]
            if first.stored is not None and not first.stored.done():
                return
            self._pending.popleft()
            failed = first.stored is not None and (first.stored.cancelled() or first.stored.exception() is not None)
            if failed and first.required:
                continue
            self._release(first.released)

    def _release(self, released: Released) -> None:
        self.head = released.id
        if log.isEnabledFor(TRACE):
            log.log(TRACE, "Event %d: %s, %d bytes", released.id, released.kind, len(released.body))
        self._remember(released)
        for key in {None, released.thread_id}:
            channel = self._channels.get(key)
            if channel is not None:
                channel.queue.put_nowait(released)
        if self.readers:
            for reader in self._readers_of(released):
                reader.put(released)

    def _readers_of(self, released: Released) -> list[Subscription]:
        keys = (("all", None), ("thread", released.thread_id), ("message", released.message_id))
        return [reader for key in keys for reader in self.readers.get(key, ())]

    def _remember(self, released: Released) -> None:
        self._ring.append(released)
        self._ring_bytes += len(released.body)
        if released.message_id is not None and released.event is not None:
            if released.event.ends_turn:
                self._open_turns.discard(released.message_id)
                self._evicted.pop(released.message_id, None)
            elif not released.event.durable:
                self._open_turns.add(released.message_id)
        while len(self._ring) > _RING_EVENTS or self._ring_bytes > _RING_BYTES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Drop the oldest; what is lost for good are the chunks of a turn that no whole text has superseded yet."""
        oldest = self._ring.popleft()
        self._ring_bytes -= len(oldest.body)
        self._ring_first = oldest.id + 1
        if oldest.event is not None and not oldest.event.durable and oldest.message_id in self._open_turns:
            self._evicted[oldest.message_id] = oldest

    # Reading

    def subscribe(self, *, message_id: str | None = None, thread_id: str | None = None) -> Subscription:
        """An in-process reader of one turn, else of one thread, else of everything."""
        if message_id is not None:
            return Subscription(self, ("message", message_id))
        return Subscription(self, ("all", None) if thread_id is None else ("thread", thread_id))

    async def follow(self, message_id: str) -> AsyncGenerator[Released, None]:
        """The events of a turn up to its end: what the log has of it, then what comes."""
        with self.subscribe(message_id=message_id) as subscription:
            last = 0
            for released in await self._database.read(lambda db: event_log.read_turn(db, message_id)):
                last = released.id
                yield released
                if released.kind in TURN_END_KINDS:
                    return
            async for released in subscription:
                if released.id > last:
                    yield released
                    if released.kind in TURN_END_KINDS:
                        return

    async def wait_for_end(self, message_id: str) -> None:
        """Return when the event that ends this turn was released."""
        async with aclosing(self.follow(message_id)) as events:
            last = 0
            async for released in events:
                last = released.id
        while self.head < last:  # noqa: ASYNC110 - read from the log a moment before it is released
            await asyncio.sleep(0.001)

    async def join(self, client: Client, thread_id: str | None, after: int | None) -> None:
        """Let *client* have the events of one thread (None: of all), from now on or exactly from *after* on.

        What can't be had any more is announced by one `reset` first.
        """
        position = self.head if after is None else await self._start_of_replay(client, thread_id, after)
        while position < self.head:
            batch, position = await self._next_page(thread_id, position)
            data = framed(client, batch)
            if data:
                client.write(data)
            if position < self.head:
                await client.drain()
        client.seen = self.head
        self._channel(thread_id).add(client)

    def leave(self, client: Client, thread_id: str | None) -> None:
        """Forget *client*; the last one out ends the channel."""
        channel = self._channels.get(thread_id)
        if channel is not None:
            channel.discard(client)
            if not channel.clients:
                del self._channels[thread_id]
                channel.stop()

    def _channel(self, thread_id: str | None) -> Channel:
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = self._channels[thread_id] = Channel(thread_id or "all")
        return channel

    async def _start_of_replay(self, client: Client, thread_id: str | None, after: int) -> int:
        reason, position = await self._gap(thread_id, after)
        if reason is not None:
            event = Reset(reason=reason, last_id=position, thread_id=thread_id)
            client.write(client.frames([Released(position, event.kind, thread_id, None, codec.dumps(event), event)]))
        return position

    async def _gap(self, thread_id: str | None, after: int) -> tuple[str | None, int]:
        """Why a reset is due, if it is, and from which id on events can be had."""
        if after > self.head:
            return "unknown_id", self.head
        if 0 < after < self._trimmed:
            return "expired", self._trimmed
        lost = any(one.id > after and thread_id in {None, one.thread_id} for one in self._evicted.values())
        if lost:
            return "too_far_behind", after
        if after and await self._database.read(lambda db: event_log.has_reset(db, after, thread_id)):
            return "interrupted", after
        return None, after

    async def _next_page(self, thread_id: str | None, position: int) -> tuple[list[Released], int]:
        """The next events after *position*, and the position after them."""
        if position + 1 < self._ring_first:
            before = self._ring_first
            page, more = await self._database.read(
                lambda db: event_log.read_page(db, position, before, thread_id, _PAGE_EVENTS)
            )
            return page, page[-1].id if more else before - 1
        start = bisect.bisect_right(self._ring, position, key=lambda one: one.id)
        page, size = [], 0
        for released in islice(self._ring, start, None):
            position = released.id
            if thread_id in {None, released.thread_id}:
                page.append(released)
                size += len(released.body)
                if size > _PAGE_BYTES:
                    break
        return page, position

    # Life

    async def _trim_forever(self) -> None:
        while True:
            with contextlib.suppress(sqlite3.Error):
                last = await self._database.write(lambda db: event_log.trim(db, keep=_KEEP_EVENTS, days=_KEEP_DAYS))
                self._trimmed = max(self._trimmed, last)
            await asyncio.sleep(_TRIM_EVERY)

    async def aclose(self) -> None:
        """End readers and pumps, and keep the exact place in the sequence."""
        if self._trimmer is not None:
            self._trimmer.cancel()
            await asyncio.gather(self._trimmer, return_exceptions=True)
        for readers in tuple(self.readers.values()):
            for reader in tuple(readers):
                reader.end()
        for channel in self._channels.values():
            channel.stop()
        self._channels.clear()
        with contextlib.suppress(sqlite3.Error):
            await self._database.write(event_log.keep_highest(self._next - 1))
