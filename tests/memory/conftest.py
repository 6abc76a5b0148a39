"""A workspace whose changes are kept as versions in a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironclaw.database import Database
from ironclaw.events import MemoryChanged
from ironclaw.memory.store import MIGRATIONS
from ironclaw.memory.versions import Versions
from ironclaw.memory.workspace import Workspace


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "ironclaw.db", MIGRATIONS)
    yield opened
    await opened.aclose()


@pytest.fixture
def told() -> list[MemoryChanged]:
    """The events of all changes."""
    return []


@pytest.fixture
async def kept(tmp_path: Path, database: Database, told: list[MemoryChanged]) -> AsyncIterator[Workspace]:
    """A workspace, empty at first."""
    (tmp_path / "ws").mkdir()
    workspace = Workspace(tmp_path / "ws", Versions(database), told.append)
    yield workspace
    await workspace.aclose()
