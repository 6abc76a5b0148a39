"""Whether a turn costs more when much is kept: a home with 10,000 threads and one long thread, beside a fresh home.

Both gateways run the same instant model; the calls go round in turn. The short thread has its full history before it is
measured, so both carry the same number of messages to the model. `ratio` is the full home's median over the fresh one's.
"""

import json
import sys
import time

import common
from bench_turn import Caller

_KEPT = 10_000
_ROUNDS = 7
_TURNS = 60
_WARM = 120
_GOAL = 1.15


def fill(server: common.Server, count: int) -> float:
    """Have *count* turns in as many threads, and as many in the thread `long`; the seconds it took."""
    started = time.perf_counter()
    connection = Caller(server, "/api/chat/send?wait").connection
    for number in range(count):
        for thread in (f"kept-{number}", "long"):
            body = json.dumps({"message": f"Message {number} about plans and parsers", "thread_id": thread}).encode()
            connection.sendall(common.request_of(server.port, "POST", "/api/chat/send?wait", body, token=common.TOKEN))
            common.read_reply(connection)
    return time.perf_counter() - started


def main() -> None:
    """Measure and say. The number of kept turns may be given."""
    kept = int(sys.argv[1]) if len(sys.argv) > 1 else _KEPT
    with common.bench(f"A turn on a home with {kept:,} threads and a thread of {kept:,} turns") as folder:
        fresh, full = common.hosted(folder / "fresh"), common.hosted(folder / "full")
        with common.running(fresh, full):
            print(f"filled in {fill(full, kept):.0f} s; {full.resident() / 1e6:.0f} MB resident")
            calls = {name: _caller(*where) for name, where in _calls(fresh, full).items()}
            for call in calls.values():
                call.measure(_WARM)
                call.times.clear()
            for _ in range(_ROUNDS):
                for call in calls.values():
                    call.measure(_TURNS)
        base = calls["fresh home"].times
        for name, call in calls.items():
            ratio = common.ratio(call.times, base)
            goal = "" if call is calls["fresh home"] else f", {common.verdict(ratio, at_most=_GOAL)}"
            print(f"{name}: {common.milliseconds(common.median(call.times))} ({ratio:.2f} x{goal})")


def _calls(fresh: common.Server, full: common.Server) -> dict[str, tuple[common.Server, str]]:
    return {
        "fresh home": (fresh, "short"),
        "full home, short thread": (full, "short"),
        "full home, long thread": (full, "long"),
    }


def _caller(server: common.Server, thread: str) -> Caller:
    caller = Caller(server, "/api/chat/send?wait")
    body = json.dumps({"message": "Hello, agent! " + "x" * 100, "thread_id": thread}).encode()
    caller.request = common.request_of(server.port, "POST", "/api/chat/send?wait", body, token=common.TOKEN)
    return caller


if __name__ == "__main__":
    main()
