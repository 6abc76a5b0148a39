"""A model server without a model and without HTTP machinery, so that it is never what is measured.

It answers `POST /v1/chat/completions` by the model's name: `plain` with one fixed reply; `stream-N` with N chunks, one
write each, at once; `slow-MS` with 50 chunks, one every MS milliseconds by the clock; `GET /v1/models` with these names.
Anything else is a 200 without content. Run as `python upstream.py PORT`.
"""

import asyncio
import re
import sys

_REPLY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"plain","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello! How can I help you today?"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":12,"total_tokens":22}}'
)
_MODELS = b'{"object":"list","data":[{"id":"plain"},{"id":"stream-1000"},{"id":"slow-20"}]}'
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}\n\n'  # noqa: E501
_SLOW_CHUNKS = 50


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_TOKEN = _framed(_CHUNK % (b'{"content":"token "}', b"null"))
_LAST = (
    _framed(_CHUNK % (b"{}", b'"stop"'))
    + _framed(
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
        b'"usage":{"prompt_tokens":10,"completion_tokens":50,"total_tokens":60}}\n\n'
    )
    + _framed(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Upstream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"(?i)content-length: (\d+)", self._buffer[:head])
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                return
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        model = re.search(rb'"model": ?"([a-z]+)-?(\d*)"', request)
        if request.startswith(b"GET "):
            self._transport.write(_whole(_MODELS if b"/models" in request[:40] else b""))
        elif model is None or model[1] == b"plain":
            self._transport.write(_whole(_REPLY))
        elif model[1] == b"stream":
            self._transport.write(_STREAM_HEAD)
            for _ in range(int(model[2])):
                self._transport.write(_TOKEN)
            self._transport.write(_LAST)
        else:
            self._transport.write(_STREAM_HEAD)
            loop = asyncio.get_running_loop()
            self._tick(loop, loop.time(), int(model[2]) / 1000, 1)

    def _tick(self, loop: asyncio.AbstractEventLoop, began: float, pause: float, number: int) -> None:
        if number > 1:
            self._transport.write(_TOKEN)
        if number > _SLOW_CHUNKS:
            self._transport.write(_LAST)
        else:
            loop.call_at(began + number * pause, self._tick, loop, began, pause, number + 1)


async def serve(port: int) -> None:
    """Listen until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
