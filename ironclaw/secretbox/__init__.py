"""Secrets that the program keeps (a model's key, say): encrypted in the database, their key beside it in the home."""

from ironclaw.secretbox.box import SecretBox, read_secret
from ironclaw.secretbox.store import MIGRATIONS

__all__ = ["MIGRATIONS", "SecretBox", "read_secret"]
