"""What a process and all below it use, from proc(5). Nothing here waits; what has ended meanwhile counts as nothing."""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from ironclaw.values import frozen

_TICKS = os.sysconf("SC_CLK_TCK")
_SHARED_WORTH_A_LOOK = 16 << 20
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@frozen
class TreeUse:
    """Threads, bytes of memory, seconds of processor time, and bytes of files that are deleted but still open."""

    threads: int
    memory: int
    cpu_seconds: float
    unlinked: int


def can_look() -> bool:
    """Whether this kernel tells what is below a process (CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").exists()


def below(pid: int) -> list[int]:
    """All processes that descend from *pid*, parents first.

    Those whose parent has died belong to the first process of their namespace, which is among them.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = list(_children(waiting.pop()))
        found += children
        waiting += children
    return found


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(*_GONE), os.scandir(f"/proc/{pid}/task") as threads:
        for thread in threads:
            with contextlib.suppress(*_GONE):
                yield from map(int, _read(f"{thread.path}/children").split())


def use_of(pids: list[int], device: int) -> TreeUse:
    """What these processes use together; *device* is that of the folder in which deleted files count as disk."""
    threads, memory, ticks = 0, 0, 0
    open_files: dict[tuple[int, int], os.stat_result] = {}
    for pid in pids:
        with contextlib.suppress(*_GONE):
            facts = _facts(_read(f"/proc/{pid}/status"))
            threads += facts.get("Threads", 0)
            memory += _memory(pid, facts)
            # After the name, which may hold anything: utime, stime, cutime and cstime are the 12th to 15th.
            ticks += sum(map(int, _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:15]))
        open_files.update(_deleted_files(pid))
    unlinked = sum(info.st_blocks << 9 for info in open_files.values() if info.st_dev == device)
    # What is on no disk (memfd_create) is memory, mapped or not.
    memory += sum(info.st_blocks << 9 for info in open_files.values() if info.st_dev != device)
    return TreeUse(threads, memory, ticks / _TICKS, unlinked)


def _facts(status: str) -> dict[str, int]:
    """The numbers of a status file; sizes are in kB."""
    facts = {}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in {"Threads", "RssAnon", "RssShmem", "VmSwap"}:
            facts[name] = int(value.split()[0])
    return facts


def _memory(pid: int, facts: dict[str, int]) -> int:
    shared = facts.get("RssShmem", 0) << 10
    if shared > _SHARED_WORTH_A_LOOK:  # each process that shares it counts its part only
        shared = _proportional_share(pid, shared)
    return ((facts.get("RssAnon", 0) + facts.get("VmSwap", 0)) << 10) + shared


def _proportional_share(pid: int, otherwise: int) -> int:
    with contextlib.suppress(*_GONE):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss_Shmem:"):
                return int(line.split()[1]) << 10
    return otherwise


def _deleted_files(pid: int) -> Iterator[tuple[tuple[int, int], os.stat_result]]:
    with contextlib.suppress(*_GONE), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                info = descriptor.stat()
                if info.st_nlink == 0 and stat.S_ISREG(info.st_mode):
                    yield (info.st_dev, info.st_ino), info


def tell(root: int, pid: int) -> None:
    """Send SIGTERM to *pid* while it is below *root*: never to another process that has got its number meanwhile."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if pid in below(root):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        finally:
            os.close(descriptor)


def threads_of_user(user: int) -> int:
    """How many threads a user of this host has, as the kernel counts them for RLIMIT_NPROC."""
    total = 0
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(*_GONE):
                if process.stat().st_uid == user:
                    total += _facts(_read(f"{process}/status")).get("Threads", 0)
    return total


def _read(path: str) -> str:
    """A file of /proc; read the plainest way, as there may be hundreds four times a second."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 16 << 10):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
