"""Long conversations: they summarise themselves, go on from there, and take it back; over restarts, too."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from approval_calls import Shell, answer, ask, pause, settled
from chat_calls import END, MakeClient, history, say, turn
from conftest import ScriptedModel

from ironclaw.agent.compaction import tokens_of
from ironclaw.errors import ProviderError
from ironclaw.llm.models import Abilities, Delta, Finished, ModelRequest, TextDelta, Usage
from ironclaw.settings import Settings

CONTEXT = 4000


def is_summary(request: ModelRequest) -> bool:
    return request.messages[0].content.startswith("Summarise the conversation")


class SmallModel:
    """A model with a small context that refuses what does not fit. Its summary counts what it was told to keep."""

    name = "scripted"
    model = "small"
    abilities = Abilities(context_tokens=CONTEXT)

    def __init__(self, answer: str = "fine") -> None:
        self.answer = answer
        self.requests: list[ModelRequest] = []
        self.summaries = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        if tokens_of(request.messages) > CONTEXT:
            raise ProviderError("Too long.", code="context_overflow")
        if is_summary(request):
            self.summaries += 1
            yield TextDelta(f"Summary {self.summaries}.")
        else:
            yield TextDelta(self.answer)
        yield Finished("stop", Usage(3, 2, 0.0))


def texts(request: ModelRequest) -> list[str]:
    """What was said, as the model is told it, without the system prompt."""
    return [one.content for one in request.messages if one.role != "system"]


@pytest.mark.timeout(120)
async def test_two_hundred_turns_in_a_small_context_summarise_themselves_and_go_on(
    make_client: MakeClient, settings: Settings
) -> None:
    model = SmallModel("answer " * 20)
    client = await make_client(settings, llm=model)
    for number in range(200):
        reply = await client.post(
            "/api/chat/send?wait=20", json={"message": f"question {number} " + "word " * 30, "thread_id": "a"}
        )
        assert reply.status == 200, await reply.text()
    assert 3 <= model.summaries < 60
    known = ""
    for request in model.requests:
        if is_summary(request):
            assert known in texts(request)[0]  # each goes on from the last one
            known = f"Summary {int(known[8:-1] or 0) + 1}." if known else "Summary 1."
        elif known:
            assert known in texts(request)[0]
    asked = [request for request in model.requests if not is_summary(request)]
    assert len(asked) == 200  # nothing overflowed, so nothing was asked twice
    assert [texts(request)[-1].split()[1] for request in asked] == [str(number) for number in range(200)]
    assert "question 198 " in texts(asked[-1])[-3]
    assert {one["state"] for one in await history(client, "a")} == {"completed"}


async def exchanges(client: TestClient, count: int, thread_id: str = "a") -> None:
    for number in range(count):
        assert (await turn(client, f"q{number}", thread_id=thread_id))[-1]["type"] == "response"


async def test_many_short_messages_are_summarised_too_and_the_turn_says_so(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel(say("ok"))
    client = await make_client(settings, llm=model)
    await exchanges(client, 1)
    await store_turns(client, 120)
    model.scripts = [say("They count.", usage=Usage(9, 9, 0.0)), say("done", usage=Usage(1, 1, 0.0))]
    events = await turn(client, "now", thread_id="a")
    thoughts = [event["message"] for event in events if event["type"] == "thinking"]
    assert thoughts == ["Processing your request...", "Summarising the conversation..."]
    assert events[-1]["content"] == "done"
    assert events[-1]["usage"]["total_tokens"] == 20  # the summary's tokens are the turn's
    await turn(client, "after", thread_id="a")
    said = texts(model.requests[-1])
    assert "They count." in said[0]
    assert said[2:] == [*(f"old {n}" if part else f"word {n}" for n in range(116, 120) for part in (0, 1)), "now", "done",
                        "after"]  # fmt: skip


async def store_turns(client: TestClient, count: int, thread_id: str = "a") -> None:
    """Turns that were said long ago."""

    def store(db: Any) -> None:
        db.execute(
            "INSERT OR IGNORE INTO threads (id, title, user_id, created_at, updated_at, rank)"
            " VALUES (?, '', 'default', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 0)",
            (thread_id,),
        )
        db.executemany(
            "INSERT INTO turns (message_id, thread_id, state, user_message, response, created_at)"
            " VALUES (?, ?, 'completed', ?, ?, '2026-01-01T00:00:00Z')",
            [(f"{thread_id}-{n}", thread_id, f"word {n}", f"old {n}") for n in range(count)],
        )

    await client.gateway.services.database.write(store)  # type: ignore[attr-defined]


async def test_a_summary_is_kept_over_a_restart(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=SmallModel())
    await exchanges(client, 3)
    said = (await turn(client, "/compact", thread_id="a"))[-1]
    assert said["content"] == "3 exchanges summarised; the model goes on from this:\n\nSummary 1."
    assert said["usage"]["total_tokens"] == 5
    await client.close()
    model = SmallModel()
    again = await make_client(settings, llm=model)
    await turn(again, "and now?", thread_id="a")
    marked, reply, question = texts(model.requests[0])
    assert marked.splitlines()[0].startswith("data ")
    assert marked.splitlines()[1] == "Summary 1."
    assert (reply, question) == ("I will go on from there.", "and now?")


async def test_compact_again_says_that_there_is_nothing_new(make_client: MakeClient, settings: Settings) -> None:
    model = SmallModel()
    client = await make_client(settings, llm=model)
    nothing = "There is nothing new to summarise in this conversation."
    assert (await turn(client, "/compact", thread_id="a"))[-1]["content"] == nothing
    await exchanges(client, 1)
    assert (await turn(client, "/compact", thread_id="a"))[-1]["content"].startswith("1 exchange summarised;")
    assert (await turn(client, "/compact", thread_id="a"))[-1]["content"] == nothing
    assert model.summaries == 1


async def test_without_a_model_there_is_nothing_to_summarise(client: TestClient) -> None:
    await turn(client, "hello", thread_id="a")
    assert "needs no summary" in (await turn(client, "/compact", thread_id="a"))[-1]["content"]
    stored = client.gateway.services.database  # type: ignore[attr-defined]
    assert await stored.read(lambda db: db.execute("SELECT count(*) FROM summaries").fetchone()[0]) == 0


async def test_undo_of_a_summarised_exchange_takes_the_summary_back(
    make_client: MakeClient, settings: Settings
) -> None:
    model = SmallModel()
    client = await make_client(settings, llm=model)
    await exchanges(client, 3)
    await turn(client, "/compact", thread_id="a")
    assert "q2" in (await turn(client, "/undo", thread_id="a"))[-1]["content"]
    await turn(client, "next", thread_id="a")
    assert texts(model.requests[-1]) == ["q0", "fine", "q1", "fine", "next"]


async def test_undo_of_what_came_after_keeps_the_summary(make_client: MakeClient, settings: Settings) -> None:
    model = SmallModel()
    client = await make_client(settings, llm=model)
    await exchanges(client, 2)
    await turn(client, "/compact", thread_id="a")
    await turn(client, "oops", thread_id="a")
    await turn(client, "/undo", thread_id="a")
    await turn(client, "next", thread_id="a")
    said = texts(model.requests[-1])
    assert "Summary 1." in said[0]
    assert said[1:] == ["I will go on from there.", "next"]


async def test_a_summary_that_fails_ends_its_turn_with_the_reason_and_the_next_turn_works(
    make_client: MakeClient, settings: Settings
) -> None:
    model = ScriptedModel([ProviderError("No route.", code="unreachable")], say("Summary."), say("fine"))
    client = await make_client(settings, llm=model)
    await store_turns(client, 120)
    ends = [event["code"] for event in await turn(client, "x", thread_id="a") if event["type"] in END]
    assert ends == ["unreachable"]
    assert (await turn(client, "y", thread_id="a"))[-1]["content"] == "fine"


async def test_a_turn_that_was_summarised_and_then_waited_goes_on_from_the_summary(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    model = ScriptedModel(say("Summary."), ask("df -h"), say("done", usage=Usage(1, 1, 0.0)))
    client = await make_client(settings, llm=model, tools=[shell.tool])
    await store_turns(client, 120)
    pending = await pause(client)
    await answer(client, pending["request_id"], "approve")
    done = await settled(client, 49)  # the last one of a page of 50
    assert done["response"] == "done"
    assert done["usage"]["total_tokens"] == 3 + 2 + 2
    assert "Summary." in texts(model.requests[2])[0]
    assert len(model.requests) == 3  # not summarised a second time


# What a turn costs


async def watched(client: TestClient, action: Callable[[], Any]) -> tuple[int, set[str]]:
    """The steps of SQLite's machine during *action*, in tens, and the statements that were run."""
    steps, statements = [0], set[str]()

    def step() -> int:
        steps[0] += 1
        return 0

    def watch(db: Any, *, on: bool = True) -> None:
        db.set_progress_handler(step if on else None, 10)
        db.set_trace_callback(statements.add if on else None)

    database = client.gateway.services.database  # type: ignore[attr-defined]
    await database.write(watch)
    await database.read(watch)
    await action()
    await database.write(lambda db: watch(db, on=False))
    await database.read(lambda db: watch(db, on=False))
    return steps[0], statements


async def test_a_turn_costs_as_much_with_10000_turns_kept_as_with_300(
    make_client: MakeClient, settings: Settings
) -> None:
    shell = Shell()
    model = ScriptedModel(say("Summary."), say("ok"))
    client = await make_client(settings, llm=model, tools=[shell.tool])
    await store_turns(client, 300)

    async def one_turn() -> None:
        model.scripts = [ask("rm x"), say("done")]
        pending = await pause(client)
        await answer(client, pending["request_id"], "approve")
        async with client.post("/api/chat/send?wait=20", json={"message": "next", "thread_id": "a"}) as reply:
            assert reply.status == 200

    await turn(client, "summarise", thread_id="a")
    await one_turn()
    few, _ = await watched(client, one_turn)
    await store_turns(client, 5000, "b")
    await store_more(client, "a", 5000)
    many, statements = await watched(client, one_turn)
    assert few > 0
    assert many < few * 1.5 + 50, (few, many)
    assert await scans(client, statements) == set()


async def store_more(client: TestClient, thread_id: str, count: int) -> None:
    """Older turns of a thread, all of them covered by its summary, with calls and answered requests."""

    def store(db: Any) -> None:
        first = db.execute("SELECT min(seq) FROM turns").fetchone()[0]
        rows = [(first - n - 1, f"more-{n}", thread_id, f"word {n}") for n in range(count)]
        db.executemany(
            "INSERT INTO turns (seq, message_id, thread_id, state, user_message, response, created_at)"
            " VALUES (?, ?, ?, 'completed', ?, 'old', '2026-01-01T00:00:00Z')",
            rows,
        )
        calls = [(row[0],) for row in rows]
        db.executemany("INSERT INTO tool_calls VALUES (?, 'c', 'Shell', '{}', 1, '', 1)", calls)
        db.executemany(
            "INSERT INTO approvals VALUES (hex(randomblob(8)), ?, 'c', 'Shell', 'x', '{}', 1, '2026', 'approve')", calls
        )

    await client.gateway.services.database.write(store)  # type: ignore[attr-defined]


SMALL = ("approvals_waiting", "usage_totals", "CONSTANT ROW")  # open requests only, and one row each


async def scans(client: TestClient, statements: set[str]) -> set[str]:
    """The plans that read a whole table or index, but for those that never grow."""
    found: set[str] = set()

    def explain(db: Any) -> None:
        for statement in statements:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")) and "turns_text" not in statement:
                for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"):
                    if row[3].startswith("SCAN") and not any(one in row[3] for one in SMALL):
                        found.add(f"{row[3]}: {statement}")

    await client.gateway.services.database.read(explain)  # type: ignore[attr-defined]
    return found
