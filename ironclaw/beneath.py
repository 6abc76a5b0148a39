"""The system calls by which a path is opened beneath a folder and nowhere else. What may be opened: `files.py`."""

import ctypes
import errno
import os
import struct
import sys

# From linux/openat2.h; the system call has this number on every architecture Python runs on.
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_ATTEMPTS = 64
_RENAME_NOREPLACE = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_at(top: int, path: str, flags: int) -> int:
    """A descriptor of *path* beneath the folder *top*; links are followed while they stay beneath it.

    `""` is the folder itself. Where the kernel can't vouch for that, no link is followed at all. Raises *OSError*.
    """
    flags |= os.O_CLOEXEC
    try:
        return _openat2(top, os.fsencode(path or "."), flags)
    except OSError as error:
        # An old kernel knows no openat2, an old container runtime forbids it.
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
    return _open_stepwise(top, path.split("/") if path else ["."], flags)


def rename_new(folder: int, name: str, into: int, new: str) -> None:
    """Renames where nothing has the new name; in one step where the C library and the file system can.

    Raises *FileExistsError*, or another *OSError*.
    """
    code = errno.ENOSYS
    if hasattr(_libc, "renameat2"):
        done = _libc.renameat2(folder, os.fsencode(name), into, os.fsencode(new), _RENAME_NOREPLACE)
        code = 0 if done == 0 else ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL}:
        _rename_checked(folder, name, into, new)
    elif code:
        raise OSError(code, os.strerror(code))


def _rename_checked(folder: int, name: str, into: int, new: str) -> None:
    try:
        os.stat(new, dir_fd=into, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=into)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _openat2(top: int, path: bytes, flags: int) -> int:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    how = struct.pack("QQQ", flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    code = errno.EAGAIN
    for _ in range(_ATTEMPTS):
        descriptor: int = _libc.syscall(ctypes.c_long(_OPENAT2), top, path, how, ctypes.c_size_t(len(how)))
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        # EAGAIN: something was renamed meanwhile, so the kernel can't vouch for a `..` inside a link.
        if code not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(code, os.strerror(code))


def _open_stepwise(top: int, parts: list[str], flags: int) -> int:
    """The same without openat2: one folder at a time, and no link is followed at all."""
    here = os.dup(top)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)
