"""IronClaw gateway: a self-hosted AI-agent gateway.

The names here are the public ones; each is loaded when it is first used, so that `import ironclaw` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ironclaw.version import __version__

if TYPE_CHECKING:
    from ironclaw.auth import Principal
    from ironclaw.errors import IronclawError, ProviderError
    from ironclaw.events import (
        ApprovalNeeded,
        ApprovalSettled,
        Event,
        ReasoningChunk,
        Response,
        Stopped,
        StreamChunk,
        Thinking,
        ToolCompleted,
        ToolStarted,
        TurnFailed,
        UserMessage,
    )
    from ironclaw.gateway import Gateway, create_app
    from ironclaw.llm.models import (
        Abilities,
        Delta,
        Finished,
        ModelMessage,
        ModelRequest,
        ReasoningDelta,
        TextDelta,
        ToolCallDelta,
        Usage,
    )
    from ironclaw.llm.provider import Provider
    from ironclaw.settings import Settings
    from ironclaw.tools import Approval, Risk, Tool, ToolContext, ToolResult, make_tool

__all__ = [
    "Abilities",
    "Approval",
    "ApprovalNeeded",
    "ApprovalSettled",
    "Delta",
    "Event",
    "Finished",
    "Gateway",
    "IronclawError",
    "ModelMessage",
    "ModelRequest",
    "Principal",
    "Provider",
    "ProviderError",
    "ReasoningChunk",
    "ReasoningDelta",
    "Response",
    "Risk",
    "Settings",
    "Stopped",
    "StreamChunk",
    "TextDelta",
    "Thinking",
    "Tool",
    "ToolCallDelta",
    "ToolCompleted",
    "ToolContext",
    "ToolResult",
    "ToolStarted",
    "TurnFailed",
    "Usage",
    "UserMessage",
    "__version__",
    "create_app",
    "make_tool",
]

_HOMES = {
    "auth": ("Principal",),
    "errors": ("IronclawError", "ProviderError"),
    "events": (
        "ApprovalNeeded",
        "ApprovalSettled",
        "Event",
        "ReasoningChunk",
        "Response",
        "Stopped",
        "StreamChunk",
        "Thinking",
        "ToolCompleted",
        "ToolStarted",
        "TurnFailed",
        "UserMessage",
    ),
    "gateway": ("Gateway", "create_app"),
    "llm.models": (
        "Abilities",
        "Delta",
        "Finished",
        "ModelMessage",
        "ModelRequest",
        "ReasoningDelta",
        "TextDelta",
        "ToolCallDelta",
        "Usage",
    ),
    "llm.provider": ("Provider",),
    "settings": ("Settings",),
    "tools": ("Approval", "Risk", "Tool", "ToolContext", "ToolResult", "make_tool"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"ironclaw.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
