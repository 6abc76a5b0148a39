"""A job's output on disk: its beginning and its end are kept, whatever ends the process that writes it; and its text."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.jobs.output import HEAD, TAIL, Output
from ironclaw.jobs.text import MOST, harmless, last_line, whole


def filled(folder: Path, size: int, step: int = 60_000) -> tuple[Output, bytes]:
    """An output of so many bytes, each place of which can be told from others."""
    data = b"".join(b"%09d\n" % number for number in range(size // 10))
    output = Output.open(folder)
    for start in range(0, len(data), step):
        output.append(data[start : start + step])
    return output, data


@pytest.mark.parametrize("size", [0, 10, HEAD, HEAD + TAIL, 5_000_000])
def test_beginning_and_end_are_kept_and_each_byte_has_its_place(tmp_path: Path, size: int) -> None:
    output, data = filled(tmp_path / "out", size)
    output.close()
    assert output.total == len(data)
    kept, place = b"", 0
    while (piece := output.read(place, 50_000)).data:
        assert piece.data == data[piece.start : piece.stop]
        kept += piece.data
        place = piece.stop
    assert kept.startswith(data[:HEAD])
    assert data.endswith(kept[HEAD:])
    assert len(kept) == len(data) or HEAD + TAIL <= len(kept) <= HEAD + 2 * TAIL
    assert sum(file.stat().st_size for file in (tmp_path / "out").glob("*")) == len(kept)


def test_what_was_written_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    writing, data = filled(tmp_path / "out", 2_000_000)
    again = Output.open(tmp_path / "out")  # nothing was closed, nothing was flushed
    assert again.total == len(data)
    assert again.read(len(data) - 10, 100).data == data[-10:]
    writing.close()


def test_a_text_says_what_is_not_kept(tmp_path: Path) -> None:
    output, data = filled(tmp_path / "out", 3_000_000)
    output.close()
    text = whole(output)
    gaps = [line for line in text.splitlines() if "not kept" in line]
    assert len(gaps) == 1
    missing = int(gaps[0].split()[1].replace(",", ""))
    assert len(text) - len(f"\n{gaps[0]}\n") + missing == len(data)
    assert last_line(output) == "000299999"


async def test_whoever_waits_for_more_is_woken_by_more_and_by_the_end(tmp_path: Path) -> None:
    output = Output.open(tmp_path / "out")
    waiting = asyncio.create_task(output.more(0))
    await asyncio.sleep(0)
    await asyncio.to_thread(output.append, b"x")
    output.tell()
    await asyncio.wait_for(waiting, 5)
    waiting = asyncio.create_task(output.more(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    output.close()
    await asyncio.wait_for(waiting, 5)


@given(st.binary(max_size=200), st.integers(1, 7))
def test_text_in_pieces_is_the_text_of_the_whole_and_has_no_signs_that_act(data: bytes, step: int) -> None:
    text, used = harmless(data, final=True)
    assert used == len(data)
    assert all(sign.isprintable() or sign in "\n\t" for sign in text)
    joined, held = "", b""
    for start in range(0, len(data), step):
        held += data[start : start + step]
        part, used = harmless(held, final=start + step >= len(data))
        joined, held = joined + part, held[used:]
    assert held == b""
    if b"\x1b" not in data:  # a code that never ends may be cut short in pieces
        assert joined == text


def test_a_code_that_never_ends_holds_nothing_back_for_ever() -> None:
    text, used = harmless(b"a\x1b]" + b"x" * 2000, final=False)
    assert (text[0], used > 1000) == ("a", True)
    assert harmless(b"x" * MOST, final=False) == ("x" * MOST, MOST)
