"""Calls that pass through `/v1/chat/completions`, beside a bare aiohttp proxy handler and the call without any proxy.

The model server (upstream.py) and this client share one core, the gateway and the bare proxy each get the other one to
themselves while they are measured. In rounds: one client and 16 with plain replies, one and 16 with streams, and 64 slow
streams. `added` is a median less that of the direct call. The gateway checks the token, reads the call, looks at every
event, counts the usage and logs each request; the bare proxy moves bytes.
"""

import json
import time
from pathlib import Path

import attrs
import common
import load

_ROUNDS = 5
_SECONDS = 1.0
_CLIENTS = 16
_SLOW = 64
_PAUSE = 0.020  # seconds between the chunks of a slow stream, 50 of them
_IDEAL = 50 * _PAUSE
_SETTLE = 1.0


@attrs.define
class Target:
    """One server, and what was measured of it, a value a round, in seconds and tokens or requests a second."""

    name: str
    server: common.Server
    p50: list[float] = attrs.Factory(list)
    rate: list[float] = attrs.Factory(list)
    p99: list[float] = attrs.Factory(list)
    first: list[float] = attrs.Factory(list)
    tokens: list[float] = attrs.Factory(list)

    def request(self, model: str, *, stream: bool) -> bytes:
        """The bytes of one call."""
        messages = [{"role": "system", "content": "You are terse. " * 5}, {"role": "user", "content": "Hello!"}]
        body = {"model": model, "messages": messages, "stream": stream, "temperature": 0.7}
        return common.request_of(
            self.server.port, "POST", "/v1/chat/completions", json.dumps(body).encode(), token=common.TOKEN
        )

    def measure(self, seconds: float = _SECONDS) -> None:
        """One round."""
        plain = self.request("plain", stream=False)
        one = load.run(self.server.port, [plain], seconds)
        many = load.run(self.server.port, [plain] * _CLIENTS, seconds)
        if min(one.share("200"), many.share("200")) < 1:
            print(f"  note: {self.name} answered {dict(many.statuses)}")
        self.p50.append(common.median(one.times))
        self.rate.append(many.rate)
        self.p99.append(_p99(many.times))
        self.first.append(
            common.median(load.run_streams(self.server.port, [self.request("stream-20", stream=True)], seconds).first)
        )
        burst = [self.request("stream-1000", stream=True)] * _CLIENTS
        self.tokens.append(load.run_streams(self.server.port, burst, seconds).rate)

    def slow(self) -> tuple[float, float]:
        """The 99th percentile of the whole of 64 slow streams and of their first tokens."""
        got = load.run_streams(self.server.port, [self.request("slow-20", stream=True)] * _SLOW, 30.0, most=2)
        return _p99(got.whole), _p99(got.first)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def _added(of: list[float], direct: list[float]) -> list[float]:
    return [max(1e-9, mine - other) for mine, other in zip(of, direct, strict=True)]


def _measure(targets: list[Target]) -> None:
    for target in targets:
        target.measure(0.3)
        for values in (target.p50, target.rate, target.p99, target.first, target.tokens):
            values.clear()
    for _ in range(_ROUNDS):
        for target in targets:
            target.measure()


def _rate(value: float) -> str:
    return f"{value:.0f}/s"


def _say(ours: Target, bare: Target, direct: Target) -> None:
    added, bare_added = _added(ours.p50, direct.p50), _added(bare.p50, direct.p50)
    common.compare("P1 added to a plain call, one client", added, bare_added, common.microseconds, at_most=1.4)
    common.compare(f"P1 p99 of plain calls, {_CLIENTS} clients", ours.p99, bare.p99, common.milliseconds, at_most=1.5)
    common.compare(f"P2 plain calls a second, {_CLIENTS} clients", ours.rate, bare.rate, _rate, at_least=0.75)
    common.compare(f"P3 tokens a second, {_CLIENTS} streams", ours.tokens, bare.tokens, _rate, at_least=0.7)
    added, bare_added = _added(ours.first, direct.first), _added(bare.first, direct.first)
    common.compare("P4 added to the first token, one client", added, bare_added, common.microseconds, at_most=1.4)


def _say_slow(targets: list[Target]) -> None:
    for target in targets:
        time.sleep(_SETTLE)  # the model server may still be writing to streams that were cut at the end of a round
        whole, first = target.slow()
        goals = (
            f": {common.verdict(whole / _IDEAL, at_most=1.02)}; {common.verdict(first / _PAUSE, at_most=1.5)}"
            if target.name == "gateway"
            else ""
        )
        print(
            f"P4 {_SLOW} slow streams, {target.name}: p99 of the whole {whole / _IDEAL:.3f} x ideal, "
            f"of the first token {first / _PAUSE:.2f} x ideal{goals}"
        )


def _gateway(folder: Path, url: str) -> common.Server:
    return common.gateway(folder / "home", LLM_BASE_URL=f"{url}/v1", LLM_MODEL="plain", LOG_LEVEL="info")


def main() -> None:
    """Measure and say."""
    with common.bench("Calls passed through to a model server, beside a bare aiohttp proxy") as folder:
        upstream = common.upstream()
        url = f"http://127.0.0.1:{upstream.port}"
        gateway, bare = _gateway(folder, url), common.bare(UPSTREAM=url)
        with common.running(upstream, gateway, bare):
            targets = [Target("gateway", gateway), Target("bare", bare), Target("direct", upstream)]
            _measure(targets)
            _say(*targets)
            _say_slow(targets)


if __name__ == "__main__":
    main()
