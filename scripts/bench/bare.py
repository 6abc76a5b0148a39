"""The bare server that everything is compared with: the least that one can write on aiohttp. No log, no limits, no token.

`GET /healthz`, `GET /echo` and `POST /echo` (JSON out, JSON in and out), `GET /events` (SSE, one queue for each
subscriber, the way most programs do it), `POST /publish?events=N&size=S&last=L` (feeds them), `GET /ws` (a WebSocket).
`POST /v1/chat/completions` passes bytes through to the server that `UPSTREAM` names, looking at nothing.
Run as `python bare.py PORT`.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import orjson
from aiohttp import ClientSession, TCPConnector, web

FIRST = 0.02  # seconds until the first event, as with a model
SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)
QUEUES: web.AppKey[set[asyncio.Queue[bytes]]] = web.AppKey("queues", set)


async def healthz(_: web.Request) -> web.Response:
    """It is alive."""
    return _json({"status": "ok"})


async def echo(request: web.Request) -> web.Response:
    """JSON back: of the request, or of its body."""
    if request.method == "POST":
        return _json({"status": "ok", "body": orjson.loads(await request.read())})
    return _json({"status": "ok", "method": request.method, "path": request.path, "host": request.host})


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", content_type="application/json")


async def events(request: web.Request) -> web.StreamResponse:
    """One subscriber: what is put into its queue is written to it."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    await response.prepare(request)
    await response.write(b": connected\n\n")
    request.app[QUEUES].add(queue)
    try:
        while True:
            await response.write(await queue.get())
    finally:
        request.app[QUEUES].discard(queue)


async def publish(request: web.Request) -> web.Response:
    """Give all subscribers N events of S bytes and a `response` of L; the loop gets its turn after each."""
    await asyncio.sleep(FIRST)
    count, size = int(request.query["events"]), int(request.query["size"])
    for number in range(count):
        _put(request.app[QUEUES], event_of(number, "stream_chunk", size))
        await asyncio.sleep(0)
    _put(request.app[QUEUES], event_of(count, "response", int(request.query["last"])))
    return _json({"status": "ok"})


def _put(queues: set[asyncio.Queue[bytes]], event: bytes) -> None:
    for queue in queues:
        queue.put_nowait(event)


def event_of(number: int, kind: str, size: int) -> bytes:
    """An event in the form of server-sent events, *size* bytes long if that is possible."""
    head = f"id: {number}\nevent: {kind}\ndata: "
    frame = len(head) + len('{"content":""}\n\n')
    data = orjson.dumps({"content": "x" * max(0, size - frame)}).decode()
    return f"{head}{data}\n\n".encode()


async def socket(request: web.Request) -> web.StreamResponse:
    """A WebSocket that says what it hears."""
    response = web.WebSocketResponse(compress=False)
    await response.prepare(request)
    async for message in response:
        await response.send_str(message.data)
    return response


async def proxy(request: web.Request) -> web.StreamResponse:
    """The least that a proxy can do: a reply as it is, a stream read by read."""
    url = os.environ["UPSTREAM"] + request.path
    headers = {"Content-Type": "application/json"}
    async with request.app[SESSION].post(url, data=await request.read(), headers=headers) as answer:
        kind = {"Content-Type": answer.headers["Content-Type"]}
        if not kind["Content-Type"].startswith("text/event-stream"):
            return web.Response(status=answer.status, body=await answer.read(), headers=kind)
        response = web.StreamResponse(status=answer.status, headers=kind)
        await response.prepare(request)
        async for data in answer.content.iter_any():
            await response.write(data)
        await response.write_eof()
        return response


async def session(app: web.Application) -> AsyncIterator[None]:
    """The one session to the upstream."""
    async with ClientSession(connector=TCPConnector(limit=0)) as app[SESSION]:
        yield


def application() -> web.Application:
    """The server."""
    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_post("/v1/chat/completions", proxy)
    app[QUEUES] = set()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/echo", echo)
    app.router.add_post("/echo", echo)
    app.router.add_get("/events", events)
    app.router.add_post("/publish", publish)
    app.router.add_get("/ws", socket)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=1024)
