"""Start, idle memory, and memory for each open stream, beside the bare server.

Each round starts the bare server, the gateway on a fresh home and the gateway on a home that was used before, one after
the other, on the same core. Read `start to first healthy answer` as: from fork to the first 200 on /healthz, home opened
and database checked included. Idle memory is what is resident half a second after that. For each stream kind, 50 clients
are opened first (what is loaded at first use does not count for the clients), then 300 more, whose memory is counted.
"""

import socket
import time
from pathlib import Path

import common

_ROUNDS = 6
_FIRST, _MORE = 50, 300
_HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}


class Figures:
    """What was measured of one kind of server, a value a round."""

    def __init__(self) -> None:
        self.start: list[float] = []
        self.idle: list[float] = []
        self.streams: dict[str, list[float]] = {"SSE": [], "WebSocket": []}

    def add(self, server: common.Server, kind: str | None, paths: dict[str, str]) -> None:
        """Measure one process that was just started, then stop it."""
        try:
            self.start.append(server.wait_healthy())
            time.sleep(0.5)
            self.idle.append(server.resident())
            if kind is not None:
                self.streams[kind].append(_memory_of_one(server, kind, paths[kind]))
        finally:
            server.stop()


def _memory_of_one(server: common.Server, kind: str, path: str) -> float:
    more = {**_HANDSHAKE, "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="} if kind == "WebSocket" else {}
    request = common.request_of(server.port, "GET", path, token=common.TOKEN, **more)
    opened: list[socket.socket] = []
    try:
        opened += [common.open_stream(server.port, request) for _ in range(_FIRST)]
        time.sleep(0.3)
        before = server.resident()
        opened += [common.open_stream(server.port, request) for _ in range(_MORE)]
        time.sleep(0.5)
        return (server.resident() - before) / _MORE
    finally:
        for connection in opened:
            connection.close()


def measure(folder: Path) -> tuple[Figures, Figures, Figures]:
    """The bare server, the gateway on fresh homes, and on a home that was used before."""
    bare, fresh, again = Figures(), Figures(), Figures()
    used = folder / "used"
    warm = Figures()  # compiles what is not compiled yet, and makes the used home
    warm.add(common.bare(), None, {})
    warm.add(common.gateway(used), None, {})
    for number in range(_ROUNDS):
        kind = ("SSE", "WebSocket")[number % 2]
        bare.add(common.bare(), kind, {"SSE": "/events", "WebSocket": "/ws"})
        fresh.add(common.gateway(folder / f"fresh{number}"), None, {})
        again.add(common.gateway(used), kind, {"SSE": "/api/chat/events", "WebSocket": "/api/chat/ws"})
    return bare, fresh, again


def main() -> None:
    """Measure and say."""
    with common.bench("Start and memory, gateway beside bare aiohttp") as folder:
        bare, fresh, again = measure(folder)
        common.compare("start to first healthy answer", again.start, bare.start, common.seconds, at_most=1.6)
        common.compare("the same on a fresh home", fresh.start, bare.start, common.seconds, at_most=1.6)
        common.compare("idle resident memory", again.idle, bare.idle, common.megabytes, at_most=1.35)
        for kind, ours in again.streams.items():
            name = f"memory for each idle {kind} client"
            common.compare(name, ours, bare.streams[kind], common.kilobytes, at_most=1.5)


if __name__ == "__main__":
    main()
