"""Calls that the tests of jobs over HTTP share."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

MakeClient = Callable[..., Awaitable[TestClient]]
MARK = f"mark-of-a-job-3c77-{os.getpid()}."


async def launch(client: TestClient, command: str, *, wait: bool = True, **more: Any) -> dict[str, Any]:
    target = "/api/jobs?wait=40" if wait else "/api/jobs"
    response = await client.post(target, json={"command": command, **more})
    job = await response.json()
    assert response.status == 201, job
    assert response.headers["Location"] == f"/api/jobs/{job['id']}"
    return job


async def get(client: TestClient, path: str) -> Any:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def stop(client: TestClient, job_id: str) -> dict[str, Any]:
    response = await client.post(f"/api/jobs/{job_id}/stop")
    assert response.status == 200
    return await response.json()


async def refusal(response: ClientResponse) -> tuple[int, str, str]:
    error = (await response.json())["error"]
    return response.status, error["code"], error["message"]


async def until_running(client: TestClient, job_id: str) -> None:
    async with asyncio.timeout(20):
        while (await get(client, f"/api/jobs/{job_id}"))["status"] == "pending":
            await asyncio.sleep(0.02)
