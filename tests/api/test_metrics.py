"""/metrics: Prometheus' own parser takes it, its numbers are those of what was done, and its labels stay few."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import yaml
from aiohttp.test_utils import TestClient
from conftest import TOKEN, ScriptedModel
from gateway_process import GatewayProcess
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from test_streams import NDJSON, Serve, serve  # noqa: F401 - a fixture

from ironclaw.api.counts import RequestCounts
from ironclaw.errors import ProviderError
from ironclaw.llm.models import Finished, TextDelta, Usage
from ironclaw.settings import Settings
from ironclaw.status import PartStatus
from ironclaw.usage.calls import CallCounts
from ironclaw.usage.store import UsageRecord

MakeClient = Callable[..., Awaitable[TestClient]]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(text: str) -> Samples:
    """Each sample by its name and labels, as Prometheus' own parser reads them."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"{key} is there twice"
            samples[key] = sample.value
    return samples


async def scraped(client: TestClient) -> Samples:
    reply = await client.get("/metrics")
    assert (reply.status, reply.content_type) == (200, "text/plain")
    return samples_of(await reply.text())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"ironclaw_{name}", tuple(sorted(labels.items()))]


async def test_prometheus_own_parsers_take_it_in_both_of_its_forms(client: TestClient) -> None:
    await client.post("/api/chat/send?wait", json={"message": "help"})
    reply = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.content_type == "application/openmetrics-text"
    families = list(parse_openmetrics(await reply.text()))
    assert {"ironclaw_turns", "ironclaw_http_request_seconds", "process_resident_memory_bytes"} <= {
        family.name for family in families
    }
    assert all(family.documentation for family in families)
    samples = await scraped(client)
    assert samples["process_resident_memory_bytes", ()] > 10 << 20
    assert samples["process_start_time_seconds", ()] < time.time()


async def test_a_token_is_needed_and_no_rate_is_spent(settings: Settings, make_client: MakeClient) -> None:
    client = await make_client(attrs.evolve(settings, api_rate=2))
    for _ in range(10):
        assert (await client.get("/metrics")).status == 200
    assert (await client.get("/metrics", headers={"Authorization": "Bearer wrong"})).status == 401
    assert (await client.get(f"/metrics?token={TOKEN}", headers={"Authorization": ""})).status in {200, 401}
    assert (await client.get("/api/status")).status == 200


async def test_requests_are_counted_by_route_and_status_and_timed_by_route(client: TestClient) -> None:
    for path in ("/api/status", "/api/status", "/api/chat/history?thread_id=t&limit=x", "/api/nothing"):
        await client.get(path)
    await client.patch("/api/chat/threads/one", json={"title": "x"})
    await client.patch("/api/chat/threads/two", json={"title": "x"})
    samples = await scraped(client)
    counted = {key: one for key, one in samples.items() if key[0] == "ironclaw_http_requests_total"}
    assert {tuple(dict(labels).values()): count for (_, labels), count in counted.items()} == {
        ("GET", "/api/status", "200"): 2,
        ("GET", "/api/chat/history", "400"): 1,
        ("GET", "(no route)", "404"): 1,
        ("PATCH", "/api/chat/threads/{id}", "404"): 2,
    }
    route = {"method": "GET", "route": "/api/status"}
    assert value(samples, "http_request_seconds_count", **route) == 2
    assert value(samples, "http_request_seconds_bucket", le="+Inf", **route) == 2
    assert 0 < value(samples, "http_request_seconds_sum", **route) < 10
    again = await scraped(client)
    assert value(again, "http_requests_total", method="GET", route="/metrics", status="200") == 1


async def test_a_time_falls_in_its_bucket_and_a_stream_has_none() -> None:
    counts = RequestCounts()
    counts.add("GET", "/x", 200, 0.05)
    counts.add("GET", "/x", 200, 0.051)
    counts.add("GET", "/x", 200, 1000.0)
    counts.add("GET", "/stream", 200, None)
    counts.add("BREW", "/x", 405, 0.0)
    taken = counts.seconds["GET", "/x"]
    assert (taken.counts[taken.bounds.index(0.05)], taken.counts[taken.bounds.index(0.1)], taken.counts[-1]) == (
        1,
        1,
        1,
    )
    assert taken.total == pytest.approx(1000.101)
    assert ("GET", "/stream") not in counts.seconds
    assert counts.ended == {("GET", "/x", 200): 3, ("GET", "/stream", 200): 1, ("?", "/x", 405): 1}


async def test_turns_calls_tokens_and_costs_are_those_of_what_was_done(
    settings: Settings, make_client: MakeClient
) -> None:
    answer = [TextDelta("Yes."), Finished("stop", Usage(100, 20, 0.5))]
    refused = [ProviderError("No.", code="key_refused")]
    client = await make_client(settings, llm=ScriptedModel(answer, answer, refused, answer, [TextDelta("a"), 30.0]))
    for thread in ("a", "a", "b"):
        await client.post("/api/chat/send?wait", json={"message": "x", "thread_id": thread})
    await client.post("/api/chat/send?wait", json={"message": "x", "ephemeral": True})
    sent = await client.post("/api/chat/send", json={"message": "x", "thread_id": "slow"})
    assert sent.status == 200
    async with asyncio.timeout(10):
        while value(running := await scraped(client), "model_calls_total", **MODEL) < 2:
            await asyncio.sleep(0.02)
        while value(running := await scraped(client), "turns_running") != 1:
            await asyncio.sleep(0.02)
    assert value(running, "turns_total", kind="thread", end="completed") == 2
    assert value(running, "turns_total", kind="thread", end="failed") == 1
    assert value(running, "turns_total", kind="ephemeral", end="completed") == 1
    assert value(running, "model_failures_total", **MODEL) == 1
    assert value(running, "model_cost_usd_total", **MODEL) == 1.5
    await client.post("/api/chat/stop", json={"thread_id": "slow"})
    async with asyncio.timeout(10):
        while value(samples := await scraped(client), "turns_running"):
            await asyncio.sleep(0.02)
    assert value(samples, "turns_total", kind="thread", end="stopped") == 1
    status = await (await client.get("/api/status")).json()
    assert value(samples, "tokens_total") == status["token_usage"]["total_tokens"] >= 360
    assert value(samples, "cost_usd_total") == status["token_usage"]["estimated_cost_usd"] == 1.5


MODEL = {"provider": "scripted", "model": "scripted-1", "scope": "thread"}


async def test_what_is_open_what_waits_and_what_is_not_well_is_shown(serve: Serve, settings: Settings) -> None:  # noqa: F811
    hold = asyncio.Event()
    served = await serve(attrs.evolve(settings, max_turns=1, heartbeat=0.1), llm=ScriptedModel([hold]))
    served.gateway.services.status.add_part("garden", lambda: PartStatus("degraded", "None here."))
    await served.ask(f"GET /api/chat/events HTTP/1.1\r\nAccept: {NDJSON}")
    for thread in ("one", "two", "three"):
        await served.gateway.services.chat.accept("x", thread_id=thread)

    async def now() -> Samples:
        reply = await served.ask("GET /metrics HTTP/1.1")
        size = int(reply.header("Content-Length") or 0)
        return samples_of((await reply.reader.readexactly(size)).decode())

    async with asyncio.timeout(10):
        while value(samples := await now(), "event_loop_lag_seconds_count") < 2:
            await asyncio.sleep(0.05)
    assert value(samples, "streams_open") == 1
    assert value(samples, "streams_most") == settings.max_streams
    assert value(samples, "turns_running") == 1
    assert value(samples, "queue_depth", queue="messages") == 2
    assert value(samples, "queue_depth", queue="database") >= 0
    assert value(samples, "jobs_running") == 0
    assert value(samples, "part_ok", part="garden") == 0
    assert value(samples, "part_ok", part="database") == 1
    assert value(samples, "log_lines_dropped_total") >= 0
    hold.set()


async def test_a_client_that_was_cut_is_counted(serve: Serve, settings: Settings) -> None:  # noqa: F811
    text = [TextDelta("x" * 100_000)] * 100
    served = await serve(settings, llm=ScriptedModel([*text, Finished("stop")]))
    stalled = await served.ask(f"GET /api/chat/events HTTP/1.1\r\nAccept: {NDJSON}")
    stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await served.gateway.services.chat.accept("x", thread_id="t")
    await served.until_free()
    reply = await served.ask("GET /metrics HTTP/1.1")
    text_of = (await reply.reader.readexactly(int(reply.header("Content-Length") or 0))).decode()
    assert value(samples_of(text_of), "subscriptions_cut_total", kind="stream") == 1


def test_however_many_models_are_called_their_labels_stay_few_and_hold_no_key() -> None:
    counts = CallCounts()
    for number in range(1000):
        counts.record(record(model=f"m{number}"))
    counts.failed("x", "yet another", "v1")
    assert len(counts.sums) <= 52
    assert sum(one.calls for one in counts.sums.values()) == 1000
    keyed = CallCounts()
    keyed.record(record(model="sk-abcdefghijklmnopqrstuv"))
    assert list(keyed.sums) == [("p", "***", "v1")]


def record(model: str) -> UsageRecord:
    return UsageRecord(
        scope="v1", scope_id=None, provider="p", model=model, input_tokens=1, output_tokens=1, cost_usd=None
    )


@pytest.mark.process
def test_ten_thousand_random_paths_leave_one_label_and_no_memory(
    gateway_process: Callable[..., GatewayProcess],
) -> None:
    gateway = gateway_process().start()
    program = """
import http.client, sys
headers = {"Authorization": "Bearer " + sys.argv[2]}
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for number in range(int(sys.argv[3])):
    method = ("GET", "POST", "PUT", "DELETE")[number % 4]
    connection.request(method, f"/{number:x}/{number * 7919 % 10007}?q={number}", headers=headers)
    connection.getresponse().read()
"""

    def ask(many: int) -> None:
        command = [sys.executable, "-c", program, str(gateway.port), gateway.token, str(many)]
        subprocess.run(command, check=True, timeout=50)

    ask(500)
    before = samples_of(gateway.request("GET", "/metrics")[2].decode())
    ask(9_500)
    samples = samples_of(gateway.request("GET", "/metrics")[2].decode())
    routes = {dict(labels).get("route") for name, labels in samples if name.startswith("ironclaw_http_requests")}
    assert routes == {"(no route)", "/metrics", "/healthz"}
    unknown = [
        (dict(labels)["method"], count)
        for (name, labels), count in samples.items()
        if name == "ironclaw_http_requests_total" and dict(labels)["route"] == "(no route)"
    ]
    assert sorted(method for method, _ in unknown) == ["DELETE", "GET", "POST", "PUT"]
    assert sum(count for _, count in unknown) == 10_000
    assert len(samples) - len(before) < 30
    memory = ("process_resident_memory_bytes", ())
    assert samples[memory] - before[memory] < 16 << 20


def test_the_library_is_loaded_by_the_first_scrape_and_not_before(tmp_path: Path) -> None:
    program = """
import asyncio, json, sys
from aiohttp.test_utils import TestClient, TestServer
from ironclaw import Gateway, Settings
async def main():
    settings = Settings(home=None, auth_token="a-token-of-the-test", word_delay=0.0, llm_discover=False)
    headers = {"Authorization": "Bearer a-token-of-the-test"}
    async with TestClient(TestServer(Gateway(settings).app()), headers=headers) as client:
        await client.post("/api/chat/send?wait", json={"message": "help"})
        before = "prometheus_client" in sys.modules
        assert (await client.get("/metrics")).status == 200
        print(json.dumps([before, "prometheus_client" in sys.modules]))
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, env={"HOME": str(tmp_path)}
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [False, True]


async def test_the_recipe_names_metrics_that_there_are(client: TestClient) -> None:
    recipe = (Path(__file__).parents[2] / "deploy" / "prometheus.yml").read_text()
    named = set(re.findall(r"ironclaw_\w+", recipe))
    assert len(named) >= 5
    assert named <= {name for name, _ in await scraped(client)}
    assert yaml.safe_load(recipe)["scrape_configs"][0]["authorization"]["type"] == "Bearer"
