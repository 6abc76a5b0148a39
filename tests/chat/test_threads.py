"""Threads over HTTP: history, pages, renaming, forks, search and export."""

import asyncio
import json

from chat_calls import MakeClient, history, say, send, turn
from conftest import ScriptedModel

from ironclaw.errors import ProviderError
from ironclaw.llm.models import Finished, TextDelta
from ironclaw.settings import Settings


async def test_earlier_turns_are_given_to_the_model_and_undone_ones_are_not(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("one"), say("two"), say("three"))
    client = await make_client(settings, llm=model)
    await turn(client, "first", thread_id="a")
    await turn(client, "second", thread_id="a")
    undone = await turn(client, "/undo", thread_id="a")
    assert "second" in undone[-1]["content"]
    await turn(client, "//third", thread_id="a")
    contents = [one.content for one in model.requests[2].messages[1:]]
    assert contents == ["first", "one", "/third"]
    assert [one["undone"] for one in await history(client, "a")] == [False, True, False, False]


async def test_new_moves_the_thread_of_messages_that_name_none(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    first = await send(client, "one")
    await turn(client, "/new")
    second = await send(client, "two")
    assert first["thread_id"] != second["thread_id"]


async def test_threads_are_renamed_pinned_forked_and_deleted(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    for text in ("one", "two", "three"):
        events = await turn(client, text, thread_id="a")
    renamed = await client.patch("/api/chat/threads/a", json={"title": "Plans", "pinned": True})
    assert (await renamed.json())["title"] == "Plans"
    fork = await client.post("/api/chat/threads/a/fork", json={"message_id": events[0]["message_id"]})
    forked = (await fork.json())["id"]
    assert fork.status == 201
    assert [one["user_message"] for one in await history(client, forked)] == ["one", "two"]
    assert (await client.delete("/api/chat/threads/a")).status == 200
    assert (await client.get("/api/chat/history?thread_id=a")).status == 404
    events = await client.get(
        "/api/chat/events?last_event_id=0&thread_id=a", headers={"Accept": "application/x-ndjson"}
    )
    await events.content.readline()
    told = json.loads(await events.content.readline())
    assert (told["type"], told["change"]) == ("thread_updated", "deleted")  # what was said in it is not replayed
    assert [one["id"] for one in (await (await client.get("/api/chat/threads")).json())["threads"]] == [forked]


async def test_history_and_threads_are_read_in_pages(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    for number in range(7):
        await turn(client, str(number), thread_id="a")
        await turn(client, "x", thread_id=f"t{number}")
    seen: list[str] = []
    cursor = ""
    while True:
        page = await (await client.get(f"/api/chat/history?thread_id=a&limit=3{cursor}")).json()
        seen = [one["user_message"] for one in page["turns"]] + seen
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [str(number) for number in range(7)]
    first = await (await client.get("/api/chat/threads?limit=5")).json()
    rest = await (await client.get(f"/api/chat/threads?limit=5&cursor={first['next_cursor']}")).json()
    assert len({one["id"] for one in first["threads"] + rest["threads"]}) == 8


async def test_a_page_that_loads_in_the_middle_of_an_answer_has_every_word_once(
    make_client: MakeClient, settings: Settings
) -> None:
    words = [f"w{number} " for number in range(150)]
    script = [step for word in words for step in (TextDelta(word), 0.004)]
    client = await make_client(settings, llm=ScriptedModel([*script, Finished("stop")]))
    await send(client, "x", thread_id="a")

    async def load(delay: float) -> str:
        await asyncio.sleep(delay)
        loaded = await (await client.get("/api/chat/history?thread_id=a")).json()
        query = f"/api/chat/events?last_event_id={loaded['last_id']}&thread_id=a"
        stream = await client.get(query, headers={"Accept": "application/x-ndjson"})
        text = loaded["in_progress"]["content"] if loaded["in_progress"] else ""
        async for line in stream.content:
            event = json.loads(line)
            text += event["content"] if event["type"] == "stream_chunk" else ""
            if event["type"] == "response":
                stream.close()
                return text
        raise AssertionError("the stream ended early")

    assert set(await asyncio.gather(*(load(delay / 20) for delay in range(8)))) == {"".join(words)}


async def test_search_finds_what_was_said_in_all_threads_and_forgets_deleted_ones(
    make_client: MakeClient, settings: Settings
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("The Café opens at nine."), say("東京タワーは赤い")))
    await turn(client, "when does it open", thread_id="a")
    await turn(client, "tower?", thread_id="b")

    async def found(query: str) -> list[tuple[str, str]]:
        reply = await client.get("/api/chat/search", params={"query": query})
        assert reply.status == 200, await reply.text()
        return [(one["thread_id"], one["role"]) for one in (await reply.json())["results"]]

    assert await found("cafe NINE") == [("a", "assistant")]
    assert await found("ope") == [("a", "title"), ("a", "user")]
    assert await found('"opens at"') == [("a", "assistant")]
    assert await found('"at opens"') == []
    assert await found("タワー") == [("b", "assistant")]
    for odd in ('a"b', "NEAR(", "x AND", "-", "*", '"'):
        assert (await client.get("/api/chat/search", params={"query": odd})).status in {200, 422}
    await client.delete("/api/chat/threads/a")
    assert await found("cafe") == []


async def test_a_thread_is_exported_whole(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("one"), [ProviderError("No route.")]))
    await turn(client, "first\nline", thread_id="a")
    await turn(client, "second", thread_id="a")
    data = await client.get("/api/chat/threads/a/export")
    assert [one["user_message"] for one in (await data.json())["turns"]] == ["first\nline", "second"]
    text = await client.get("/api/chat/threads/a/export?format=markdown")
    assert text.headers["Content-Disposition"] == 'attachment; filename="first-line.md"'
    body = await text.text()
    assert body.startswith("# first line\n")
    assert "one" in body
    assert "*No route.*" in body
    assert (await client.get("/api/chat/threads/a/export?format=x")).status == 400
    assert (await client.get("/api/chat/threads/nope/export")).status == 404


async def test_pinned_threads_come_first_over_all_pages(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel())
    for number in range(6):
        await turn(client, "x", thread_id=f"t{number}")
    for pinned in ("t1", "t3"):
        await client.patch(f"/api/chat/threads/{pinned}", json={"pinned": True})
    seen: list[str] = []
    cursor = ""
    while True:
        page = await (await client.get(f"/api/chat/threads?limit=2{cursor}")).json()
        seen += [one["id"] for one in page["threads"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["t3", "t1", "t5", "t4", "t2", "t0"]
