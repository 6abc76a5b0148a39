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
class Streams:
    """What one run of streams did: tokens a second, and for each stream its first token and its end, in seconds."""

    rate: float
    first: list[float]
    whole: list[float]


@attrs.define
class _Connection:
    socket: socket.socket
    request: bytes
    sent: float = 0.0
    buffer: bytes = b""
    first: float = 0.0
    streams: int = 0


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


_A_TOKEN = b'"content":"t'
_THE_END = b"\r\n0\r\n\r\n"


def run_streams(port: int, requests: Sequence[bytes], duration: float, most: int = 1_000_000) -> Streams:
    """The same for streams: each connection begins its next one when its last has ended; *most* for each in all."""
    connections: dict[int, _Connection] = {}
    with select.epoll() as poll:
        for request in requests:
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections[one.fileno()] = _Connection(one, request)
            poll.register(one.fileno(), select.EPOLLIN)
        try:
            return _stream_loop(poll, connections, duration, most)
        finally:
            for connection in connections.values():
                connection.socket.close()


def _stream_loop(poll: select.epoll, connections: dict[int, _Connection], duration: float, most: int) -> Streams:
    clock = time.perf_counter
    result = Streams(0.0, [], [])
    tokens, running = 0, len(connections)
    started = clock()
    for connection in connections.values():
        connection.sent = clock()
        connection.socket.sendall(connection.request)
    while running and clock() - started < duration:
        for number, _ in poll.poll(1.0):
            connection = connections[number]
            data = connection.socket.recv(262_144)
            if not data:
                raise SystemExit("a server closed a connection under load")
            tokens += data.count(_A_TOKEN)
            if not connection.first and _A_TOKEN in data:
                connection.first = clock()
                result.first.append(connection.first - connection.sent)
            connection.buffer = (connection.buffer + data)[-8:]
            if connection.buffer.endswith(_THE_END):
                running -= _next_stream(connection, result, clock(), most)
    result.rate = tokens / (clock() - started)
    return result


def _next_stream(connection: _Connection, result: Streams, now: float, most: int) -> int:
    """Begin the next stream of a connection; 1 when it has had all of its own."""
    result.whole.append(now - connection.sent)
    connection.streams += 1
    connection.buffer, connection.first, connection.sent = b"", 0.0, now
    if connection.streams >= most:
        return 1
    connection.socket.sendall(connection.request)
    return 0
