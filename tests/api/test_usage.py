"""Usage and the budget over HTTP, on the real application."""

import asyncio
import csv
import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient, history, turn
from usage_parts import Hosted, Scripted, cost

from ironclaw.llm.models import Finished, TextDelta, Usage
from ironclaw.settings import Settings

PRICED = [TextDelta("Hello."), Finished("stop", Usage(1000, 100, None, cached_tokens=200, reasoning_tokens=40))]
COST = 800 * 0.15e-6 + 200 * 0.075e-6 + 100 * 0.60e-6


async def get(client: TestClient, path: str) -> dict[str, Any]:
    response = await client.get(path)
    body = await response.json()
    assert response.status == 200, body
    return body


async def put_budget(client: TestClient, day: object, month: object = None) -> tuple[int, dict[str, Any]]:
    response = await client.put("/api/budget", json={"day_usd": day, "month_usd": month})
    return response.status, await response.json()


async def test_a_turn_is_in_the_usage_at_once(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=Hosted(*PRICED))
    end = (await turn(client, "hi", thread_id="t1"))[-1]
    assert end["cost_usd"] == pytest.approx(COST)
    usage = await get(client, "/api/usage?days=7")
    total = {
        "calls": 1, "input_tokens": 1000, "cached_tokens": 200, "output_tokens": 100, "reasoning_tokens": 40,
        "total_tokens": 1100, "cost_usd": pytest.approx(COST, abs=1e-6), "unpriced_tokens": 0, "estimated_calls": 0,
    }  # fmt: skip
    assert usage["totals"] == total
    assert (usage["days"], len(usage["by_day"])) == (7, 7)
    assert usage["by_day"][-1] == {"day": f"{datetime.now().astimezone():%Y-%m-%d}", **total}
    assert usage["by_model"] == [{"provider": "openai", "model": "gpt-4o-mini", "priced_by": ["prices"], **total}]
    assert usage["by_thread"] == [{"thread_id": "t1", **total}]
    assert usage["by_scope"] == [{"scope": "thread", **total}]
    status = await get(client, "/api/status")
    assert status["token_usage"] == {
        "total_tokens": 1100,
        "estimated_cost_usd": usage["totals"]["cost_usd"],
        "unpriced_tokens": 0,
    }


async def test_a_cost_is_null_where_no_price_is_known(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=Scripted(TextDelta("Hello."), Finished("stop", Usage(10, 5, None))))
    assert (await turn(client, "hi"))[-1]["cost_usd"] is None
    usage = await get(client, "/api/usage")
    assert (usage["totals"]["cost_usd"], usage["totals"]["unpriced_tokens"]) == (None, 15)
    assert (usage["by_day"][-1]["cost_usd"], usage["by_day"][0]["cost_usd"]) == (None, 0.0)


async def test_the_built_in_assistant_is_counted_and_costs_nothing(client: TestClient) -> None:
    await put_budget(client, 0, 0)
    assert (await turn(client, "help"))[-1]["type"] == "response"
    (model,) = (await get(client, "/api/usage"))["by_model"]
    assert (model["provider"], model["cost_usd"], model["priced_by"]) == ("builtin", 0.0, ["local"])
    assert model["total_tokens"] > 0


async def test_usage_comes_as_csv_by_day_and_model(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=Hosted(*PRICED))
    await turn(client, "hi")
    record = client.gateway.services.ledger.record  # type: ignore[attr-defined]
    record(cost(None, 3, provider="=cmd()", model='say "hi", all'))
    response = await client.get("/api/usage?days=2", headers={"Accept": "text/csv"})
    assert (response.status, response.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    head, *rows = csv.reader(io.StringIO(await response.text()))
    assert head == [
        "day", "provider", "model", "calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens",
        "total_tokens", "cost_usd", "unpriced_tokens", "estimated_calls",
    ]  # fmt: skip
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    unpriced, priced = sorted(rows, key=lambda row: row[1])
    assert unpriced == [today, "'=cmd()", 'say "hi", all', "1", "3", "0", "0", "0", "3", "", "3", "0"]
    assert priced[:9] == [today, "openai", "gpt-4o-mini", "1", "1000", "200", "100", "40", "1100"]
    assert float(priced[9]) == pytest.approx(COST, abs=1e-6)


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "1.5", ""])
async def test_a_span_that_can_not_be_is_refused(client: TestClient, days: str) -> None:
    response = await client.get(f"/api/usage?days={days}")
    assert (response.status, (await response.json())["error"]["field"]) == (400, "days")


async def test_a_budget_is_read_set_and_kept(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=Hosted(*PRICED))
    empty = await get(client, "/api/budget")
    assert (empty["day_usd"], empty["month_usd"], empty["day"]["limit_usd"]) == (None, None, None)
    await turn(client, "hi")
    status, budget = await put_budget(client, 5, 20.5)
    assert (status, budget["day_usd"], budget["month_usd"]) == (200, 5.0, 20.5)
    assert budget == await get(client, "/api/budget")
    midnight = (datetime.now().astimezone() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(budget["day"]["resets_at"]) == midnight
    assert datetime.fromisoformat(budget["month"]["resets_at"]).astimezone().day == 1
    assert budget["timezone"] == (await get(client, "/api/status"))["timezone"]
    for period, limit in (("day", 5.0), ("month", 20.5)):
        state = budget[period]
        assert (state["limit_usd"], state["reserved_usd"]) == (limit, 0.0)
        assert state["spent_usd"] == pytest.approx(COST, abs=1e-6)
    await client.close()
    again = await make_client(settings, llm=Hosted(*PRICED))
    assert await get(again, "/api/budget") == budget


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"day_usd": 5}, "month_usd"), ({"day_usd": -1, "month_usd": None}, "day_usd"),
        ({"day_usd": None, "month_usd": 1e9}, "month_usd"), ({"day_usd": "5", "month_usd": None}, "day_usd"),
        ({"day_usd": True, "month_usd": None}, "day_usd"), ({"day_usd": 1, "month_usd": 1, "week_usd": 1}, "week_usd"),
    ],
)  # fmt: skip
async def test_what_is_no_budget_is_refused_and_changes_nothing(client: TestClient, body: Any, field: str) -> None:
    await put_budget(client, 7)
    response = await client.put("/api/budget", json=body)
    assert (response.status, (await response.json())["error"]["field"]) == (422, field)
    assert (await get(client, "/api/budget"))["day_usd"] == 7.0


async def test_a_call_that_could_pass_the_budget_is_not_made(make_client: MakeClient, settings: Settings) -> None:
    model = Hosted(*PRICED)
    client = await make_client(settings, llm=model)
    await put_budget(client, 0.0001)
    end = (await turn(client, "hi"))[-1]
    assert (end["type"], end["code"], len(model.requests)) == ("turn_failed", "budget_spent", 0)
    assert "today's budget of $0.0001" in end["message"]
    await put_budget(client, 1)
    assert (await turn(client, "hi"))[-1]["type"] == "response"
    assert model.requests[0].max_output_tokens == 4096


async def test_a_message_is_refused_when_the_budget_is_spent_and_a_command_is_not(
    make_client: MakeClient, settings: Settings
) -> None:
    model = Hosted(TextDelta("Hello."), Finished("stop", Usage(10, 5, 0.75)))
    client = await make_client(settings, llm=model)
    await put_budget(client, 0.5)
    await turn(client, "hi", thread_id="t1")
    refused = await client.post("/api/chat/send", json={"message": "again", "thread_id": "t1"})
    error = (await refused.json())["error"]
    assert (refused.status, error["code"], len(model.requests)) == (402, "budget_spent", 1)
    assert "Today's budget of $0.50 is spent ($0.75)" in error["message"]
    assert [one["user_message"] for one in await history(client, "t1")] == ["hi"]
    assert (await turn(client, "/help", thread_id="t1"))[-1]["type"] == "response"


async def test_what_a_running_call_may_cost_is_shown_as_reserved(make_client: MakeClient, settings: Settings) -> None:
    go = asyncio.Event()
    client = await make_client(settings, llm=Hosted(TextDelta("Hel"), go, *PRICED))
    await put_budget(client, 1)
    running = asyncio.create_task(turn(client, "hi"))
    while not (reserved := (await get(client, "/api/budget"))["day"]["reserved_usd"]):
        await asyncio.sleep(0.01)
    assert 4096 * 0.60e-6 < reserved < 0.01
    go.set()
    await running
    assert (await get(client, "/api/budget"))["day"]["reserved_usd"] == 0.0


async def test_clients_are_warned_when_most_of_a_budget_is_spent(make_client: MakeClient, settings: Settings) -> None:
    client = await make_client(settings, llm=Hosted(TextDelta("Hello."), Finished("stop", Usage(10, 5, 0.875))))
    await put_budget(client, 1)
    with client.gateway.services.hub.subscribe() as reader:  # type: ignore[attr-defined]
        await turn(client, "hi")
        events = aiter(reader)
        while (released := await anext(events)).kind != "budget_warning":
            pass
    assert (released.event.period, released.event.spent_usd, released.event.limit_usd) == ("day", 0.875, 1.0)
