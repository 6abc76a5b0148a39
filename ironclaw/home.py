"""The folder that holds the program's state: made, locked and laid out here. What the files in it say is their noun's.

One process owns a home. The lock dies with the process, so that nothing is left to clean up after a crash.
"""

import contextlib
import fcntl
import os
import secrets
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ironclaw.errors import ConfigError
from ironclaw.settings import Settings
from ironclaw.values import define

_ALPHABET = string.ascii_letters + string.digits
_TOKEN_LENGTH = 32


@define
class Home:
    """An open home. `close()` gives it back, and deletes it where it was a private temporary one."""

    path: Path
    workspace: Path
    _lock: int
    _temporary: "tempfile.TemporaryDirectory[str] | None"

    @classmethod
    def open(cls, settings: Settings) -> "Home":
        """The home that *settings* name, made (0700) if it is missing.

        Raises *ConfigError* when it can't be written or another process owns it.
        """
        temporary = tempfile.TemporaryDirectory(prefix="ironclaw-") if settings.home is None else None
        path = Path(temporary.name) if temporary else settings.home
        assert path is not None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _take_lock(path)
        except OSError as error:
            raise ConfigError(
                f"IRONCLAW_HOME is {path}, but it can't be written: {error.strerror}. "
                "Give this user the right to write there, or set IRONCLAW_HOME to another folder."
            ) from None
        workspace = settings.workspace or path / "workspace"
        if _is_open_beneath(workspace, path):
            os.close(lock)
            raise ConfigError(
                f"IRONCLAW_WORKSPACE is {workspace}, and IRONCLAW_HOME, {path}, is in it: the agent could read the token"
                " and write skills. Give the notes a folder of their own.",
                field="workspace",
            )
        return cls(path, workspace, lock, temporary)

    @property
    def database(self) -> Path:
        """The SQLite file of all state."""
        return self.path / "ironclaw.db"

    def close(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._temporary is not None:
            self._temporary.cleanup()


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep every gateway off the home at *path* meanwhile, made (0700) if it is missing.

    Raises *ConfigError* (`in_use`) when one runs on it, *OSError* when it can't be written.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _take_lock(path)
    try:
        yield
    finally:
        os.close(lock)


def _is_open_beneath(workspace: Path, home: Path) -> bool:
    """Whether *home* can be reached by paths of the workspace; those with hidden folders are never served."""
    outer, inner = workspace.resolve(), home.resolve()
    if not inner.is_relative_to(outer):
        return False
    return not any(part.startswith(".") for part in inner.relative_to(outer).parts)


def _take_lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise ConfigError(
            f"{path} is in use by another gateway, pid {owner}. Stop it (kill {owner}), "
            "or give this one its own folder: IRONCLAW_HOME=/another/folder ironclaw run",
            code="in_use",
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def read_token(settings: Settings, home: Path) -> str | None:
    """The token that is set or kept in *home*, without making one; None where there is none.

    Raises *ConfigError* when GATEWAY_AUTH_TOKEN_FILE can't be read or is empty.
    """
    if settings.auth_token and settings.auth_token.strip():
        return settings.auth_token.strip()
    if settings.auth_token_file is not None:
        return _read_token_file(settings.auth_token_file)
    try:
        return (home / "token").read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{home / 'token'} can't be read: {_reason(error)}. Mend it or delete it.") from None


def _read_token_file(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"GATEWAY_AUTH_TOKEN_FILE is {path}, which can't be read: {_reason(error)}.") from None
    if not token:
        raise ConfigError(f"GATEWAY_AUTH_TOKEN_FILE is {path}, which is empty. Put the token into it.")
    return token


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is no text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def make_token(home: Path) -> str:
    """A new token of 32 letters and digits from the system's randomness, kept in `home/token` (0600).

    Makes the home where it is missing. Raises *ConfigError* when it can't be written.
    """
    token = "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(home / "token", token + "\n")
    except OSError as error:
        raise ConfigError(f"{home / 'token'} can't be written: {_reason(error)}. Look at what stands there.") from None
    return token


def write_private(path: Path, text: str) -> None:
    """Write *path* whole or not at all, readable by its owner only whatever the umask is."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
