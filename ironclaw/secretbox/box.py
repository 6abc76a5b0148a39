"""Seals and opens secrets with AES-GCM. The key is in `secrets.key` of the home, so a copy of the database alone is no use.

A secret is bound to its name and to the origin that it is for (`https://api.example.com`): a row that is moved to another
name or origin can't be opened any more.
"""

import asyncio
import logging
import os
import secrets
import sqlite3
from pathlib import Path

from ironclaw import codec
from ironclaw.database import Database
from ironclaw.errors import Unavailable
from ironclaw.home import write_private
from ironclaw.redact import redact
from ironclaw.secretbox import store
from ironclaw.secretbox.store import SealedSecret

log = logging.getLogger(__name__)

_KEY_BYTES = 32
_NONCE_BYTES = 12


class _UnusableKeyError(Exception):
    """The file of the key is there, but holds no key."""


class SecretBox:
    """The secrets of one home. Every secret that goes in or comes out is masked in logs from then on."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._key_path = home / "secrets.key"
        self._making = asyncio.Lock()
        self._complained: set[str] = set()

    async def put(self, name: str, value: str, *, origin: str) -> None:
        """Keep a secret in place of the one of that name before.

        Raises *Unavailable* when the file of the key is damaged or can't be written.
        """
        redact.add(value)
        async with self._making:  # two secrets at once must not make two keys
            key = await asyncio.to_thread(self._key_for_writing)
        sealed = await asyncio.to_thread(_seal, key, value, _bound(name, origin))
        await self._database.write(lambda db: store.write(db, name, SealedSecret(origin, sealed)))
        self._complained.discard(name)

    async def get(self, name: str, *, origin: str) -> str | None:
        """The secret; None where there is none for this origin, or where it can't be opened (the log says so once)."""
        row = await self._database.read(lambda db: store.read(db, name))
        if row is None or row.origin != origin:
            return None
        value = await asyncio.to_thread(self._open, name, row)
        if value is not None:
            redact.add(value)
        return value

    async def has(self, name: str) -> bool:
        """Whether there is a secret of this name that can be opened."""
        row = await self._database.read(lambda db: store.read(db, name))
        return row is not None and await self.get(name, origin=row.origin) is not None

    async def forget(self, name: str) -> None:
        """Delete a secret; nothing happens where there is none."""
        await self._database.write(lambda db: store.delete(db, name))

    def _open(self, name: str, row: SealedSecret) -> str | None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _seal

        try:
            key = _parse_key(self._key_path.read_bytes())
            return _unseal(key, row.sealed, _bound(name, row.origin))
        except FileNotFoundError:
            self._complain(name, "the file is gone")
        except OSError as error:
            self._complain(name, f"it can't be read ({error.strerror})")
        except _UnusableKeyError:
            self._complain(name, "it holds no key")
        except (InvalidTag, ValueError):
            self._complain(name, "it is not the key that sealed it")
        return None

    def _complain(self, name: str, reason: str) -> None:
        if name not in self._complained:
            self._complained.add(name)
            log.error(
                "The stored secret %r can't be opened with %s: %s. Put the file back, or enter the secret anew.",
                name,
                self._key_path,
                reason,
            )

    def _key_for_writing(self) -> bytes:
        """The key, made where there is none. A damaged one is not replaced: it may be all that opens other secrets."""
        try:
            if not self._key_path.exists():
                write_private(self._key_path, secrets.token_hex(_KEY_BYTES) + "\n")
            return _parse_key(self._key_path.read_bytes())
        except OSError as error:
            raise Unavailable(f"{self._key_path} can't be used: {error.strerror}. Look at its rights.") from None
        except _UnusableKeyError:
            raise Unavailable(
                f"{self._key_path} is damaged. Put a copy of it back; or delete it, and enter all secrets anew."
            ) from None


def read_secret(db: sqlite3.Connection, home: Path, name: str, *, origin: str) -> str | None:
    """A secret from the files of a home that nobody need run on; None where there is none, or it can't be opened."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _seal

    row = store.read(db, name)
    if row is None or row.origin != origin:
        return None
    try:
        value = _unseal(_parse_key((home / "secrets.key").read_bytes()), row.sealed, _bound(name, origin))
    except (OSError, _UnusableKeyError, InvalidTag, ValueError):
        return None
    redact.add(value)
    return value


def _parse_key(data: bytes) -> bytes:
    try:
        key = bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise _UnusableKeyError from None
    if len(key) != _KEY_BYTES:
        raise _UnusableKeyError
    return key


def _bound(name: str, origin: str) -> bytes:
    """What a secret is bound to; JSON, so that no name and origin run into each other."""
    return codec.dumps([name, origin])


def _seal(key: bytes, value: str, bound: bytes) -> bytes:
    """Nonce and ciphertext."""
    # Imported when first used: most gateways hold no secret, and it costs memory and time to start.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value.encode(), bound)


def _unseal(key: bytes, sealed: bytes, bound: bytes) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see _seal

    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound).decode()
