"""Many readers of one long answer: how many events a second reach them, and what one reader that never reads does.

The answer comes from a model that gives one chunk at a time with a turn of the loop between them. The bare server gives
as many events of the same size to a queue for each of its subscribers, which is how most programs do it. A delivery is
one event read by one subscriber; time runs from the request to the last subscriber's last event; processor time is the
server's. Then 2 MB of chunks to 100 subscribers, with and without one more who never reads and is cut on the way: the
others must get every event.
"""

import json
import select
import socket
import time

import attrs
import common

_ROUNDS = 3
_SIZE = 320  # bytes of an event
_AROUND = 138  # of which are not the text
_RUNS = ((300, 1000), (1000, 300))  # subscribers, events
_STALLED_RUN = (100, 1200, 2000)  # subscribers, events, bytes of text in each
_MARK = b"\nevent: stream_chunk\n"
_END = b"\nevent: response\n"


@attrs.define
class _Reader:
    socket: socket.socket
    chunks: int = 0
    ended: bool = False
    tail: bytes = b""

    def take(self, data: bytes) -> None:
        """Count what came; a mark may be split between two reads, so the last bytes are looked at twice."""
        data = self.tail + data
        self.chunks += data.count(_MARK)
        self.ended = self.ended or _END in data
        self.tail = data[-len(_MARK) + 1 :]


@attrs.frozen
class Round:
    """What one answer did: chunks that came to all together, how many a second, and the server's seconds for each."""

    count: int
    rate: float
    cost: float


class Audience:
    """Subscribers of one server."""

    def __init__(self, server: common.Server, path: str, count: int) -> None:
        self._server = server
        self._readers: dict[int, _Reader] = {}
        self._poll = select.epoll()
        request = common.request_of(server.port, "GET", path, token=common.TOKEN)
        for _ in range(count):
            connection = common.open_stream(server.port, request)
            connection.setblocking(False)
            self._readers[connection.fileno()] = _Reader(connection)
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def listen(self, request: bytes) -> Round:
        """Send *request* and read until all have the end of what it causes."""
        self._drain()
        for reader in self._readers.values():
            reader.chunks, reader.ended, reader.tail = 0, False, b""
        before = self._server.busy()
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=30) as caller:
            started = time.perf_counter()
            caller.sendall(request)
            waiting = len(self._readers)
            while waiting and time.perf_counter() - started < 30:
                waiting -= self._read()
            took = time.perf_counter() - started
        count = sum(reader.chunks for reader in self._readers.values())
        return Round(count, count / took, (self._server.busy() - before) / max(1, count))

    def _drain(self) -> None:
        while self._poll.poll(0.05):
            self._read()

    def _read(self) -> int:
        """Read what there is; how many readers reached the end by it."""
        ended = 0
        for number, _ in self._poll.poll(1.0):
            reader = self._readers[number]
            data = reader.socket.recv(262_144)
            if not data:
                print("  note: a subscriber that reads was cut")
                self._poll.unregister(number)
                ended += not reader.ended
                reader.ended = True
                continue
            before = reader.ended
            reader.take(data)
            ended += reader.ended and not before
        return ended

    def close(self) -> None:
        """Leave."""
        self._poll.close()
        for reader in self._readers.values():
            reader.socket.close()


def ask(server: common.Server, events: int, size: int) -> bytes:
    """The message whose answer is this many chunks of this many letters."""
    body = json.dumps({"message": f"chunks {events} {size}"}).encode()
    return common.request_of(server.port, "POST", "/api/chat/send", body, token=common.TOKEN)


def compare(gateway: common.Server, bare: common.Server, subscribers: int, events: int) -> None:
    """Both servers in turn, a few times."""
    ours, theirs = Audience(gateway, "/api/chat/events", subscribers), Audience(bare, "/events", subscribers)
    text = _SIZE - _AROUND
    ours.listen(ask(gateway, 10, text))
    before = gateway.resident()
    gateway.forget_peak()
    rounds = [
        (ours.listen(ask(gateway, events, text)), theirs.listen(publish(bare, events, events * text)))
        for _ in range(_ROUNDS)
    ]
    grown = common.megabytes(gateway.resident() - before), common.megabytes(gateway.peak() - before)
    ours.close()
    theirs.close()
    rates = [mine.rate for mine, _ in rounds], [other.rate for _, other in rounds]
    costs = [mine.cost for mine, _ in rounds], [other.cost for _, other in rounds]
    share = sum(mine.count for mine, _ in rounds) / (_ROUNDS * subscribers * events)
    common.compare(f"{subscribers} subscribers, {events} events of {_SIZE} B", *rates, deliveries, at_least=1.8)
    common.compare("  processor time for each delivery", *costs, common.microseconds)
    print(f"  delivered {share:.2%}; memory grew by {grown[0]}, at its peak by {grown[1]}")


def publish(bare: common.Server, events: int, last: int) -> bytes:
    """The same of the bare server."""
    return common.request_of(bare.port, "POST", f"/publish?events={events}&size={_SIZE}&last={last}")


def deliveries(value: float) -> str:
    """Deliveries a second, in thousands."""
    return f"{value / 1e3:.0f} k deliveries/s"


def stalled(gateway: common.Server) -> None:
    """One subscriber that never reads, among others that do."""
    subscribers, events, size = _STALLED_RUN
    audience = Audience(gateway, "/api/chat/events", subscribers)
    question = ask(gateway, events, size)
    audience.listen(question)
    before = gateway.resident()
    gateway.forget_peak()
    quiet: list[Round] = []
    disturbed: list[Round] = []
    cut = 0
    for _ in range(_ROUNDS):
        quiet.append(audience.listen(question))
        request = common.request_of(gateway.port, "GET", "/api/chat/events", token=common.TOKEN)
        deaf = common.open_stream(gateway.port, request, receive_buffer=4096)
        disturbed.append(audience.listen(question))
        cut += _was_cut(deaf)
        deaf.close()
    peak = gateway.peak() - before
    audience.close()
    rates = [one.rate for one in disturbed], [one.rate for one in quiet]
    rate = common.ratio(*rates)
    print(
        f"with one that never reads: {rate:.2f} x the rate without ({deliveries(common.median(rates[0]))} against "
        f"{deliveries(common.median(rates[1]))}), {common.verdict(rate, at_least=0.95)}"
    )
    share = sum(one.count for one in disturbed) / (_ROUNDS * subscribers * events)
    print(f"  the others got {share:.2%} of the events, {common.verdict(share, at_least=1.0)}")
    print(f"  it was cut {cut} of {_ROUNDS} times; memory grew by at most {common.megabytes(peak)}")


def _was_cut(connection: socket.socket) -> bool:
    """Whether the server has dropped it: what it had in flight can be read, then the connection breaks."""
    connection.settimeout(1.0)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def main() -> None:
    """Measure and say."""
    with common.bench("Fan-out to SSE subscribers, beside a bare server with a queue for each") as folder:
        gateway, bare = common.hosted(folder / "home", GATEWAY_MAX_STREAMS="1100"), common.bare()
        with common.running(gateway, bare):
            for subscribers, events in _RUNS:
                compare(gateway, bare, subscribers, events)
            stalled(gateway)


if __name__ == "__main__":
    main()
