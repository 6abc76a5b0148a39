"""Calls of the routes of extensions, for tests of all routes."""

from collections.abc import Callable
from typing import Any


def extensions_calls(call: Callable[..., Any]) -> None:
    """One good call of each; nothing answers where this one is said to be."""
    call("GET", "/api/extensions/registry", query="?query=github")
    call("POST", "/api/extensions/install", {"name": "github", "registry": "builtin"})
    call("PUT", "/api/extensions/{name}/config", {"settings": {"url": "http://127.0.0.1:9/mcp"}}, id_="github")
    call("POST", "/api/extensions/{name}/auth", {"token": "ghp_abc123xyz456"}, id_="github")
    call("POST", "/api/extensions/{name}/test", id_="github")
    call("GET", "/api/extensions/{name}", id_="github")
    call("POST", "/api/extensions/{name}/disable", id_="github")
    call("POST", "/api/extensions/{name}/enable", {}, id_="github")
    call("GET", "/api/extensions/list")
    call("DELETE", "/api/extensions/{name}", id_="github")
