"""Small requests: what token, limits, errors, headers and the request log cost beside a bare server that has none.

16 connections ask without a pause for /api/status, for a 401 (no token), a 401 (wrong token) and a 429, and before each
of them for the bare server's `GET /echo`. The gateways log every request, to a file. Read the first figure: requests a
second as a share of the bare server's; the processor time of the server for each request is less noisy on a busy machine.
"""

from collections.abc import Sequence
from pathlib import Path

import common
import load

_ROUNDS = 5
_CLIENTS = 16
_SECONDS = 0.8
_GOAL = 0.75


class Target:
    """One kind of request and what was measured of it, a value a round."""

    def __init__(self, name: str, server: common.Server, request: bytes, status: str) -> None:
        self.name = name
        self.status = status
        self.rates: list[float] = []
        self.costs: list[float] = []
        self._server = server
        self._request = request

    def measure(self, seconds: float = _SECONDS) -> None:
        """One round."""
        before = self._server.busy()
        result = load.run(self._server.port, [self._request] * _CLIENTS, seconds)
        self.rates.append(result.rate)
        self.costs.append((self._server.busy() - before) / len(result.times))
        if result.share(self.status) < 0.999:
            print(f"  note: {self.name}: the replies were {dict(result.statuses)}, not {self.status}")


def targets_of(open_: common.Server, limited: common.Server) -> list[Target]:
    """What is asked of the gateways: one without limits, one that lets one request a minute pass."""

    def ask(server: common.Server, token: str | None) -> bytes:
        return common.request_of(server.port, "GET", "/api/status", token=token, Accept="application/json")

    return [
        Target("GET /api/status", open_, ask(open_, common.TOKEN), "200"),
        Target("401, no token", open_, ask(open_, None), "401"),
        Target("401, wrong token", open_, ask(open_, "wrong" * 5), "401"),
        Target("429", limited, ask(limited, common.TOKEN), "429"),
    ]


def measure(bare: common.Server, targets: Sequence[Target]) -> list[Target]:
    """All rounds; for each target the bare server's figures measured just before."""
    request = common.request_of(bare.port, "GET", "/echo", token=common.TOKEN, Accept="application/json")
    beside = [Target("bare echo", bare, request, "200") for _ in targets]
    for target in (beside[0], *targets):
        target.measure(0.3)
        target.rates.clear()
        target.costs.clear()
    for _ in range(_ROUNDS):
        for target, other in zip(targets, beside, strict=True):
            other.measure()
            target.measure()
    return beside


def _start(folder: Path) -> tuple[common.Server, common.Server, common.Server]:
    log = {"LOG_LEVEL": "info"}
    return (
        common.bare(),
        common.gateway(folder / "open", **log),
        common.gateway(folder / "limited", GATEWAY_API_RATE="1", **log),
    )


def main() -> None:
    """Measure and say."""
    with common.bench(f"Small requests, {_CLIENTS} connections, beside bare aiohttp's echo") as folder:
        bare, open_, limited = _start(folder)
        with common.running(bare, open_, limited):
            targets = targets_of(open_, limited)
            beside = measure(bare, targets)
        for target, other in zip(targets, beside, strict=True):
            rate = common.ratio(target.rates, other.rates)
            print(
                f"{target.name}: {rate:.2f} x bare echo's requests a second "
                f"({common.median(target.rates):.0f} against {common.median(other.rates):.0f}; "
                f"{common.median(target.costs) * 1e6:.0f} us against {common.median(other.costs) * 1e6:.0f} us of "
                f"processor time each), {common.verdict(rate, at_least=_GOAL)}"
            )


if __name__ == "__main__":
    main()
