"""The numbers of this gateway for Prometheus. They are kept as plain numbers where they come up; here they are only read.

What is read is copied on the event loop, and made into text in a thread, where the library is loaded with the first call.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import attrs
from aiohttp import web

from ironclaw import logs
from ironclaw.api.counts import Histogram
from ironclaw.api.keys import REQUEST_COUNTS, REQUEST_LOG, SERVICES
from ironclaw.api.streams import OPEN_STREAMS
from ironclaw.usage.calls import CallSums
from ironclaw.values import frozen
from ironclaw.version import __version__

if TYPE_CHECKING:
    from prometheus_client.metrics_core import HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector


@frozen(kw_only=True)
class _Snapshot:
    """All numbers at one moment. The keys of each mapping are its labels."""

    requests: Mapping[tuple[str, str, int], int]
    request_seconds: Mapping[tuple[str, str], Histogram]
    loop_lag: Histogram
    turns: Mapping[tuple[str, str], int]
    calls: Mapping[tuple[str, str, str], CallSums]
    tokens: int
    unpriced_tokens: int
    cost_usd: float
    queues: Mapping[str, int]
    cut: Mapping[str, int]
    parts: Mapping[str, int]
    lines_dropped: int
    streams: int
    most_streams: int
    turns_running: int
    jobs_running: int
    approvals: int


async def metrics(request: web.Request) -> web.StreamResponse:
    """Everything, in the form that the caller's Accept asks for."""
    snapshot = _take(request.app)
    text, content_type = await asyncio.to_thread(_render, snapshot, request.headers.get("Accept", ""))
    return web.Response(body=text, headers={"Content-Type": content_type})


def _take(app: web.Application) -> _Snapshot:
    services, streams, log = app[SERVICES], app[OPEN_STREAMS], logs.state()
    chat, status, totals = services.chat, services.status.read(), services.ledger.totals
    return _Snapshot(
        requests=dict(app[REQUEST_COUNTS].ended),
        request_seconds={key: one.copied() for key, one in app[REQUEST_COUNTS].seconds.items()},
        loop_lag=streams.lag.copied(),
        turns={
            **{("thread", state.value): count for state, count in chat.turns.ended.items()},
            **{("ephemeral", state.value): count for state, count in chat.ephemeral.ended.items()},
        },
        calls={key: attrs.evolve(one) for key, one in services.ledger.counts.sums.items()},
        tokens=totals.tokens,
        unpriced_tokens=totals.unpriced_tokens,
        cost_usd=totals.cost_usd,
        queues={
            "database": services.database.waiting,
            "events": services.hub.waiting,
            "messages": chat.turns.queued,
            "usage": services.ledger.waiting,
            "log": log.waiting,
            "request_log": app[REQUEST_LOG].waiting,
        },
        cut={"stream": streams.cut, "reader": services.hub.cut},
        parts={name: int(part.state == "ok") for name, part in status.parts.items()},
        lines_dropped=log.dropped,
        streams=services.slots.taken,
        most_streams=services.slots.most,
        turns_running=chat.turns.running,
        jobs_running=status.active_jobs,
        approvals=status.pending_approvals,
    )


@frozen(eq=False)
class _Collector:
    """A snapshot as the library wants to have it."""

    snapshot: _Snapshot

    def collect(self) -> "Iterator[Metric]":
        """All of its numbers."""
        yield from _http(self.snapshot)
        yield from _work(self.snapshot)
        yield from _models(self.snapshot)
        yield from _condition(self.snapshot)


def _render(snapshot: _Snapshot, accept: str) -> tuple[bytes, str]:
    """The text and its media type. Whether the caller knows OpenMetrics, the library finds out."""
    from prometheus_client import GCCollector, PlatformCollector, ProcessCollector  # noqa: PLC0415 - 25 ms, 3 MB
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(cast("Collector", _Collector(snapshot)))
    for kind in (ProcessCollector, PlatformCollector, GCCollector):
        kind(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _gauge(name: str, text: str, value: float) -> "Metric":
    from prometheus_client.metrics_core import GaugeMetricFamily  # noqa: PLC0415

    return GaugeMetricFamily(f"ironclaw_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> "Metric":
    from prometheus_client.metrics_core import GaugeMetricFamily  # noqa: PLC0415

    family = GaugeMetricFamily(f"ironclaw_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, value: float) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily  # noqa: PLC0415

    return CounterMetricFamily(f"ironclaw_{name}", text, value)


def _counters(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily  # noqa: PLC0415

    family = CounterMetricFamily(f"ironclaw_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([str(one) for one in key], value)
    return family


def _histogram(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, Histogram]
) -> "HistogramMetricFamily":
    from prometheus_client.metrics_core import HistogramMetricFamily  # noqa: PLC0415

    family = HistogramMetricFamily(f"ironclaw_{name}", text, labels=labels)
    for key, one in sorted(values.items()):
        bounds = [*map(str, one.bounds), "+Inf"]
        family.add_metric(key, list(zip(bounds, accumulate(one.counts), strict=True)), one.total)
    return family


def _http(now: _Snapshot) -> "Iterator[Metric]":
    yield _counters("http_requests", "Finished requests.", ("method", "route", "status"), now.requests)
    text = "How long requests took that were answered in one piece."
    yield _histogram("http_request_seconds", text, ("method", "route"), now.request_seconds)
    yield _gauge("streams_open", "Open SSE streams and WebSockets.", now.streams)
    yield _gauge("streams_most", "How many streams may be open at once.", now.most_streams)
    text = "Streams and readers inside that were cut because they did not read."
    yield _counters("subscriptions_cut", text, ("kind",), {(kind,): count for kind, count in now.cut.items()})


def _work(now: _Snapshot) -> "Iterator[Metric]":
    yield _counters("turns", "Ended turns.", ("kind", "end"), now.turns)
    yield _gauge("turns_running", "Turns that run now.", now.turns_running)
    yield _gauge("approvals_waiting", "Tool calls that wait for a person.", now.approvals)
    yield _gauge("jobs_running", "Jobs that run now.", now.jobs_running)
    yield _gauges("queue_depth", "What waits to be done or written.", "queue", now.queues)
    yield _histogram("event_loop_lag_seconds", "How late the event loop was.", (), {(): now.loop_lag})


def _models(now: _Snapshot) -> "Iterator[Metric]":
    labels = ("provider", "model", "scope")
    calls = now.calls.items()
    yield _counters("model_calls", "Counted calls of models.", labels, {key: one.calls for key, one in calls})
    text = "Calls of models that failed before their first token."
    yield _counters("model_failures", text, labels, {key: one.failed for key, one in calls})
    used = {
        **{(*key, "input"): one.input_tokens for key, one in calls},
        **{(*key, "output"): one.output_tokens for key, one in calls},
    }
    yield _counters("model_tokens", "Tokens of model calls.", (*labels, "direction"), used)
    text = "Cost of model calls in US dollars, as far as prices are known."
    yield _counters("model_cost_usd", text, labels, {key: one.cost_usd for key, one in calls})
    yield _counter("tokens", "Tokens of all model calls ever.", now.tokens)
    yield _counter("unpriced_tokens", "Those of them whose price is not known.", now.unpriced_tokens)
    yield _counter("cost_usd", "Known cost of all model calls ever, in US dollars.", now.cost_usd)


def _condition(now: _Snapshot) -> "Iterator[Metric]":
    from prometheus_client.metrics_core import InfoMetricFamily  # noqa: PLC0415

    yield InfoMetricFamily("ironclaw", "This program.", {"version": __version__})
    yield _gauges("part_ok", "1 for a part that is well, 0 for one that is degraded.", "part", now.parts)
    yield _counter("log_lines_dropped", "Log lines that came faster than they could be written.", now.lines_dropped)
