"""The list of models, and who answers under which name: an alias, the default, the host's model, the built-in one."""

from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from conftest import ScriptedModel
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401
from v1_calls import CHAT, MakeClient, asked, chat, open_relayed, stream, text_of, usage_of  # noqa: F401

from ironclaw.openai.names import Names, answered_by
from ironclaw.settings import Settings


async def listed(client: TestClient) -> list[str]:
    return [one["id"] for one in (await (await client.get("/v1/models")).json())["data"]]


async def test_the_agent_is_listed_first_and_then_what_the_server_has(
    relayed: TestClient, stand_in: StandInProcess
) -> None:
    stand_in.facts(models=["hello", "org/model:7b", "ironclaw"])
    assert await listed(relayed) == ["ironclaw", "hello", "org/model:7b"]
    one = await (await relayed.get("/v1/models/org/model:7b")).json()
    assert set(one) == {"id", "object", "created", "owned_by"}
    assert (one["id"], one["object"], type(one["created"])) == ("org/model:7b", "model", int)
    assert (await relayed.get("/v1/models/ironclaw")).status == 200
    assert (await relayed.get("/v1/models/none")).status == 404


async def test_the_list_is_kept_for_some_seconds(relayed: TestClient, stand_in: StandInProcess) -> None:
    await listed(relayed)
    before = len(stand_in.requests("/v1/models"))
    for _ in range(5):
        await listed(relayed)
    assert len(stand_in.requests("/v1/models")) == before


async def test_another_server_has_another_list_at_once(client: TestClient, stand_in: StandInProcess) -> None:
    link = {"address": f"{stand_in.url}/v1", "model": "hello"}
    assert (await client.put("/api/model", json=link)).status == 200
    assert len(await listed(client)) > 1
    assert (await client.delete("/api/model")).status == 200
    assert await listed(client) == ["ironclaw"]


async def test_an_ollama_is_spoken_to_in_openais_protocol(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(attrs.evolve(settings, llm_backend="ollama", ollama_host=stand_in.url))
    body = asked("hello", seed=1)
    assert (await chat(client, body))["choices"][0]["message"]["content"] == "Hello from the model."
    assert stand_in.requests()[-1]["body"] == body
    assert "hello:latest" in await listed(client)


@pytest.mark.parametrize("name", ["gpt-4", "ironclaw"])
async def test_on_a_fresh_home_the_built_in_assistant_answers_any_name_and_says_so(
    client: TestClient, name: str
) -> None:
    response = await client.post(CHAT, json=asked(name, "Hello!"))
    reply = await response.json()
    assert response.status == 200
    assert response.headers["X-IronClaw-Model"] == "builtin"
    assert (reply["model"], reply["system_fingerprint"]) == (name, "ironclaw-builtin")
    assert reply["choices"][0]["message"]["content"]
    events = await stream(client, asked(name, "Hello!"))
    assert text_of(events)
    assert {one["system_fingerprint"] for one in events[:-1]} == {"ironclaw-builtin"}


async def test_a_hosts_own_model_answers_in_openais_words(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel()
    client = await make_client(settings, llm=model)
    response = await client.post(CHAT, json=asked("gpt-4", max_tokens=9))
    assert response.headers["X-IronClaw-Model"] == "scripted-1"
    reply: dict[str, Any] = await response.json()
    assert (reply["model"], reply["choices"][0]["message"]["content"]) == ("gpt-4", "Hello.")
    assert "system_fingerprint" not in reply
    assert model.requests[-1].max_output_tokens == 9
    assert (await usage_of(client))["input_tokens"] == 3
    refused = await chat(client, {"model": "x", "input": "y"}, 404, path="/v1/embeddings")
    assert refused["error"]["code"] == "model_not_found"


def test_an_alias_goes_before_the_servers_own_names_and_a_missing_name_is_forgotten_in_time() -> None:
    now = [0.0]
    names = Names({"gpt-4": "llama"}, lambda: now[0])
    assert (names.meant("s", "gpt-4"), names.meant("s", "other")) == ("llama", "other")
    names.is_missing("s", "other")
    names.is_missing("s", "llama")
    assert (names.meant("s", "other"), names.meant("t", "other"), names.meant("s", "gpt-4")) == (None, "other", None)
    now[0] = 61.0
    assert names.meant("s", "other") == "other"


def test_missing_names_are_bounded() -> None:
    names = Names({})
    for number in range(1000):
        names.is_missing("s", str(number))
    assert (names.meant("s", "0"), names.meant("s", "999")) == ("0", None)


def test_a_header_holds_any_models_name() -> None:
    assert answered_by("org/a:7b") == {"X-IronClaw-Model": "org/a:7b"}
    assert answered_by("mödel\r\nX: y") == {"X-IronClaw-Model": "m%C3%B6del%0D%0AX:%20y"}
