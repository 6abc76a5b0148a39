"""What tests of the connected model say over HTTP, and servers that are none."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from llm.stand_in_process import StandInProcess

KEY = "canary-key-83fa02b1c9d7"
NOTHING = {
    "state": "none", "provider": None, "base_url": None, "model": None, "has_key": False, "context_tokens": None,
    "tools": None, "source": None, "locked": False,
}  # fmt: skip


async def call(client: TestClient, method: str, path: str = "", body: Any = None, status: int = 200) -> dict[str, Any]:
    response = await client.request(method, f"/api/model{path}", json=body)
    answer = await response.json()
    assert response.status == status, answer
    return answer  # type: ignore[no-any-return]


async def connect(client: TestClient, server: StandInProcess, model: str = "hello", **more: Any) -> dict[str, Any]:
    return await call(client, "PUT", body={"address": server.url, "model": model, **more})


@asynccontextmanager
async def listening(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """A server that is no gateway of ours; its host:port."""
    runner = web.AppRunner(app := web.Application(), shutdown_timeout=0.1)
    app.router.add_route("*", "/{path:.*}", handler)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
