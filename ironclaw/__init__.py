"""IronClaw gateway: a self-hosted AI-agent gateway.

The names here are the public ones; each is loaded when it is first used, so that `import ironclaw` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ironclaw.version import __version__

if TYPE_CHECKING:
    from ironclaw.auth import Principal
    from ironclaw.gateway import Gateway, create_app
    from ironclaw.llm.provider import Provider
    from ironclaw.settings import Settings
    from ironclaw.tools import Risk, Tool, ToolContext, ToolResult

_HOMES = {
    "Gateway": "ironclaw.gateway",
    "Principal": "ironclaw.auth",
    "Provider": "ironclaw.llm.provider",
    "Risk": "ironclaw.tools",
    "Settings": "ironclaw.settings",
    "Tool": "ironclaw.tools",
    "ToolContext": "ironclaw.tools",
    "ToolResult": "ironclaw.tools",
    "create_app": "ironclaw.gateway",
}

__all__ = [
    "Gateway",
    "Principal",
    "Provider",
    "Risk",
    "Settings",
    "Tool",
    "ToolContext",
    "ToolResult",
    "__version__",
    "create_app",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
