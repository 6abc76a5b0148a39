"""Becomes the sandbox: a small program of its own that the gateway starts, `python -I -S launcher.py PLAN`.

What can only be set by a process for itself is set here: limits, rank, and, where the gateway is root, another user. It
then turns into bwrap. It imports nothing of ours and starts no threads, so that none of this is done in the gateway.
"""

import ctypes
import json
import os
import resource
import sys
from typing import Any

_CLONE_NEWNS = 0x20000
_MS_NOSUID_NODEV = 2 | 4
_MS_BIND = 4096
_MS_REC = 16384
_MS_SLAVE = 1 << 19
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_STAGE = "/tmp"  # noqa: S108 - a mount of this process's own is laid over it

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), None if data is None else os.fsencode(data)), target)


def _stage(binds: list[list[str]], copies: list[list[str]]) -> None:
    """Lay out under /tmp, which only this process sees, what another user could not reach at its own place."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    opened = [(os.open(source, os.O_PATH | os.O_CLOEXEC), name) for source, name in binds]
    contents = []
    for source, name in copies:
        with open(source, "rb") as file:
            contents.append((name, file.read()))
    _mount("tmpfs", _STAGE, "tmpfs", _MS_NOSUID_NODEV, "mode=0755,size=4m")
    for name, data in contents:
        path = f"{_STAGE}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o755)  # noqa: S103 - it holds a program that others run
    for descriptor, name in opened:
        path, source = f"{_STAGE}/{name}", f"/proc/self/fd/{descriptor}"
        if os.path.isdir(source):
            os.mkdir(path)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        _mount(source, path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)


def _set_limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(kind)[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lower, lower))


def _rank() -> None:
    """Last in line for the processor, first in line when memory runs out."""
    os.nice(10)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass


def _feed(data: bytes) -> str:
    """A descriptor from which bwrap reads *data*."""
    descriptor = os.memfd_create("ironclaw", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return str(descriptor)


def main(plan: dict[str, Any]) -> None:
    """Carry out the plan; returns only by raising."""
    os.umask(0o022)
    _rank()
    if plan["user"] is not None:
        _stage(plan["binds"], plan["copies"])
    _set_limits(plan["limits"])
    texts = {name: _feed(bytes.fromhex(text)) for name, text in plan["files"].items()}
    if plan["user"] is not None:
        os.setgroups([])
        os.setresgid(plan["user"], plan["user"], plan["user"])
        os.setresuid(plan["user"], plan["user"], plan["user"])
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != plan["parent"]:  # the gateway is gone already, so no signal will come
        os._exit(1)
    options = "".join(texts.get(one, one) + "\0" for one in plan["options"])
    os.chdir("/")
    # The arguments of bwrap can be read inside: only the program's own stand there.
    os.execve(plan["bwrap"], ["bwrap", "--args", _feed(os.fsencode(options)), "--", *plan["argv"]], {})  # noqa: S606


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except OSError as error:
        sys.stderr.write(f"sandbox: {error.filename or 'start'}: {error.strerror}\n")
        os._exit(1)
