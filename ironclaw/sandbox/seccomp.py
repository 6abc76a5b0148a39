"""The filter of system calls for programs in a sandbox, as the BPF program that the kernel takes (seccomp(2)).

Refused is what reaches around the namespaces: other processes' memory, keys, mounts, new namespaces, kernel parts with a
history of holes, keystrokes for other terminals, and sockets that no network namespace holds back.
"""

import errno
import platform
import struct

_LD, _JEQ, _JSET, _JGE, _RET = 0x20, 0x15, 0x45, 0x35, 0x06  # BPF: load a word, compare, test bits, compare, return
_NUMBER, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24  # offsets in struct seccomp_data; of arguments the low half
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_NEWUSER = 0x10000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32 = 0x40000000
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK

# Numbers from the kernel's tables: (x86_64, aarch64).
_REFUSED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "acct": (163, 89),
    "syslog": (103, 116),
    "memfd_secret": (447, 447),
}
_ARCHES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_CLONE, _CLONE3, _IOCTL, _SOCKET = (56, 220), (435, 435), (16, 29), (41, 198)


def program() -> bytes | None:
    """The filter for this machine; None for an architecture whose numbers are not known here."""
    if platform.machine() not in _ARCHES:
        return None
    arch, column = _ARCHES[platform.machine()]
    code = [*_when(_ARCH, arch, equal=[], other=[_ret(_KILL)]), (_LD, 0, 0, _NUMBER)]
    if column == 0:
        code += [(_JGE, 0, 1, _X32), _ret(_ERRNO | errno.ENOSYS)]
    for numbers in _REFUSED.values():
        code += [(_JEQ, 0, 1, numbers[column]), _ret(_ERRNO | errno.EPERM)]
    # Without clone3, whose flags no filter can see, libraries fall back to clone.
    code += [(_JEQ, 0, 1, _CLONE3[column]), _ret(_ERRNO | errno.ENOSYS)]
    code += _on(_CLONE[column], [(_LD, 0, 0, _ARG0), (_JSET, 0, 1, _CLONE_NEWUSER), _ret(_ERRNO | errno.EPERM)])
    refused = [(_LD, 0, 0, _ARG1)]
    for request in (_TIOCSTI, _TIOCLINUX):
        refused += [(_JEQ, 0, 1, request), _ret(_ERRNO | errno.EPERM)]
    code += _on(_IOCTL[column], refused)
    families = [(_JEQ, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)]
    code += _on(_SOCKET[column], [(_LD, 0, 0, _ARG0), *families, _ret(_ERRNO | errno.EAFNOSUPPORT)])
    code.append(_ret(_ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in code)


_Step = tuple[int, int, int, int]


def _ret(value: int) -> _Step:
    return _RET, 0, 0, value


def _when(offset: int, value: int, *, equal: list[_Step], other: list[_Step]) -> list[_Step]:
    """Load a word; one list of steps or the other."""
    return [(_LD, 0, 0, offset), (_JEQ, len(other), 0, value), *other, *equal]


def _on(number: int, steps: list[_Step]) -> list[_Step]:
    """*steps* for one system call, then it is allowed; the number is loaded, and stays so for all others."""
    steps = [*steps, _ret(_ALLOW)]
    return [(_JEQ, 0, len(steps), number), *steps]
