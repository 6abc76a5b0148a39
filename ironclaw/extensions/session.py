"""A session with one MCP server: the only door to the MCP SDK, which is loaded when the first one is opened.

What is said to the server and what comes back stands here; when a session begins and ends is `running.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ironclaw import codec
from ironclaw.errors import Invalid, IronclawError, Unavailable
from ironclaw.extensions.schema import MOST_TOOLS, FoundTool, found_tool
from ironclaw.redact import redact
from ironclaw.sandbox.choice import Sandboxes
from ironclaw.values import define, frozen
from ironclaw.version import __version__

if TYPE_CHECKING:
    from mcp import Client

SDK_FIX = "pip install 'ironclaw[mcp]'"
_MOST_TEXT = 100_000
_MOST_PAGES = 20
_START = 60.0
_LIST = 30.0


class SecretRefused(Invalid):
    """The server does not take the secret (HTTP 401 or 403). *is_final*: it is good for nothing (401)."""

    code = "token_refused"

    def __init__(self, message: str, *, is_final: bool = True) -> None:
        super().__init__(message, field="token")
        self.is_final = is_final


@frozen
class HttpPlan:
    """How a server is reached: *headers* hold its secrets and go to the origin of *url* only."""

    name: str
    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)


@frozen
class Confinement:
    """In which sandbox a server runs, and what of the machine it sees beside its own folder."""

    sandboxes: Sandboxes = attrs.field(repr=False)
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    network: bool


@frozen
class StdioPlan:
    """How a server is started: *environment* is all that it gets, secrets too; *folder* is where it runs and may write.

    *confinement* None: without a sandbox.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = attrs.field(repr=False)
    folder: Path
    confinement: Confinement | None = None


Plan = HttpPlan | StdioPlan


@frozen
class Answer:
    """What a call gave, as text for the model."""

    text: str
    success: bool


@define
class Refusals:
    """What the wire has seen of a session: the last status by which the server refused the secret."""

    status: int | None = None


def is_sdk_installed() -> bool:
    """Whether the SDK is there. Loads nothing."""
    try:
        return find_spec("mcp") is not None
    except ModuleNotFoundError:
        return False


def require_sdk_installed() -> None:
    """Raises *Unavailable* with what to install where the SDK is missing. Loads nothing."""
    if not is_sdk_installed():
        raise Unavailable(
            "Extensions need the MCP SDK, which is not installed. Install it where the gateway is, and start the gateway"
            f" anew: {SDK_FIX}",
            code="sdk_missing",
        )


def _load_sdk() -> None:
    """Loads the SDK. Takes a second: not on the loop. Raises *Unavailable* where it is missing."""
    require_sdk_installed()
    import mcp.client.streamable_http  # noqa: F401, PLC0415 - loaded when the first extension is started


class Session:
    """An open session. *ended* is set when the server has gone away."""

    def __init__(self, client: "Client", plan: Plan, refusals: Refusals, ended: asyncio.Event) -> None:
        self._client = client
        self._plan = plan
        self._refusals = refusals
        self.ended = ended

    async def tools(self) -> tuple[FoundTool, ...]:
        """The tools of the server, cleaned; those beyond the first few hundred are left out. Raises as `call` does."""
        found: dict[str, FoundTool] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            async with self._explained(_LIST):
                page = await self._client.list_tools(cursor=cursor)
            for tool in page.tools:
                hints = tool.annotations
                reads = bool(hints and hints.read_only_hint)
                one = found_tool(tool.name, redact(tool.description or ""), _masked(tool.input_schema), reads=reads)
                if one is not None and len(found) < MOST_TOOLS:
                    found.setdefault(one.name, one)
            cursor = page.next_cursor
            if not cursor or len(found) >= MOST_TOOLS:
                break
        return tuple(found.values())

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout: float) -> Answer:
        """Call a tool; *timeout* is in seconds.

        Raises *SecretRefused*, and *Unavailable* when the server does not answer or is gone.
        """
        async with self._explained(timeout):
            result = await self._client.call_tool(tool, dict(arguments))
        return Answer(_text(result), not result.is_error)

    @contextlib.asynccontextmanager
    async def _explained(self, timeout: float) -> AsyncIterator[None]:
        self._refusals.status = None
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError:
            raise Unavailable(f"{self._plan.name} did not answer within {timeout:g} s.", code="timeout") from None
        except Exception as error:
            raise explained(self._plan, self._refusals, error) from None


@contextlib.asynccontextmanager
async def open_session(plan: Plan) -> AsyncIterator[Session]:
    """A session, the handshake done. Raises *SecretRefused*, and *Unavailable* with what is wrong and what to do."""
    await asyncio.to_thread(_load_sdk)
    from mcp import Client  # noqa: PLC0415
    from mcp.types import Implementation  # noqa: PLC0415

    refusals, ended = Refusals(), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_START):
                transport = await _transport(stack, plan, refusals, ended)
                client = Client(transport, client_info=Implementation(name="ironclaw", version=__version__), cache=None)
                await stack.enter_async_context(client)
        except TimeoutError:
            raise Unavailable(f"{plan.name} did not start within {_START:g} s.", code="timeout") from None
        except Exception as error:
            raise explained(plan, refusals, error) from None
        yield Session(client, plan, refusals, ended)


async def _transport(stack: contextlib.AsyncExitStack, plan: Plan, refusals: Refusals, ended: asyncio.Event) -> Any:
    if isinstance(plan, StdioPlan):
        from ironclaw.extensions.pipes import piped  # noqa: PLC0415

        return piped(plan, ended)
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

    from ironclaw.extensions.wire import http_client  # noqa: PLC0415

    client = await stack.enter_async_context(http_client(plan, refusals))
    return streamable_http_client(plan.url, http_client=client)


def explained(plan: Plan, refusals: Refusals, error: BaseException) -> IronclawError:
    """What went wrong, for people: texts of the server are masked and cut."""
    if isinstance(error, IronclawError):
        return error
    if refusals.status is not None:
        return SecretRefused(
            f"{plan.name} does not take the token (HTTP {refusals.status}). Enter one that is valid and has the rights that"
            " it needs.",
            is_final=refusals.status == 401,
        )
    if isinstance(error, BaseExceptionGroup):
        return explained(plan, refusals, error.exceptions[0])
    text = redact(" ".join(str(error).split()))[:300] or type(error).__name__
    if text == "Session terminated":  # the SDK's word for a server that does not know the session any more
        return Unavailable(f"{plan.name} has begun anew.", code="session_lost")
    if isinstance(plan, HttpPlan):
        return Unavailable(f"{plan.name} can't be used at {plan.url}: {text}.", code="server_failed")
    return Unavailable(f"{plan.name} failed: {text}. The log has what it printed.", code="server_failed")


def _masked(schema: dict[str, Any]) -> Any:
    """A server that writes its secret into a schema does not get it to the model."""
    try:
        return codec.loads(redact(codec.dumps(schema).decode()))
    except (IronclawError, TypeError, ValueError):
        return {}


def _text(result: Any) -> str:
    """What a call gave, as text: pictures and sounds are named, secrets masked, and what is too long is cut."""
    parts = [_part(one) for one in result.content[:200]]
    if not any(parts) and result.structured_content is not None:
        parts = [codec.dumps(result.structured_content).decode()]
    text = redact("\n".join(part for part in parts if part))
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\n[Cut here: {len(text) - _MOST_TEXT:,} more.]"


def _part(content: Any) -> str:
    match content.type:
        case "text":
            return str(content.text)
        case "image" | "audio":
            return f"[{content.type} {content.mime_type}, {len(content.data) * 3 // 4 // 1024} KB, not shown]"
        case "resource_link":
            return f"[{content.name}: {content.uri}]"
        case "resource":
            inner = content.resource
            text = getattr(inner, "text", None)
            return str(text) if text is not None else f"[{inner.uri}, not text]"
        case _:
            return f"[{content.type}]"
