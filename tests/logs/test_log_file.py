"""The log's file: it is put aside when it is full, made anew when it was moved, and what it lacks is said."""

import logging
import os
import resource
import time
from pathlib import Path

import pytest

from ironclaw.errors import ConfigError
from ironclaw.logs.lines import LogLine
from ironclaw.logs.sinks import FileSink, Stderr, render_json, render_text


def line(message: str) -> LogLine:
    return LogLine(number=logging.INFO, created=time.time(), logger="ironclaw.test", message=message)


def texts(path: Path) -> list[str]:
    return [one.rpartition(" ")[2] for one in path.read_text().splitlines()]


def test_a_full_file_is_put_aside_and_so_many_older_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "gateway.log"
    sink = FileSink(path, render_text, most_bytes=500, count=2)
    for number in range(40):
        sink.write([line(f"{number:03}")])
    sink.close()
    files = sorted(path.parent.iterdir())
    assert [one.name for one in files] == ["gateway.log", "gateway.log.1", "gateway.log.2"]
    assert all(one.stat().st_size <= 500 for one in files)
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in files)
    kept = [*texts(files[2]), *texts(files[1]), *texts(files[0])]
    assert kept == [f"{number:03}" for number in range(40 - len(kept), 40)]
    assert len(kept) > 15


def test_without_older_ones_a_full_file_begins_anew(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "g.log", render_json, most_bytes=300, count=0)
    for number in range(20):
        sink.write([line(str(number))])
    sink.close()
    assert [one.name for one in tmp_path.iterdir()] == ["g.log"]
    assert (tmp_path / "g.log").stat().st_size <= 300
    assert '"message":"19"' in (tmp_path / "g.log").read_text()


def test_it_goes_on_at_the_end_of_what_is_there(tmp_path: Path) -> None:
    for text in ("first", "second"):
        sink = FileSink(tmp_path / "g.log", render_text, most_bytes=10_000, count=1)
        sink.write([line(text)])
        sink.close()
    assert texts(tmp_path / "g.log") == ["first", "second"]


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_file_that_logrotate_moved_away_is_made_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "g.log"
    sink = FileSink(path, render_text, most_bytes=10_000, count=1)
    sink.write([line("old")])
    path.rename(tmp_path / "moved.log") if how == "moved" else path.unlink()
    sink._looked = 0.0  # as if a second had passed
    sink.write([line("new")])
    sink.close()
    assert texts(path) == ["new"]


def test_lines_that_a_full_disk_did_not_take_are_counted_and_said_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "g.log"
    sink = FileSink(path, render_text, most_bytes=10_000, count=1)
    good = os.dup(sink._descriptor)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), sink._descriptor)
        sink.write([line("lost"), line("lost")])
        sink.write([line("lost")])
        assert (sink.lost, sink.failure) == (3, "No space left on device")
        os.dup2(good, sink._descriptor)
    os.close(good)
    sink.write([line("again")])
    assert (sink.lost, sink.failure) == (0, None)
    sink.close()
    said, again = path.read_text().splitlines()
    assert said.endswith("ironclaw.logs: 3 lines are missing here: No space left on device")
    assert again.endswith("again")


def test_a_line_that_fitted_only_in_part_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "g.log"
    sink = FileSink(path, render_text, most_bytes=10_000, count=1)
    sink.write([line("whole")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        sink.write([line("torn")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (sink.lost, texts(path)) == (1, ["whole"])
    sink.write([line("again")])
    sink.close()
    assert [one.partition("] ")[0] for one in path.read_text().splitlines()] == ["[INFO", "[WARN", "[INFO"]


def test_a_file_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"LOG_FILE .*file/g\.log can't be written"):
        FileSink(tmp_path / "file" / "g.log", render_text, most_bytes=1, count=1)


def test_a_pipe_that_is_full_loses_whole_lines_and_says_how_many() -> None:
    reading, writing = os.pipe()
    sink = Stderr(render_text, writing)
    began = time.monotonic()
    for number in range(400):
        sink.write([line(f"{number:04} {'x' * 1000}")])
    assert time.monotonic() - began < 5  # a write to a full pipe would never return
    os.set_blocking(reading, False)
    said = b""
    for number in range(400, 450):
        while True:
            try:
                said += os.read(reading, 1 << 20)
            except BlockingIOError:
                break
        sink.write([line(f"{number:04} end")])
    said += os.read(reading, 1 << 20)
    lines = said.decode().splitlines()
    assert all(one.startswith("[") and one.endswith(("x", "end", "took them")) for one in lines)
    missing = sum(int(one.split(": ")[1].split()[0]) for one in lines if "missing here" in one)
    assert missing > 200
    assert len(lines) - sum("missing here" in one for one in lines) + missing == 450
    os.close(reading)
    os.close(writing)
