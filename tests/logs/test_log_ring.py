"""The ring of lines: what a client gets when it joins in the middle, falls behind, or comes from another process."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence

import pytest

from ironclaw.logs.lines import LogLine
from ironclaw.logs.repeats import Repeats
from ironclaw.logs.ring import LogRing, Wanted

EVERYTHING = Wanted()


def line(message: str, number: int = logging.INFO) -> LogLine:
    return LogLine(number=number, created=time.time(), logger="ironclaw.test", message=message)


def lines(first: int, count: int) -> list[LogLine]:
    return [line(str(number)) for number in range(first, first + count)]


framed: list[int] = []
"""How many lines were framed with each call."""


def frames(some: Sequence[LogLine]) -> bytes:
    framed.append(len(some))
    return b"".join(b"%s\n" % one.json_with_id for one in some)


class Client:
    def __init__(self) -> None:
        self.seen = 0
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    @property
    def messages(self) -> list[str]:
        found = [json.loads(one) for one in self.data.splitlines()]
        ids = [one["id"] for one in found]
        assert ids == sorted(set(ids))
        return [one["message"] for one in found]


async def delivered() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_joins_between_two_deliveries_gets_each_line_once() -> None:
    ring, early, late = LogRing(), Client(), Client()
    ring.add(lines(0, 3))
    ring.join(early, frames, EVERYTHING, 2)
    ring.add(lines(3, 2))  # not delivered yet
    ring.join(late, frames, EVERYTHING, 10)
    ring.add(lines(5, 2))
    await delivered()
    assert early.messages == ["1", "2", "3", "4", "5", "6"]
    assert late.messages == ["0", "1", "2", "3", "4", "5", "6"]
    ring.leave(early, frames, EVERYTHING)
    ring.add(lines(7, 1))
    await delivered()
    assert (early.messages[-1], late.messages[-1]) == ("6", "7")


async def test_a_loop_that_falls_behind_is_told_how_many_lines_it_missed() -> None:
    ring, client = LogRing(), Client()
    ring.join(client, frames, EVERYTHING, 10)
    for first in range(0, 6000, 100):  # and the loop does not get its turn
        ring.add(lines(first, 100))
    await delivered()
    told, *rest = client.messages
    assert told == "4000 lines are not shown here: they came too fast"
    assert rest == [str(number) for number in range(4000, 6000)]


async def test_lines_are_framed_once_for_all_that_want_the_same() -> None:
    ring = LogRing()
    clients = [Client() for _ in range(100)]
    for client in clients:
        ring.join(client, frames, EVERYTHING, 10)
    grave = Client()
    ring.join(grave, frames, Wanted(logging.WARNING), 10)
    framed.clear()
    ring.add([*lines(0, 5), line("bad", logging.WARNING)])
    await delivered()
    assert sorted(framed) == [1, 6]
    assert {client.data for client in clients} == {clients[0].data}
    assert grave.messages == ["bad"]


async def test_the_ring_holds_little_however_long_the_lines_are() -> None:
    ring = LogRing()
    for number in range(300):
        ring.add([line(f"{number}{'x' * 8000}"), line("y" * 8000, logging.ERROR)])
    kept = ring.last(5000, EVERYTHING)
    assert sum(one.size for one in kept) <= 2 << 20
    assert len(kept) > 200


@pytest.mark.parametrize("ahead", [1, 10**12])
async def test_an_id_of_a_process_whose_clock_was_ahead_hides_nothing(ahead: int) -> None:
    ring, client = LogRing(), Client()
    ring.add(some := lines(0, 3))
    ring.join(client, frames, EVERYTHING, 10, some[-1].id + ahead)
    assert client.messages == ["0", "1", "2"]


def test_the_same_line_again_and_again_is_counted_and_told_once() -> None:
    repeats = Repeats()
    written = [repeats.admit(line("again"), now) for now in range(5) for _ in range(100)]
    assert sum(written) == 20
    assert repeats.told(5.0) == []
    assert repeats.admit(line("another"), 5.0)
    (told,) = repeats.told(10.0)
    assert told.message == "480 more times: again"
    assert not repeats.waiting
    assert repeats.told(30.0) == []
    assert repeats.admit(line("again"), 30.0)


def test_what_is_known_of_repeated_lines_is_bounded() -> None:
    repeats = Repeats()
    for number in range(5000):
        assert repeats.admit(line(str(number)), number / 1000)
    assert len(repeats._seen) <= 500
