"""The parts of the gateway in its status: each with state and reason, a failing one degrades and takes nothing down."""

import logging
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestClient
from conftest import ScriptedModel

from ironclaw.errors import ProviderError
from ironclaw.settings import Settings
from ironclaw.status import PartStatus, StatusReader

MakeClient = Callable[..., Awaitable[TestClient]]


def reader_of(client: TestClient) -> StatusReader:
    return client.gateway.services.status  # type: ignore[attr-defined,no-any-return]


async def parts_of(client: TestClient) -> dict[str, dict[str, str | None]]:
    status = await (await client.get("/api/status")).json()
    assert status["status"] == (
        "healthy" if all(one["state"] == "ok" for one in status["parts"].values()) else "degraded"
    )
    return status["parts"]  # type: ignore[no-any-return]


async def test_a_part_that_another_noun_adds_is_shown_in_status_and_health_like_those_that_are_always_there(
    client: TestClient,
) -> None:
    reader_of(client).add_part("garden", lambda: PartStatus("degraded", "It is dry. Water it."))
    parts = await parts_of(client)
    assert set(parts) >= {"database", "workspace", "search", "model", "disk", "log", "background", "backup", "garden"}
    assert parts["garden"] == {"state": "degraded", "reason": "It is dry. Water it."}
    health = await client.get("/api/health", headers={"Authorization": ""})
    assert health.status == 200
    assert (await health.json())["parts"]["garden"] == "degraded"
    assert (await client.get("/readyz")).status == 200  # messages can be taken all the same
    with pytest.raises(ValueError, match="garden"):
        reader_of(client).add_part("garden", lambda: PartStatus("ok"))


async def test_a_part_that_cannot_be_looked_at_is_degraded_and_told_in_the_log_once(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    status = reader_of(client)

    def broken() -> PartStatus:
        raise OSError("inside, with its secret reason")

    status.add_part("another", broken)
    with caplog.at_level(logging.ERROR, "ironclaw.status"):
        for _ in range(3):
            assert (await client.get("/readyz")).status == 200
            part = (await parts_of(client))["another"]
            status._parts_at = float("-inf")  # as if a second had passed
    assert part == {"state": "degraded", "reason": "How it is can't be seen (OSError). The log says why."}
    assert len(caplog.records) == 1


async def test_the_model_is_a_part_and_says_what_to_do_as_soon_as_its_state_changes(
    make_client: MakeClient, settings: Settings
) -> None:
    refused = ProviderError(
        "The server refuses the key sk-abcdefghijklmnop0123.", code="key_refused", fix="Give it another key."
    )
    client = await make_client(settings, llm=ScriptedModel([refused], ScriptedModel().scripts[0]))
    assert (await parts_of(client))["model"] == {"state": "ok"}
    await client.post("/api/chat/send?wait", json={"message": "x"})
    assert (await parts_of(client))["model"] == {
        "state": "degraded",
        "reason": "The server refuses the key ***. Give it another key.",
    }
    assert (await (await client.get("/api/health")).json())["status"] == "degraded"
    await client.post("/api/chat/send?wait", json={"message": "x"})
    assert (await parts_of(client))["model"] == {"state": "ok"}


async def test_without_a_model_the_built_in_assistant_is_nothing_to_mend(client: TestClient) -> None:
    assert (await parts_of(client))["model"] == {"state": "ok"}
