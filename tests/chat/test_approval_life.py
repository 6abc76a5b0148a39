"""What becomes of a turn that waits: it is stopped, its thread is deleted, the gateway restarts, others queue behind it."""

import asyncio

import attrs
from approval_calls import Shell, answer, approvals, ask, asks, pause, settled, until_waiting
from chat_calls import END, MakeClient, history, say, send, turn
from conftest import ScriptedModel

from ironclaw.llm.models import TextDelta
from ironclaw.settings import Settings


async def test_messages_sent_meanwhile_wait_in_order_and_are_answered_afterwards(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    model = ScriptedModel(ask("df -h"), say("one"), say("two"), say("three"))
    client = await make_client(settings, llm=model, tools=[shell.tool])
    pending = await pause(client)
    running = []
    for text in ("second", "third"):
        running.append(asyncio.create_task(turn(client, text, thread_id="a")))
        async with asyncio.timeout(5):
            while (await history(client, "a"))[-1]["user_message"] != text:
                await asyncio.sleep(0.005)
    assert [one["state"] for one in await history(client, "a")] == ["waiting", "queued", "queued"]
    await answer(client, pending["request_id"], "approve")
    events = [await task for task in running]
    assert [[one["position"] for one in each if one["type"] == "queued"] for each in events] == [[1], [2]]
    assert [one["response"] for one in await history(client, "a")] == ["one", "two", "three"]
    assert [one.content for one in model.requests[2].messages if one.role != "system"] == ["x", "one", "second"]


async def test_always_is_kept_over_a_restart_for_this_tool_and_subject(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    client = await make_client(settings, llm=ScriptedModel(ask("df -h"), say("done")), tools=[shell.tool])
    pending = await pause(client)
    assert (await answer(client, pending["request_id"], "always"))[0] == 200
    await settled(client)
    await client.close()
    model = ScriptedModel(ask("df -h"), say("at once"), ask("df -h /home"), say("done"))
    again = await make_client(settings, llm=model, tools=[shell.tool])
    assert (await turn(again, "y", thread_id="b"))[-1]["content"] == "at once"
    assert shell.ran == ["df -h"] * 2
    assert (await pause(again, "c"))["subject"] == "df -h /home"


async def test_what_destroys_is_asked_about_whatever_is_remembered(make_client: MakeClient, settings: Settings) -> None:
    shell = Shell()
    client = await make_client(settings, llm=ScriptedModel(), tools=[shell.tool])
    database = client.gateway.services.database  # type: ignore[attr-defined]
    await database.write(
        lambda db: db.execute("INSERT INTO remembered_approvals VALUES ('Shell', 'rm -rf x', '2026-01-01')").rowcount
    )
    await client.close()
    again = await make_client(settings, llm=ScriptedModel(ask("rm -rf x"), say("done")), tools=[shell.tool])
    assert (await pause(again))["always"] is False
    assert shell.ran == []


async def test_a_turn_that_waits_goes_on_after_a_restart_with_its_text_usage_and_results(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    model = ScriptedModel([TextDelta("First. "), *asks("one", "two")])
    client = await make_client(settings, llm=model, tools=[shell.tool])
    pending = await pause(client)
    second = (await approvals(client))[1]
    assert (await answer(client, second["request_id"], "deny"))[0] == 200
    await send(client, "behind it", thread_id="a")
    await client.close()
    model = ScriptedModel(say("Done."), say("And this."))
    again = await make_client(settings, llm=model, tools=[shell.tool])
    assert await approvals(again) == [pending]
    assert [one["state"] for one in await history(again, "a")] == ["waiting", "queued"]
    assert model.requests == []
    assert (await turn(again, "yes", thread_id="a"))[-1]["content"] == "Allowed once: Shell on `one`."
    done = await settled(again)
    assert (done["response"], done["usage"]["total_tokens"]) == ("First. \n\nDone.", 5)
    assert shell.ran == ["one"]
    told = [one.content for one in model.requests[0].messages if one.role == "tool"]
    assert "ran one" in told[0]
    assert "did not allow" in told[1]
    assert (await settled(again, 1))["response"] == "And this."


async def test_a_stop_denies_what_waits_keeps_the_text_and_lets_the_queue_go_on(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    model = ScriptedModel([TextDelta("So far. "), *asks("one", "two")], say("next"))
    client = await make_client(settings, llm=model, tools=[shell.tool])
    running = asyncio.create_task(turn(client, "x", thread_id="a"))
    pending = await until_waiting(client, "two")
    await send(client, "behind it", thread_id="a")
    reply = await client.post("/api/chat/stop", json={"thread_id": "a"})
    assert await reply.json() == {"status": "stopped"}
    events = await running
    assert [event["type"] for event in events if event["type"] in END] == ["stopped"]
    assert (events[-1]["content"], events[-1]["usage"]["total_tokens"]) == ("So far. ", 2)
    assert [event["action"] for event in events if event["type"] == "approval_settled"] == ["deny", "deny"]
    assert (await settled(client, 1))["response"] == "next"
    assert await approvals(client) == []
    assert (await answer(client, pending["request_id"], "approve"))[0] == 409
    assert shell.ran == []
    assert (await (await client.post("/api/chat/stop", json={"thread_id": "a"})).json())["status"] == "idle"


async def test_the_stop_command_and_a_stop_that_drops_the_queue_end_what_waits(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    client = await make_client(settings, llm=ScriptedModel(ask("one"), ask("two"), say("x")), tools=[shell.tool])
    await pause(client)
    assert (await turn(client, "/stop", thread_id="a"))[-1]["content"] == "Stopped."
    await pause(client)
    await send(client, "behind it", thread_id="a")
    await client.post("/api/chat/stop", json={"thread_id": "a", "queued": "drop"})
    turns = [one for one in await history(client, "a") if not one["command"]]
    assert [one["state"] for one in turns] == ["stopped"] * 3
    assert await approvals(client) == []


async def test_a_stop_and_an_answer_at_the_same_moment_leave_one_end(
    make_client: MakeClient, settings: Settings
) -> None:
    shell, model = Shell(), ScriptedModel()
    client = await make_client(settings, llm=model, tools=[shell.tool])
    for number in range(10):
        thread = f"t{number}"
        model.scripts = [ask("df -h"), say("done")]
        running = asyncio.create_task(turn(client, "x", thread_id=thread))
        pending = await until_waiting(client)
        stop = client.post("/api/chat/stop", json={"thread_id": thread})
        said = answer(client, pending["request_id"], "approve")
        # In either order; a stop never fails because somebody was quicker.
        stopped, (status, _) = (
            await asyncio.gather(stop, said) if number % 2 else (await asyncio.gather(said, stop))[::-1]
        )
        assert stopped.status == 200
        assert status in {200, 409}
        ends = [event["type"] for event in await running if event["type"] in END]
        assert ends in (["stopped"], ["response"])
        if status == 409:
            assert ends == ["stopped"]
        assert (await settled(client, thread_id=thread))["state"] in {"stopped", "completed"}
    assert await approvals(client) == []


async def test_a_turn_that_was_answered_and_waits_for_a_slot_can_be_stopped(
    make_client: MakeClient, settings: Settings
) -> None:
    shell, gate = Shell(), asyncio.Event()
    model = ScriptedModel([TextDelta("So far. "), *ask("df -h")], [gate, *say("busy")], say("never asked"))
    client = await make_client(attrs.evolve(settings, max_turns=1), llm=model, tools=[shell.tool])
    pending = await pause(client)
    busy = asyncio.create_task(turn(client, "y", thread_id="b"))
    async with asyncio.timeout(5):
        while len(model.requests) < 2:
            await asyncio.sleep(0.005)
    await answer(client, pending["request_id"], "approve")
    reply = await client.post("/api/chat/stop", json={"thread_id": "a"})
    assert await reply.json() == {"status": "stopped"}
    gate.set()
    await busy
    done = await settled(client)
    assert (done["state"], done["response"]) == ("stopped", "So far. ")
    assert shell.ran == []
    assert len(model.requests) == 2


async def test_a_deleted_thread_takes_its_requests_with_it_and_its_id_can_be_used_again(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    client = await make_client(settings, llm=ScriptedModel(asks("one", "two"), say("anew")), tools=[shell.tool])
    pending = await pause(client)
    await send(client, "behind it", thread_id="a")
    assert (await client.delete("/api/chat/threads/a")).status == 200
    assert await approvals(client) == []
    assert (await answer(client, pending["request_id"], "approve"))[0] == 404
    assert (await turn(client, "hello", thread_id="a"))[-1]["content"] == "anew"
    assert shell.ran == []


async def test_a_thread_that_is_deleted_while_its_answered_turn_waits_for_a_slot_does_not_run_it(
    make_client: MakeClient, settings: Settings
) -> None:
    shell, gate = Shell(), asyncio.Event()
    model = ScriptedModel(ask("df -h"), [gate, *say("busy")], say("after"))
    client = await make_client(attrs.evolve(settings, max_turns=1), llm=model, tools=[shell.tool])
    pending = await pause(client)
    busy = asyncio.create_task(turn(client, "y", thread_id="b"))
    async with asyncio.timeout(5):
        while len(model.requests) < 2:
            await asyncio.sleep(0.005)
    await answer(client, pending["request_id"], "approve")
    assert (await client.delete("/api/chat/threads/a")).status == 200
    gate.set()
    await busy
    assert (await turn(client, "z", thread_id="c"))[-1][
        "content"
    ] == "after"  # the slot was free: nothing was before it
    assert len(model.requests) == 3
    assert shell.ran == []


async def test_a_thread_that_is_deleted_in_the_moment_its_turn_begins_to_wait_is_gone_for_good(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    client = await make_client(settings, llm=ScriptedModel(ask("df -h"), say("anew")), tools=[shell.tool])
    chat = client.gateway.services.chat  # type: ignore[attr-defined]
    await send(client, "x", thread_id="a")
    async with asyncio.timeout(5):
        while "a" not in chat.turns.waiting:  # set just before the question goes to the disk
            await asyncio.sleep(0)
    await chat.delete_thread("a")
    assert await approvals(client) == []
    assert (await turn(client, "hello", thread_id="a"))[-1]["content"] == "anew"
