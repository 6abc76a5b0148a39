"""From released events to clients: one queue and one pump for each thread that someone listens to, and for all threads.

A client belongs to exactly one channel, so it sees ids in order. The pump takes what waits, frames it once for each kind
of client, and hands the same bytes to all of them without awaiting any. What a client does with bytes it can't send yet,
and when it gives up, is the client's own affair (`api/streams.py`).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from ironclaw.events import Event
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_BATCH_BYTES = 256 << 10


@frozen(eq=False)
class Released:
    """An event that has its id and may be seen. *body* is its JSON; *event* is missing when it was read from the log."""

    id: int
    kind: str
    thread_id: str | None
    message_id: str | None
    body: bytes
    event: Event | None = None

    def tagged(self) -> bytes:
        """One flat JSON object with `type` and `id` in front, as WebSocket frames and NDJSON lines carry it."""
        return b'{"type":"%s","id":%d,%s' % (self.kind.encode(), self.id, self.body[1:])


Frames = Callable[[Sequence[Released]], bytes]
"""How one kind of client wants events: a function from events to the bytes to send."""


class Client(Protocol):
    """One connected reader. *types* limits the kinds of events it gets; None means all."""

    frames: Frames
    types: frozenset[str] | None
    seen: int
    """Events up to this id were written before it joined."""

    def write(self, data: bytes) -> None:
        """Take *data*, never blocking; a client that can't keep up cuts itself."""
        ...

    async def drain(self) -> None:
        """Wait until the client has room; only while it catches up, never in a pump."""
        ...


class Channel:
    """The clients of one thread, or of all threads, behind one queue."""

    def __init__(self, name: str) -> None:
        self.queue: asyncio.Queue[Released] = asyncio.Queue()
        self.clients: set[Client] = set()
        self._name = name
        self._pump: asyncio.Task[None] | None = None

    def add(self, client: Client) -> None:
        """Let *client* have all that is released from now on."""
        self.clients.add(client)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run(), name=f"pump {self._name}")

    def discard(self, client: Client) -> None:
        """Forget *client*."""
        self.clients.discard(client)

    def stop(self) -> None:
        """End the pump."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    async def _run(self) -> None:
        while True:
            batch = [await self.queue.get()]
            size = len(batch[0].body)
            while size < _BATCH_BYTES and not self.queue.empty():
                batch.append(self.queue.get_nowait())
                size += len(batch[-1].body)
            self._deliver(batch)
            await asyncio.sleep(0)  # sockets are written by the loop, which must get its turn in a long burst

    def _deliver(self, batch: list[Released]) -> None:
        shared: dict[tuple[Frames, frozenset[str] | None], bytes] = {}
        for client in tuple(self.clients):
            try:
                self._give(client, batch, shared)
            except Exception:
                log.exception("A client could not be written to, and is left out from now on")
                self.clients.discard(client)

    def _give(
        self, client: Client, batch: list[Released], shared: dict[tuple[Frames, frozenset[str] | None], bytes]
    ) -> None:
        """Write *batch* to one client, from *shared* where another one of its kind has had it already."""
        if client.seen >= batch[0].id:
            client.write(framed(client, [one for one in batch if one.id > client.seen]))
            return
        key = (client.frames, client.types)
        data = shared.get(key)
        if data is None:
            data = shared[key] = framed(client, batch)
        if data:
            client.write(data)


def framed(client: Client, batch: Sequence[Released]) -> bytes:
    """The bytes of *batch* for this client; empty when nothing in it is for it."""
    if client.types is not None:
        batch = [one for one in batch if one.kind in client.types or one.kind == "reset"]
    return client.frames(batch) if batch else b""
