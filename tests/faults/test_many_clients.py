"""A thousand clients, one of which never reads: the agent does not slow, memory is bounded, all others get everything."""

import re
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from gateway_process import GatewayProcess

pytestmark = pytest.mark.process
CLIENTS = 1000
TURNS = 5
WORDS = 90
WORD = "x" * 400
MIB = 1 << 20


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 500:
        pytest.fail(f"this machine allows only {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CLIENTS + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(120)
def test_r15_of_a_thousand_clients_one_that_never_reads_costs_the_others_nothing(
    gateway_process: Callable[..., GatewayProcess], tmp_path: Path, descriptors: None
) -> None:
    workspace = tmp_path / "home" / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "long.md").write_text(" ".join(f"{number}:{WORD}" for number in range(WORDS)) + "\n")
    gateway = gateway_process(BUILTIN_WORD_DELAY="0.01").start()
    alone = timed_turns(gateway)
    clients = [connect(gateway) for _ in range(CLIENTS - 1)]
    deaf = connect(gateway, buffer=4096)
    assert gateway.request("GET", "/api/status")[2]["active_sessions"] == CLIENTS
    assert gateway.process is not None
    memory = psutil.Process(gateway.process.pid).memory_info
    before = memory().rss
    timed_turns(gateway, clients)
    assert memory().rss - before < 64 * MIB  # each client got half a MB: a copy for each would be 500
    assert slowest_turn(gateway) < alone + 10
    for client in clients:
        client.close()
    deaf.close()


def connect(gateway: GatewayProcess, buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", gateway.port))
    head = f"GET /api/chat/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token}\r\n\r\n"
    client.sendall(head.encode())
    client.settimeout(10)
    got = b""
    while b": connected" not in got:
        got += client.recv(4096)
    return client


def timed_turns(gateway: GatewayProcess, clients: list[socket.socket] | None = None) -> float:
    """Seconds that the slowest of some long answers takes; each client must get all events, each once and in order."""
    for number in range(TURNS):
        gateway.send("read long.md", thread_id=f"t{number}")
    if clients is not None:
        texts = read_until_the_end(clients)
        last = gateway.request("GET", "/api/chat/history?thread_id=t0")[2]["last_id"]
        ids = [[int(one) for one in re.findall(rb"^id: (\d+)$", text, re.M)] for text in texts]
        assert all(one == list(range(one[0], one[-1] + 1)) for one in ids)  # nothing lost, nothing doubled
        assert {one[-1] for one in ids} == {last}
        assert {text.count(WORD.encode()) for text in texts} == {2 * TURNS * WORDS}  # as chunks, and in the whole text
    deadline = time.monotonic() + 60
    while (seconds := slowest_turn(gateway)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return seconds


def slowest_turn(gateway: GatewayProcess) -> float | None:
    """Seconds that the slowest of the newest turns took; None while one still runs."""
    pages = [gateway.request("GET", f"/api/chat/history?thread_id=t{number}&limit=1")[2] for number in range(TURNS)]
    turns = [page["turns"][-1] for page in pages]
    return max(turn["duration_ms"] / 1000 for turn in turns) if all(turn["ended_at"] for turn in turns) else None


def read_until_the_end(clients: list[socket.socket]) -> list[bytes]:
    """What each client got up to the end of the last turn, without the borders of HTTP chunks."""
    selector = selectors.DefaultSelector()
    kept = {client: bytearray() for client in clients}
    for client in clients:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    deadline = time.monotonic() + 90
    while selector.get_map():
        assert time.monotonic() < deadline, f"{len(selector.get_map())} clients still wait"
        for key, _ in selector.select(1):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            data = client.recv(1 << 18)
            assert data, "a client that reads was cut"
            kept[client] += data
            if kept[client].endswith(b"\n\n\r\n") and kept[client].count(b"event: response\n") == TURNS:
                selector.unregister(client)
    return [re.sub(rb"\r\n[0-9a-f]+\r\n", b"", bytes(text)) for text in kept.values()]
