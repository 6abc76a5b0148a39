"""Nothing outside a root is ever opened, read, listed or written; nothing that is opened can wait."""

import contextlib
import ctypes
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw import beneath, files
from ironclaw.errors import Conflict, Invalid, IronclawError, NotFound, TooLarge, Unavailable

SECRET = b"outside-secret"


@pytest.fixture(params=["openat2", "stepwise"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open; for the second one the kernel is asked for a system call that it does not have."""
    if request.param == "stepwise":
        monkeypatch.setattr(beneath, "_OPENAT2", 9999)
    return request.param


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "ws"
    (made / "daily").mkdir(parents=True)
    (made / "a.md").write_text("inside")
    (made / "daily" / "b.md").write_text("inside")
    (tmp_path / "ws-secret").mkdir()
    (tmp_path / "ws-secret" / "s.md").write_bytes(SECRET)
    return made


def read(root: Path, path: str) -> bytes:
    return files.read_bytes(root, path, limit=1000).data


def test_a_regular_file_beneath_the_root_is_read(root: Path, way: str) -> None:
    assert read(root, "a.md") == b"inside"
    assert read(root, "daily/b.md") == b"inside"


def test_an_open_descriptor_serves_as_root_and_stays_open(root: Path, way: str) -> None:
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert files.read_bytes(top, "a.md", limit=10).data == b"inside"
        os.fstat(top)
    finally:
        os.close(top)


@pytest.mark.parametrize(
    "path",
    [
        "../ws-secret/s.md",
        "daily/../../ws-secret/s.md",
        "..",
        ".",
        "",
        "/etc/passwd",
        "//etc/passwd",
        "daily//b.md",
        "a.md/",
        "a.md\0.png",
        "\0",
        "\ud800",
        chr(0xDCFF),
        "%2e%2e/ws-secret/s.md",
        "..%2fws-secret/s.md",
        "..\\ws-secret\\s.md",
        "~",
        "~/x",
        "-ws-secret/s.md",
        "daily",
        "a.md/x",
        "x" * 300,
        "x/" * 3000 + "x",
    ],
)
def test_a_path_that_is_not_a_file_beneath_the_root_is_refused(root: Path, way: str, path: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        read(root, path)


HOSTILE_PART = st.sampled_from(
    ["..", ".", "", "~", "daily", "a.md", "ws-secret", "s.md", "out", "up", "loop", "proc", "far", "\0", "\ud800"]
) | st.text(max_size=8)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(HOSTILE_PART, max_size=7), lead=st.sampled_from(["", "/", "//", "./", "../"]))
def test_no_path_at_all_reads_or_writes_outside(root: Path, way: str, parts: list[str], lead: str) -> None:
    outside = root.parent / "ws-secret"
    links = {"out": outside, "up": Path(".."), "loop": Path("loop"), "proc": Path("/proc/self/root"), "far": "/"}
    for name, target in links.items():
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    path = lead + "/".join(parts)
    with contextlib.suppress(IronclawError):
        assert read(root, path) != SECRET
    before = sorted(os.listdir(root.parent)), sorted(os.listdir(outside))
    with contextlib.suppress(IronclawError):
        files.atomic_write(root, path, b"inside")
    assert (sorted(os.listdir(root.parent)), sorted(os.listdir(outside))) == before
    assert (outside / "s.md").read_bytes() == SECRET


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_that_leads_out_is_neither_read_nor_written_nor_listed(root: Path, way: str, absolute: bool) -> None:
    outside = root.parent / "ws-secret"
    target = outside if absolute else Path("../ws-secret")
    (root / "out").symlink_to(target)
    (root / "file.md").symlink_to(target / "s.md")
    (root / "chain.md").symlink_to("file.md")
    for path in ("file.md", "chain.md", "out/s.md"):
        with pytest.raises((Invalid, NotFound)):
            read(root, path)
        with pytest.raises((Invalid, NotFound)):
            files.atomic_write(root, path, b"changed")
    with pytest.raises((Invalid, NotFound)):
        files.atomic_write(root, "out/new.md", b"new")
    with pytest.raises((Invalid, NotFound)):
        files.scan(root, "out")
    assert {entry.name for entry in files.scan(root)} == {"a.md", "daily"}
    assert (outside / "s.md").read_bytes() == SECRET
    assert os.listdir(outside) == ["s.md"]


def test_a_link_that_stays_inside_is_read_but_never_written_through(root: Path) -> None:
    (root / "link.md").symlink_to("daily/b.md")
    assert read(root, "link.md") == b"inside"
    with pytest.raises(Invalid, match="link"):
        files.atomic_write(root, "link.md", b"changed")
    assert (root / "daily" / "b.md").read_text() == "inside"
    assert (root / "link.md").is_symlink()


def test_a_write_through_a_dangling_link_is_refused_and_makes_nothing(root: Path, way: str) -> None:
    (root / "dangling.md").symlink_to(root.parent / "made.md")
    (root / "gone").symlink_to(root.parent / "made")
    for path in ("dangling.md", "gone/x.md"):
        with pytest.raises((Invalid, NotFound)):
            files.atomic_write(root, path, b"x")
    assert not (root.parent / "made.md").exists()
    assert not (root.parent / "made").exists()


def test_a_fifo_a_socket_and_a_device_are_refused_at_once(root: Path, way: str) -> None:
    os.mkfifo(root / "fifo.md")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(root / "socket.md"))
    (root / "zero.md").symlink_to("/dev/zero")
    started = time.monotonic()
    for path in ("fifo.md", "socket.md", "zero.md"):
        with pytest.raises(Invalid):
            read(root, path)
    with pytest.raises(Invalid):
        files.atomic_write(root, "fifo.md", b"x")
    assert {entry.name for entry in files.scan(root)} == {"a.md", "daily"}
    assert time.monotonic() - started < 1
    server.close()


def test_a_file_beyond_the_limit_is_too_large_however_sparse(root: Path) -> None:
    with (root / "huge.md").open("wb") as file:
        file.truncate(1 << 40)
    started = time.monotonic()
    with pytest.raises(TooLarge):
        read(root, "huge.md")
    assert time.monotonic() - started < 1
    (root / "exact.md").write_bytes(b"x" * 1000)
    assert len(read(root, "exact.md")) == 1000


def test_a_file_of_proc_that_claims_no_size_is_still_bounded() -> None:
    with pytest.raises(TooLarge):
        files.read_bytes(Path("/proc"), "cpuinfo", limit=10)


@contextlib.contextmanager
def swapping(path: Path, target: Path) -> Iterator[None]:
    """Exchanges the folder *path* and a link to *target* in one step, again and again, in a thread."""
    aside = path.with_name("aside")
    aside.symlink_to(target)
    libc, stop, here, exchange = ctypes.CDLL(None, use_errno=True), threading.Event(), -100, 2
    answers = set()

    def swap() -> None:
        while not stop.is_set():
            answers.add(libc.renameat2(here, os.fsencode(path), here, os.fsencode(aside), exchange))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert answers == {0}


def test_swapping_a_folder_for_a_link_never_shows_what_is_outside(root: Path, way: str) -> None:
    (root / "daily" / "s.md").write_text("inside")
    seen = set()
    with swapping(root / "daily", root.parent / "ws-secret"):
        for _ in range(10_000):
            try:
                seen.add(read(root, "daily/s.md"))
            except (NotFound, Invalid):
                seen.add(b"refused")
    # Both sides of the race were met, or this would prove nothing.
    assert seen == {b"inside", b"refused"}


def test_swapping_a_folder_for_a_link_never_writes_outside(root: Path, way: str) -> None:
    outside = root.parent / "ws-secret"
    with swapping(root / "daily", outside):
        for _ in range(300):
            with contextlib.suppress(NotFound, Invalid):
                files.atomic_write(root, "daily/new.md", b"x")
    assert os.listdir(outside) == ["s.md"]


def test_a_write_replaces_the_whole_file_and_keeps_its_mode(root: Path, way: str) -> None:
    (root / "a.md").chmod(0o640)
    files.atomic_write(root, "a.md", b"new")
    assert (root / "a.md").read_bytes() == b"new"
    assert stat.S_IMODE((root / "a.md").stat().st_mode) == 0o640
    assert sorted(os.listdir(root)) == ["a.md", "daily"]


def test_a_write_makes_missing_folders(root: Path, way: str) -> None:
    files.atomic_write(root, "x/y/z.md", b"new")
    assert (root / "x" / "y" / "z.md").read_bytes() == b"new"


def test_a_write_never_shows_a_half_written_file(root: Path) -> None:
    texts = {bytes([65 + n]) * 200_000 for n in range(2)}
    (root / "a.md").write_bytes(min(texts))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for text in texts:
                files.atomic_write(root, "a.md", text)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            assert files.read_bytes(root, "a.md", limit=300_000).data in texts
    finally:
        stop.set()
        thread.join()


def test_a_folder_or_a_file_in_the_way_of_a_write_is_left_alone(root: Path, way: str) -> None:
    for path in ("daily", "a.md/x.md", ""):
        with pytest.raises((Invalid, NotFound)):
            files.atomic_write(root, path, b"x")
    assert sorted(os.listdir(root)) == ["a.md", "daily"]
    assert (root / "a.md").read_text() == "inside"


def test_a_root_that_is_gone_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="gone"):
        read(tmp_path / "gone", "a.md")


def test_open_beneath_never_creates(root: Path) -> None:
    with pytest.raises(ValueError, match="creates"):
        files.open_beneath(root, "new.md", os.O_WRONLY | os.O_CREAT)
    assert not (root / "new.md").exists()


def test_no_descriptor_is_left_open(root: Path, way: str) -> None:
    (root / "out").symlink_to(root.parent / "ws-secret")
    os.mkfifo(root / "fifo.md")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a.md", "daily/b.md", "nope/x.md", "out/s.md", "fifo.md", "daily", "../x"):
        with contextlib.suppress(IronclawError):
            read(root, path)
        with contextlib.suppress(IronclawError):
            files.atomic_write(root, path, b"x")
        with contextlib.suppress(IronclawError):
            files.scan(root, path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_time_that_no_calendar_has_is_no_error(root: Path) -> None:
    os.utime(root / "a.md", (2**53, 2**53))
    assert len(files.scan(root)) == 2
    assert read(root, "a.md") == b"inside"


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    names = [".ironclaw-0123456789abcdef.tmp", "x/.ironclaw-0123456789abcdef.tmp"]
    stay = ["a.md", ".ironclaw-mine.tmp", "x/.ironclaw-0123456789abcdef.tmp.md", ".git/.ironclaw-0123456789abcdef.tmp"]
    for name in (*names, *stay):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / ".git")
    files.sweep(tmp_path)
    assert all((tmp_path / name).exists() for name in stay)
    assert not any((tmp_path / name).exists() for name in names)


def test_a_file_that_is_not_the_one_that_was_read_is_neither_replaced_nor_removed_nor_moved(
    root: Path, way: str
) -> None:
    mark = files.read_bytes(root, "a.md", limit=100).mark
    (root / "a.md").write_text("edited")
    for call in (
        lambda: files.atomic_write(root, "a.md", b"x", mark), lambda: files.atomic_write(root, "a.md", b"x", files.MISSING),
        lambda: files.remove(root, "a.md", mark), lambda: files.move(root, "a.md", "c.md", mark),
        lambda: files.atomic_write(root, "new.md", b"x", mark),
    ):  # fmt: skip
        with pytest.raises(files.Changed):
            call()
    assert (root / "a.md").read_text() == "edited"
    assert sorted(os.listdir(root)) == ["a.md", "daily"]


def test_links_and_folders_are_neither_removed_nor_moved(root: Path, way: str) -> None:
    (root / "link.md").symlink_to("a.md")
    (root / "out").symlink_to(root.parent / "ws-secret")
    mark = files.read_bytes(root, "a.md", limit=100).mark
    for path in ("link.md", "daily", "out/s.md", "../ws-secret/s.md", "nope.md", ""):
        with pytest.raises(IronclawError):
            files.remove(root, path, mark)
        with pytest.raises(IronclawError):
            files.move(root, path, "new.md", mark)
    for target in ("daily/b.md", "link.md", "out/new.md", "../ws-secret/new.md", "daily"):
        with pytest.raises(IronclawError):
            files.move(root, "a.md", target, mark)
    assert (root / "a.md").read_text() == (root / "daily" / "b.md").read_text() == "inside"
    assert os.listdir(root.parent / "ws-secret") == ["s.md"]


def test_a_move_never_overwrites_also_where_the_system_can_not_promise_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beneath, "_RENAME_NOREPLACE", 1 << 30)  # a flag that no kernel has
    mark = files.read_bytes(root, "a.md", limit=100).mark
    with pytest.raises(Conflict):
        files.move(root, "a.md", "daily/b.md", mark)
    files.move(root, "a.md", "x/c.md", mark)
    assert (root / "x" / "c.md").read_text() == "inside"
