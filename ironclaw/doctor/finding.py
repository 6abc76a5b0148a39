"""What a check has found: one line that says what, why, and what to do. Which checks there are: `examination.py`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from ironclaw.errors import ConfigError
from ironclaw.home import read_token
from ironclaw.redact import redact
from ironclaw.settings import Settings
from ironclaw.values import frozen

State = Literal["ok", "warning", "failure"]
EXIT = {"ok": 0, "warning": 1, "failure": 2}


@frozen
class Finding:
    """One line of the report. *fix* says what to do; empty where all is well."""

    check: str
    state: State
    what: str
    fix: str = ""


@frozen
class Patient:
    """What is examined: the settings as the gateway would read them here, and the home."""

    settings: Settings
    home: Path

    @property
    def workspace(self) -> Path:
        """The folder of the notes."""
        return self.settings.workspace or self.home / "workspace"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "ironclaw.db"

    def remember_secrets(self) -> str | None:
        """Have every secret that is set masked in all that is said from now on; the token, where there is one."""
        for field in attrs.fields(Settings):
            if field.metadata["secret"] and (value := getattr(self.settings, field.name)):
                redact.add(value)
        try:
            token = read_token(self.settings, self.home)
        except ConfigError:
            return None  # the check of the token says why
        if token is not None:
            redact.add(token)
        return token


def ok(check: str, what: str) -> list[Finding]:
    """All is well."""
    return [Finding(check, "ok", what)]


def warning(check: str, what: str, fix: str) -> list[Finding]:
    """It works, but not as well as it should, or not for long."""
    return [Finding(check, "warning", what, fix)]


def failure(check: str, what: str, fix: str) -> list[Finding]:
    """It does not work, or is not safe."""
    return [Finding(check, "failure", what, fix)]


def worst(findings: Sequence[Finding]) -> State:
    """The state of all of them together."""
    return max((finding.state for finding in findings), key=lambda state: EXIT[state], default="ok")
