"""Events as the bytes of each kind of stream, made once for all clients: SSE, JSON lines, WebSocket frames."""

from collections.abc import Sequence

import orjson

from ironclaw.hub import Released


def sse_frames(batch: Sequence[Released]) -> bytes:
    """Events as server-sent events: id, name, one data line each."""
    return b"".join(b"id: %d\nevent: %s\ndata: %s\n\n" % (one.id, one.kind.encode(), one.body) for one in batch)


def ndjson_frames(batch: Sequence[Released]) -> bytes:
    """Events as JSON objects, one a line."""
    return b"".join(one.tagged() + b"\n" for one in batch)


def chunk(data: bytes) -> bytes:
    """*data* as one chunk of a chunked HTTP/1.1 body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked_sse_frames(batch: Sequence[Released]) -> bytes:
    """Server-sent events as one HTTP chunk."""
    return chunk(sse_frames(batch))


def chunked_ndjson_frames(batch: Sequence[Released]) -> bytes:
    """JSON lines as one HTTP chunk."""
    return chunk(ndjson_frames(batch))


def text_frame(payload: bytes) -> bytes:
    """One unmasked WebSocket text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%s" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%s%s" % (length.to_bytes(2), payload)
    return b"\x81\x7f%s%s" % (length.to_bytes(8), payload)


def ws_frames(batch: Sequence[Released]) -> bytes:
    """Events as WebSocket frames, one flat object each."""
    return b"".join(text_frame(one.tagged()) for one in batch)


def ws_plain_frames(batch: Sequence[Released]) -> bytes:
    """Only how turns ended, as bare text: the answer, or why there is none."""
    return b"".join(text_frame(text) for text in map(_plain, batch) if text)


def _plain(one: Released) -> bytes:
    if one.kind not in {"response", "stopped", "turn_failed"}:
        return b""
    fields = orjson.loads(one.body)
    text = f"Error: {fields['message']}" if one.kind == "turn_failed" else fields["content"]
    return str(text).encode()
