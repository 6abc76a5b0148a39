"""What other programs do to the notes is noticed: kept as a version, and told to open pages."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from ironclaw.events import MemoryChanged
from ironclaw.gateway import Gateway
from ironclaw.services import Services
from ironclaw.settings import Settings


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with Gateway(settings) as gateway:
        while not any(thread.name == "ironclaw-watch" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
        yield gateway.services


async def next_change(services: Services, path: str) -> str:
    with services.hub.subscribe() as events:
        async with asyncio.timeout(10):
            async for released in events:
                event = released.event
                if isinstance(event, MemoryChanged) and (event.path, event.author) == (path, "outside"):
                    return event.change
    raise AssertionError


async def test_an_edit_by_another_program_is_told_and_kept_as_a_version(services: Services) -> None:
    note = services.workspace.root / "MEMORY.md"
    await services.workspace.write("MEMORY.md", "ours\n", author="person")
    waiting = asyncio.create_task(next_change(services, "MEMORY.md"))
    await asyncio.sleep(0)
    note.write_text("theirs\n")
    assert await waiting == "written"
    versions, _ = await services.workspace.history("MEMORY.md", 10, None)
    assert versions[0].author == "outside"
    await services.workspace.write("MEMORY.md", "ours again\n", author="person")
    restored = versions[0]
    await services.workspace.restore("MEMORY.md", restored.id, author="person")
    assert note.read_text() == "theirs\n"


async def test_a_note_that_another_program_makes_or_deletes_is_told(services: Services) -> None:
    note = services.workspace.root / "new.md"
    for act, change in ((lambda: note.write_text("x\n"), "written"), (note.unlink, "deleted")):
        waiting = asyncio.create_task(next_change(services, "new.md"))
        await asyncio.sleep(0)
        act()
        assert await waiting == change


async def test_our_own_writes_are_not_taken_for_somebody_else_s(services: Services) -> None:
    seen: list[str] = []

    async def collect() -> None:
        with services.hub.subscribe() as events:
            async for released in events:
                if isinstance(released.event, MemoryChanged):
                    seen.append(f"{released.event.path} {released.event.author}")

    task = asyncio.create_task(collect())
    await asyncio.sleep(0)
    await services.workspace.write("mine.md", "1\n", author="person")
    await services.workspace.write("mine.md", "2\n", author="agent")
    (services.workspace.root / "theirs.md").write_text("x\n")
    async with asyncio.timeout(10):
        while not any(one.startswith("theirs.md") for one in seen):
            await asyncio.sleep(0.01)
    task.cancel()
    assert [one for one in seen if one.startswith("mine.md")] == ["mine.md person", "mine.md agent"]


async def test_its_thread_and_task_are_gone_at_the_end(settings: Settings) -> None:
    async with Gateway(settings) as gateway:
        note = gateway.services.workspace.root / "seen.md"
        waiting = asyncio.create_task(next_change(gateway.services, "seen.md"))
        while not waiting.done():
            note.write_text(f"{asyncio.get_running_loop().time()}\n")
            await asyncio.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "ironclaw-watch"]
    assert len(asyncio.all_tasks()) == 1
