"""One agent turn with a model that answers at once: what the gateway itself takes, its commits to disk included.

One client: `POST /api/chat/send` until the `response` event has come on an open SSE stream, and the same with ?wait,
against the same model behind a bare server (`direct`) and the bare echo. `added` is our median less the direct one. The
thread has 60 turns before it is measured, so its history is at its full length. Each message is on disk before it is
answered: a turn commits three times, and what one commit costs on this disk is printed beside it. 16 clients: turns a
second with ?wait, each client in a thread of its own.
"""

import json
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import common
import load

_ROUNDS = 5
_TURNS = 60
_CLIENTS = 16
_SECONDS = 1.5
_ADDED = 0.006
_PEERS = 17.0  # turns a second of the quickest other agent gateway that was measured, with 16 clients


class Caller:
    """One connection, one kind of call; `times` has a median a round."""

    def __init__(self, server: common.Server, path: str, call: Callable[["Caller"], None] | None = None) -> None:
        body = json.dumps({"message": "Hello, agent! " + "x" * 100}).encode()
        self.request = common.request_of(server.port, "POST", path, body, token=common.TOKEN)
        self.connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.times: list[float] = []
        self._call = call or ask

    def measure(self, count: int = _TURNS) -> None:
        """One round."""
        times = []
        for _ in range(count):
            started = time.perf_counter()
            self._call(self)
            times.append(time.perf_counter() - started)
        self.times.append(common.median(times))


def ask(caller: Caller) -> None:
    """Send, and read the reply."""
    caller.connection.sendall(caller.request)
    reply = common.read_reply(caller.connection)
    if not reply.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"refused: {reply[:300]!r}")


def watching(stream: socket.socket) -> Callable[[Caller], None]:
    """A call that ends when the `response` event was read from *stream*."""

    def call(caller: Caller) -> None:
        caller.connection.sendall(caller.request)
        seen = b""
        while b"event: response" not in seen or not seen.endswith(b"\n\n\r\n"):
            seen += stream.recv(65536)
        common.read_reply(caller.connection)

    return call


def one_client(server: common.Server, direct: common.Server) -> dict[str, Caller]:
    """The four calls, in rounds."""
    stream = common.open_stream(server.port, _events_request(server))
    calls = {
        "bare echo": Caller(direct, "/echo"),
        "direct": Caller(direct, "/direct"),
        "send to response event": Caller(server, "/api/chat/send", watching(stream)),
        "send?wait": Caller(server, "/api/chat/send?wait"),
    }
    calls["send to response event"].measure()
    _settle(stream)
    for call in calls.values():
        call.times.clear()
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            call.measure()
            if name == "send?wait":
                _settle(stream)
    stream.close()
    return calls


def _events_request(server: common.Server) -> bytes:
    return common.request_of(server.port, "GET", "/api/chat/events", token=common.TOKEN)


def _settle(stream: socket.socket) -> None:
    """Read away what others have caused."""
    stream.settimeout(0.1)
    try:
        while stream.recv(1 << 20):
            pass
    except TimeoutError:
        stream.settimeout(10)


def many_clients(server: common.Server, direct: common.Server) -> tuple[list[load.Load], list[load.Load]]:
    """Rounds of turns and of direct answers, 16 at a time."""
    turns, answers = [], []
    for _ in range(3):
        bodies = [json.dumps({"message": "Hello", "thread_id": f"bench-{number}"}) for number in range(_CLIENTS)]
        path = "/api/chat/send?wait"
        requests = [common.request_of(server.port, "POST", path, body.encode(), token=common.TOKEN) for body in bodies]
        turns.append(load.run(server.port, requests, _SECONDS))
        requests = [common.request_of(direct.port, "POST", "/direct", b'{"message": "Hello"}')] * _CLIENTS
        answers.append(load.run(direct.port, requests, 0.5))
    return turns, answers


def commit_time(folder: Path) -> float:
    """What one small commit costs here, as the gateway makes them (WAL, synchronous = FULL)."""
    database = sqlite3.connect(folder / "commit.db", isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (a TEXT)"):
        database.execute(statement)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        database.execute("INSERT INTO t VALUES (?)", ("x" * 200,))
        times.append(time.perf_counter() - started)
    database.close()
    return common.median(times)


def say(calls: dict[str, Caller], commit: float, turns: list[load.Load], answers: list[load.Load]) -> None:
    """Print all of it."""
    p50 = {name: common.median(call.times) for name, call in calls.items()}
    print(f"one client, median: {', '.join(f'{name} {common.milliseconds(value)}' for name, value in p50.items())}")
    print(f"one commit on this disk: {common.milliseconds(commit)}")
    for name in ("send to response event", "send?wait"):
        added = [mine - other for mine, other in zip(calls[name].times, calls["direct"].times, strict=True)]
        value = common.median(added)
        verdict = common.verdict(value * 1e3, at_most=_ADDED * 1e3)
        print(
            f"{name}: {common.milliseconds(value)} added to the model called directly ({value / p50['bare echo']:.0f} x "
            f"a bare echo), {verdict}"
        )
    rate, other = common.median([one.rate for one in turns]), common.median([one.rate for one in answers])
    wrong = min(one.share("200") for one in turns)
    print(
        f"{_CLIENTS} clients: {rate:.0f} turns/s ({rate / other:.3f} x the direct server's {other:.0f}; p50 "
        f"{common.milliseconds(common.median(turns[-1].times))}; answered with 200: {wrong:.1%}), "
        f"{common.verdict(rate, at_least=10 * _PEERS)}"
    )


def main() -> None:
    """Measure and say."""
    with common.bench("A turn with an instant model") as folder:
        server = common.hosted(folder / "home")
        direct = common.Server([str(common.HERE / "host.py"), "{port}", "direct"])
        commit = commit_time(folder)
        with common.running(server, direct):
            calls = one_client(server, direct)
            turns, answers = many_clients(server, direct)
        say(calls, commit, turns, answers)


if __name__ == "__main__":
    main()
