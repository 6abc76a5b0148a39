"""A closed-loop HTTP client on epoll: each connection sends its next request when its reply is complete.

Python's HTTP clients are slower than the servers that are measured here; this one does little more than two system calls
for each request.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Sequence

import attrs
from common import length_of


@attrs.define
class Load:
    """What one run did: replies a second, seconds for each, and how many replies had which status."""

    rate: float
    times: list[float]
    statuses: Counter[str]

    def share(self, status: str) -> float:
        """How much of all replies had this status."""
        return self.statuses[status] / max(1, sum(self.statuses.values()))


@attrs.define
class _Connection:
    socket: socket.socket
    request: bytes
    sent: float = 0.0
    buffer: bytes = b""


def run(port: int, requests: Sequence[bytes], duration: float) -> Load:
    """Send each of *requests* on a connection of its own, over and over, for *duration* seconds."""
    connections: dict[int, _Connection] = {}
    with select.epoll() as poll:
        for request in requests:
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections[one.fileno()] = _Connection(one, request)
            poll.register(one.fileno(), select.EPOLLIN)
        try:
            return _loop(poll, connections, duration)
        finally:
            for connection in connections.values():
                connection.socket.close()


def _loop(poll: select.epoll, connections: dict[int, _Connection], duration: float) -> Load:
    clock = time.perf_counter
    times: list[float] = []
    statuses: Counter[str] = Counter()
    started = clock()
    for connection in connections.values():
        connection.sent = clock()
        connection.socket.sendall(connection.request)
    while clock() - started < duration:
        for number, _ in poll.poll(1.0):
            connection = connections[number]
            data = connection.socket.recv(262_144)
            if not data:
                raise SystemExit("a server closed a connection under load")
            data = connection.buffer + data if connection.buffer else data
            end = length_of(data)
            if end is None or len(data) < end:
                connection.buffer = data
                continue
            connection.buffer = b""
            now = clock()
            times.append(now - connection.sent)
            statuses[data[9:12].decode()] += 1
            connection.sent = now
            connection.socket.sendall(connection.request)
    return Load(len(times) / (clock() - started), times, statuses)
