"""Runs `ironclaw ...` as a process of its own on a home, as a person or a script would."""

import os
import subprocess
import sys
from pathlib import Path


def ironclaw(
    home: Path, *arguments: str, prefix: tuple[str, ...] = (), stdin: str = "", timeout: float = 60.0, **env: str
) -> "subprocess.CompletedProcess[str]":
    """The finished command; *prefix* goes before it (strace, say)."""
    clean = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(home.parent),
        "IRONCLAW_HOME": str(home),
        "LLM_DISCOVER": "off",
        **env,
    }
    return subprocess.run(
        [*prefix, sys.executable, "-m", "ironclaw", *arguments],
        env=clean,
        cwd=home.parent,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def in_own_mounts(script: str, *arguments: str) -> tuple[str, ...]:
    """A command that gives the process after it mounts of its own, made by a shell *script* ($1 and on: *arguments*)."""
    count = len(arguments)
    return (
        *("unshare", "--user", "--map-root-user", "--mount"),
        *("sh", "-c", f'set -e; {script}; shift {count}; exec "$@"', "sh", *arguments),
    )


def read_only(folder: Path) -> tuple[str, ...]:
    """One for whom *folder* can't be written. Rights would not do: root is not bound by them."""
    return in_own_mounts('mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"', str(folder))


def on_a_small_disk(folder: Path, size: str, *, full: bool = False) -> tuple[str, ...]:
    """One for whom *folder* is a disk of this size, with what was in the folder before; *full*: filled up."""
    fill = 'cat /dev/zero > "$1/filler" 2>/dev/null || true' if full else "true"
    copy = 'mkdir -p "$1.copy"; cp -a "$1/." "$1.copy"; mount -t tmpfs -o size="$2" tmpfs "$1"; cp -a "$1.copy/." "$1"'
    return in_own_mounts(f"{copy}; {fill}", str(folder), size)
