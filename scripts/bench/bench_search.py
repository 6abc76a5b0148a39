"""Search of notes beside ripgrep and a bare walk, for 10,000 and 100,000 notes. `python bench_search.py [COUNT...]`.

The gateway is asked over HTTP, one connection, warm; `rg -j2` searches the same folder in the same round with both cores.
Queries: a rare name (five notes), a phrase (0.5 % of the notes), nothing, a common word (four notes in five), the most
common word, and three words that are seldom in one line. `edit` is the time from the end of another program's write to
the first reply that has it, asked for without a pause. `rescan` is what the gateway does at the start and every few
minutes, and `rebuild` what it does without an index: both in this process, beside the plain scandir and stat of all files
and the reading of all files. `status` is the p99 of GET /api/status with one client while the index is made, and while
searches run.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import common
from make_notes import PHRASE, RARE, make_notes

from ironclaw.memory import catalogue, index

_ROUNDS = 5
_ASKED = 15
_QUERIES = {
    "rare": (RARE, 1 / 50, 1 / 8),
    "phrase": (f'"{PHRASE}"', 1 / 50, 1 / 8),
    "no hit": ("qqxqq", 1 / 50, 1 / 8),
    "common word": ("TODO", 1 / 25, 1 / 8),
    "most common word": ("the", 1 / 25, 1 / 8),
    "three words": ("plan test note", 1 / 3, 1 / 3),
}


class Client:
    """One connection to the gateway."""

    def __init__(self, server: common.Server) -> None:
        self._port = server.port
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> bytes:
        """The reply to one request."""
        self._connection.sendall(common.request_of(self._port, "GET", path, token=common.TOKEN))
        reply = common.read_reply(self._connection)
        if not reply.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {reply[:300]!r}")
        return reply

    def search(self, query: str) -> bytes:
        """The reply to one search."""
        return self.get(f"/api/memory/search?query={urllib.parse.quote(query)}&limit=50")


def timed(function: Callable[[], object]) -> float:
    """How long it takes, in seconds."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def ripgrep(notes: Path, query: str) -> None:
    """The same lines by ripgrep with two threads, on all cores, as a person would ask for them."""
    words = query.split()
    plain = query.startswith('"') or len(words) == 1
    wanted = ["-F", query.strip('"')] if plain else [".*".join(words)]
    subprocess.run(
        ["rg", "-j2", "-i", "-n", "--no-heading", *wanted, str(notes)],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, common.CORES),
        check=False,
    )


def walk(folder: str) -> None:
    """Scandir and stat of everything, and nothing else."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)


def read_all(notes: Path) -> None:
    """The bytes of all notes."""
    for file in notes.rglob("*.md"):
        file.read_bytes()


def status_times(client: Client, until: Callable[[], bool]) -> list[float]:
    """Seconds for each GET /api/status, until something is so."""
    times = []
    while not until():
        times.append(timed(lambda: client.get("/api/status")))
        time.sleep(0.001)
    return times


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[int(len(times) * 0.99)]


def queries(client: Client, notes: Path, *, large: bool) -> None:
    """Q1."""
    for name, (query, most_large, most_small) in _QUERIES.items():
        ours, theirs = [], []
        for _ in range(_ROUNDS):
            ours.append(common.median([timed(partial(client.search, query)) for _ in range(_ASKED)]))
            theirs.append(timed(partial(ripgrep, notes, query)))
        value, goal = common.ratio(ours, theirs), most_large if large else most_small
        said = "met" if value <= goal else "MISSED"
        print(
            f"{name}: 1/{1 / value:.0f} of rg -j2 ({common.milliseconds(common.median(ours))} against "
            f"{common.milliseconds(common.median(theirs))}), goal at most 1/{1 / goal:.0f}: {said}"
        )


def edits(client: Client, notes: Path) -> None:
    """Q2, what other programs write."""
    times = []
    for number in range(20):
        (notes / "edited.md").write_text(f"edit number q{number}q\n")
        started = time.perf_counter()
        while b"edited.md" not in client.search(f"q{number}q"):
            pass
        times.append(time.perf_counter() - started)
        time.sleep(0.2)
    value = common.median(times)
    print(f"edit until found: p50 {common.milliseconds(value)}, {common.verdict(value * 1e3, at_most=100)}")


def upkeep(notes: Path, folder: Path, size: int) -> None:
    """Q2, rescan and rebuild, in this process."""
    known = catalogue.Catalogue()
    for path, info in catalogue.notes(notes):
        known.put(path, catalogue.stamp(info))
    bare = [timed(lambda: walk(str(notes))) for _ in range(_ROUNDS)]
    ours = [timed(lambda: known.changed(notes)) for _ in range(_ROUNDS)]
    common.compare("rescan", ours, bare, common.milliseconds, at_most=1.3)
    reading = timed(lambda: read_all(notes))
    made = folder / "made.db"
    building = timed(lambda: index.build(made, notes, lambda done, total: None))
    common.compare("rebuild beside reading all", [building], [reading], common.seconds, at_most=12)
    share = made.stat().st_size / size
    print(f"index: {share:.2f} of the text ({common.megabytes(size)}), {common.verdict(share, at_most=0.6)}")
    index.remove(made)


def searching(client: Client, other: Client) -> list[float]:
    """Status while another client searches without a pause."""
    ended = threading.Event()

    def search() -> None:
        stop = time.perf_counter() + 3
        while time.perf_counter() < stop:
            for query, _, _ in _QUERIES.values():
                other.search(query)
        ended.set()

    thread = threading.Thread(target=search)
    thread.start()
    times = status_times(client, ended.is_set)
    thread.join()
    return times


def measure(count: int, folder: Path) -> None:
    """All of it for one number of notes."""
    notes, home = folder / "notes", folder / "home"
    size = make_notes(notes, count)
    print(f"\n{count:,} notes")
    server = common.gateway(home, IRONCLAW_WORKSPACE=str(notes))
    with common.running(server):
        client = Client(server)
        started = time.perf_counter()
        building = status_times(client, (home / "index.db").exists)
        print(f"index made in the background, beside requests: {common.seconds(time.perf_counter() - started)}")
        while timed(lambda: client.search("qqxqq")) > 0.02:
            time.sleep(0.2)
        quiet_until = time.perf_counter() + 3
        quiet = status_times(client, lambda: time.perf_counter() > quiet_until)
        for name, times in (("is made", building), ("is searched", searching(client, Client(server)))):
            common.compare(
                f"p99 of status while the index {name}", [p99(times)], [p99(quiet)], common.milliseconds, at_most=2
            )
        queries(client, notes, large=count > 50_000)
        edits(client, notes)
        print(f"memory of the gateway: {common.megabytes(server.resident())}")
    upkeep(notes, folder, size)


def main() -> None:
    """Measure and say."""
    counts = [int(argument) for argument in sys.argv[1:]] or [10_000, 100_000]
    if shutil.which("rg") is None:
        raise SystemExit("ripgrep is the reference here and is missing. On Debian: apt install ripgrep")
    with common.bench("Search of notes, gateway beside ripgrep and a bare walk") as folder:
        for count in counts:
            (folder / str(count)).mkdir()
            measure(count, folder / str(count))
            shutil.rmtree(folder / str(count))


if __name__ == "__main__":
    main()
