"""Links to a job's files that work without a token: signed, for one job, for a day. They lead to `api/job_files.py`."""

import base64
import hashlib
import hmac
import time

import attrs

from ironclaw.errors import Forbidden
from ironclaw.values import frozen

_VALID = 86_400
_STEP = 3600  # links made within an hour are the same


@frozen
class Links:
    """Makes and checks signatures; a new *token* makes all old ones worthless."""

    key: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, secret: str, token: str) -> "Links":
        """The links of a gateway, from its own *secret* and its token."""
        return cls(hmac.digest(secret.encode(), token.encode("utf-8", "surrogateescape"), hashlib.sha256))

    def path(self, job_id: str) -> str:
        """Where the files of a job can be looked at, relative to the gateway's address."""
        expires = (int(time.time()) + _VALID) // _STEP * _STEP + _STEP
        return f"api/jobs/{job_id}/browse/{expires:x}.{self._signature(job_id, expires)}/"

    def check(self, job_id: str, signature: str) -> None:
        """Raises *Forbidden* for a signature that is not ours, of another job, or too old."""
        expires, _, given = signature.partition(".")
        known = expires.isascii() and expires.isalnum() and len(expires) < 16
        try:
            moment = int(expires, 16) if known else 0
        except ValueError:
            moment = 0
        right = self._signature(job_id, moment)
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode()):
            raise Forbidden("This link is not valid. Open the job's files from the list of jobs.", code="bad_link")
        if moment < time.time():
            raise Forbidden("This link is too old. Open the job's files from the list of jobs.", code="old_link")

    def _signature(self, job_id: str, expires: int) -> str:
        digest = hmac.digest(self.key, f"{job_id}\0{expires:x}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:18]).decode()
