"""The chat over a WebSocket: events out, messages in."""

import asyncio
import logging
from typing import Any, Literal

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from ironclaw import codec
from ironclaw.api.frames import text_frame, ws_frames, ws_plain_frames
from ironclaw.api.keys import PRINCIPAL, SERVICES
from ironclaw.api.requests import last_event_id, read_query
from ironclaw.api.streams import OPEN_STREAMS, StreamClient, connected, prepare
from ironclaw.chat.models import check_thread_id
from ironclaw.errors import BadRequest, IronclawError, RateLimited
from ironclaw.services import Services
from ironclaw.values import frozen

log = logging.getLogger(__name__)

_MOST_FRAME = 1 << 20
_MOST_AWAITED = 64
_PONG = codec.dumps({"type": "pong"})


@frozen
class SocketQuery:
    """*thread_id*: that thread only, and where messages without one go; *plain*: answers as bare text."""

    thread_id: str | None = None
    last_event_id: str | None = None
    plain: bool = False


@frozen
class _MessageFrame:
    message: str
    thread_id: str | None = None
    type: str = "message"


@frozen
class _StopFrame:
    thread_id: str
    type: str = "stop"


@frozen
class _ApprovalFrame:
    request_id: str
    action: Literal["approve", "always", "deny"]
    type: str = "approval"


@frozen
class _PingFrame:
    type: str = "ping"


async def chat_socket(request: web.Request) -> web.StreamResponse:
    """Talk until either side closes."""
    query = read_query(request, SocketQuery)
    thread_id = check_thread_id(query.thread_id) if query.thread_id else None
    after = last_event_id(request)
    beat = request.app[SERVICES].settings.heartbeat
    # Not closed by itself: `echo hi | websocat` closes at once and still wants its answer.
    socket = web.WebSocketResponse(autoclose=False, compress=False, heartbeat=beat, max_msg_size=_MOST_FRAME)
    with request.app[SERVICES].slots.take():
        if not socket.can_prepare(request):
            raise BadRequest("This is a WebSocket: connect with ws:// or wss://, or use GET /api/chat/events.")
        await prepare(request, socket)
        client = StreamClient(connected(request), ws_plain_frames if query.plain else ws_frames, None, b"")
        talk = _Talk(request.app[SERVICES], socket, client, thread_id, request[PRINCIPAL].name, quiet=query.plain)
        with request.app[OPEN_STREAMS].holding(client, talk.at_shutdown):
            hub = request.app[SERVICES].hub
            try:
                await hub.join(client, thread_id, after)
                await talk.run()
            except ConnectionError:
                pass  # it left while it was caught up
            except Exception:
                # A reply would be written into the socket, so the error must not leave this handler.
                log.exception("A WebSocket failed inside")
                talk.code = WSCloseCode.INTERNAL_ERROR
            finally:
                hub.leave(client, thread_id)
                client.end()
        await talk.close()
    return socket


class _Talk:
    """What one socket's client says, and what it is told in return."""

    __slots__ = ("_client", "_closing", "_principal", "_quiet", "_sent", "_services", "_socket", "_thread_id", "code")

    def __init__(
        self,
        services: Services,
        socket: web.WebSocketResponse,
        client: StreamClient,
        thread_id: str | None,
        principal: str,
        *,
        quiet: bool,
    ) -> None:
        self.code = WSCloseCode.OK
        self._services = services
        self._socket = socket
        self._client = client
        self._thread_id = thread_id
        self._principal = principal
        self._quiet = quiet
        self._sent: list[str] = []  # the last ones
        self._closing: asyncio.Task[bool] | None = None

    def at_shutdown(self) -> None:
        """Let the client know that the gateway goes; the reader wakes up when the socket is closed."""
        self.code = WSCloseCode.GOING_AWAY
        self._client.end()
        self._closing = asyncio.create_task(self._socket.close(code=self.code, message=b""), name="socket-close")

    async def close(self) -> None:
        """Close our side, unless the shutdown has done so."""
        await (self._closing or self._socket.close(code=self.code, message=b""))

    async def run(self) -> None:
        """Read frames until the client closes or is gone; then let it have the answers that it still waits for."""
        while True:
            message = await self._socket.receive()
            if message.type in {WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR}:
                return
            if message.type is WSMsgType.CLOSE:
                await self._answer_the_rest()
                return
            await self._take(message)

    async def _take(self, message: WSMessage) -> None:
        try:
            if message.type is not WSMsgType.TEXT:
                raise BadRequest("Send text frames: a JSON object, or a line of text.")
            await self._obey(message.data)
        except IronclawError as error:
            self._reject(error)

    async def _obey(self, text: str) -> None:
        if not text.lstrip().startswith("{"):
            await self._send(text.removesuffix("\n").removesuffix("\r"), None)
            return
        data = codec.loads(text)
        match data.get("type", "message"):
            case "message":
                frame = codec.structure(data, _MessageFrame)
                await self._send(frame.message, frame.thread_id)
            case "stop":
                await self._services.chat.stop(codec.structure(data, _StopFrame).thread_id)
            case "approval":
                answer = codec.structure(data, _ApprovalFrame)
                await self._services.chat.approvals.settle(answer.request_id, answer.action)
            case "ping":
                codec.structure(data, _PingFrame)
                self._tell(_PONG)
            case _:
                raise BadRequest("`type` must be message, approval, stop or ping.", field="type")

    async def _send(self, text: str, thread_id: str | None) -> None:
        limits = self._services.limits
        await limits.spend(self._principal, limits.chat)
        accepted = await self._services.chat.accept(text, thread_id=thread_id or self._thread_id)
        self._sent = [*self._sent[1 - _MOST_AWAITED :], accepted.message_id]
        if not self._quiet:
            ids = {"message_id": accepted.message_id, "thread_id": accepted.thread_id}
            self._tell(codec.dumps({"type": "accepted", **ids}))

    def _reject(self, error: IronclawError) -> None:
        fields: dict[str, object] = {"type": "rejected", "code": error.code, "message": error.message}
        if isinstance(error, RateLimited):
            fields["retry_after"] = error.retry_after
        self._tell(f"Error: {error.message}".encode() if self._quiet else codec.dumps(fields))

    def _tell(self, payload: bytes) -> None:
        self._client.write(text_frame(payload))

    async def _answer_the_rest(self) -> None:
        """The client has closed its side: what it sent is still answered before our side closes."""
        for message_id in tuple(self._sent):
            ending = asyncio.ensure_future(self._services.hub.wait_for_end(message_id))
            try:
                waiting: set[asyncio.Future[Any]] = {ending, self._client.closed}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
        await asyncio.sleep(0)  # the pump, woken before us, has written by now
