"""Files that come with messages: what a model gets of them, what is kept, what is refused."""

import base64
from typing import Any

import attrs
import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, history, say, turn
from conftest import ScriptedModel
from llm.stand_in_process import StandInProcess, run_stand_in  # noqa: F401

from ironclaw.settings import Settings

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def attached(name: str, media_type: str, data: bytes) -> dict[str, str]:
    return {"name": name, "media_type": media_type, "data": base64.b64encode(data).decode()}


PICTURE = attached("cat.png", "image/png", PNG)
NOTE = attached("list.txt", "text/plain; charset=utf-8", "milk\nöl".encode())


async def send(client: TestClient, status: int = 200, **body: Any) -> dict[str, Any]:
    response = await client.post("/api/chat/send?wait=20", json={"message": "What is this?", **body})
    reply = await response.json()
    assert response.status == status, reply
    return reply  # type: ignore[no-any-return]


async def test_a_model_sees_pictures_and_reads_text_files_as_data(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(say("A cat."))
    client = await make_client(settings, llm=model)
    await send(client, thread_id="a", attachments=[PICTURE, NOTE])
    told = model.requests[0].messages[-1]
    assert told.pictures == ("data:image/png;base64," + PICTURE["data"],)
    assert told.content.startswith("What is this?\n\ndata ")
    assert "from the attached file list.txt:\nmilk\nöl\nend of data" in told.content


async def test_the_next_turn_still_sees_them_and_older_ones_are_named(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("Yes."))
    client = await make_client(settings, llm=model)
    for number in range(3):
        await send(client, thread_id="a", attachments=[{**PICTURE, "name": f"{number}.png"}])
    await send(client, thread_id="a", message="And now?")
    users = [one for one in model.requests[-1].messages if one.role == "user"]
    assert [len(one.pictures) for one in users] == [0, 1, 1, 0]
    assert users[0].content == "What is this?\n\n[Attached then: 0.png]"


async def test_history_names_them_and_their_bytes_can_be_read(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    sent = await send(client, thread_id="a", attachments=[PICTURE, NOTE])
    [kept] = await history(client, "a")
    assert kept["attachments"] == [
        {"number": 0, "name": "cat.png", "media_type": "image/png", "size": len(PNG)},
        {"number": 1, "name": "list.txt", "media_type": "text/plain", "size": 8},
    ]
    picture = await client.get(f"/api/chat/attachments/{sent['message_id']}/0")
    assert (picture.headers["Content-Type"], await picture.read()) == ("image/png", PNG)
    assert picture.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    note = await client.get(f"/api/chat/attachments/{sent['message_id']}/1")
    assert note.headers["Content-Type"] == "application/octet-stream"  # a browser saves it, whatever it holds
    assert note.headers["Content-Disposition"] == "attachment; filename*=UTF-8''list.txt"
    for wrong, status in (("2", 404), ("x", 400), ("-1", 400)):
        assert (await client.get(f"/api/chat/attachments/{sent['message_id']}/{wrong}")).status == status


async def test_a_fork_has_them_and_a_deleted_thread_leaves_none(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    first = await send(client, thread_id="a", attachments=[PICTURE])
    second = await send(client, thread_id="a", message="More?")
    fork = await (await client.post("/api/chat/threads/a/fork", json={"message_id": second["message_id"]})).json()
    assert (await client.delete("/api/chat/threads/a")).status == 200
    assert (await client.get(f"/api/chat/attachments/{first['message_id']}/0")).status == 404
    [copied] = await history(client, fork["id"])
    assert (await client.get(f"/api/chat/attachments/{copied['message_id']}/0")).status == 200


async def test_events_and_exports_name_them(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    events = await turn(client, "hi", thread_id="a", attachments=[PICTURE])
    assert events[0]["attachments"] == ["cat.png"]
    text = await (await client.get("/api/chat/threads/a/export?format=markdown")).text()
    assert "hi\n\n*Attached: cat.png*" in text


async def test_an_ephemeral_message_can_have_them_and_keeps_none(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(say("A cat."))
    client = await make_client(settings, llm=model)
    await send(client, ephemeral=True, attachments=[PICTURE])
    assert len(model.requests[0].messages[-1].pictures) == 1
    database = client.gateway.services.database  # type: ignore[attr-defined]
    assert await database.read(lambda db: db.execute("SELECT count(*) FROM attachments").fetchone()[0]) == 0


async def test_a_key_in_a_file_is_never_stored(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    key = "sk-proj-" + "Ab3" * 16
    sent = await send(client, attachments=[attached("env.txt", "text/plain", f"KEY={key}".encode())])
    kept = await (await client.get(f"/api/chat/attachments/{sent['message_id']}/0")).read()
    assert key.encode() not in kept
    assert b"[key removed]" in kept


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([{**PICTURE, "media_type": "application/zip"}], "attachments[0].media_type"),
        ([{**PICTURE, "media_type": "image/svg+xml"}], "attachments[0].media_type"),
        ([PICTURE, {**PICTURE, "data": "not base64!"}], "attachments[1].data"),
        ([{**PICTURE, "data": ""}], "attachments[0].data"),
        ([{**PICTURE, "name": "a\nb"}], "attachments[0].name"),
        ([attached("a.txt", "text/plain", b"\xff\xfe")], "attachments[0].data"),
        ([attached("a.txt", "text/plain", b"x" * 200_001)], "attachments[0].data"),
        ([PICTURE] * 9, "attachments"),
    ],
)
async def test_what_is_no_picture_or_text_is_refused_and_nothing_is_kept(
    make_client: MakeClient, settings: Settings, files: list[dict[str, str]], field: str
) -> None:
    client = await make_client(settings, llm=ScriptedModel(say("Yes.")))
    reply = await send(client, 422, attachments=files)
    assert reply["error"]["field"] == field
    assert await (await client.get("/api/chat/threads")).json() | {"default_thread_id": ""} == {
        "threads": [], "next_cursor": None, "default_thread_id": "",
    }  # fmt: skip


async def test_without_a_model_files_are_refused_with_what_to_do(client: TestClient) -> None:
    reply = await send(client, 422, attachments=[PICTURE])
    assert reply["error"]["code"] == "needs_model"
    assert "Connect a language model" in reply["error"]["message"]


async def test_a_picture_goes_in_the_protocol_of_the_server(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    more = {"llm_base_url": f"{stand_in.url}/v1", "llm_model": "hello"}
    client = await make_client(attrs.evolve(settings, **more))
    await send(client, attachments=[PICTURE])
    [request] = stand_in.requests()
    assert request["body"]["messages"][-1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE["data"]}},
    ]


async def test_ollama_gets_the_picture_alone(
    make_client: MakeClient, settings: Settings, stand_in: StandInProcess
) -> None:
    client = await make_client(
        attrs.evolve(settings, llm_backend="ollama", ollama_host=stand_in.url, llm_model="hello")
    )
    await send(client, attachments=[PICTURE])
    [request] = stand_in.requests("/api/chat")
    assert request["body"]["messages"][-1]["images"] == [PICTURE["data"]]
