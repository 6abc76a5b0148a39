"""One good call of each route of notes, jobs, skills, extensions and `/v1`, for the tests of all routes."""

from collections.abc import Callable
from typing import Any


def noun_calls(call: Callable[..., Any]) -> None:
    """All of them; *call* takes a method, a path of the route table, and what goes with it."""
    memory_calls(call)
    job_calls(call)
    skills_calls(call)
    extensions_calls(call)


def memory_calls(call: Callable[..., Any]) -> None:
    """Notes."""
    call("POST", "/api/memory/write", {"path": "a.md", "content": "one\n"})
    call("POST", "/api/memory/append", {"path": "a.md", "text": "TODO two"})
    call("PUT", "/api/memory/raw", {"not": "read"}, query="?path=a.md")
    version = call("GET", "/api/memory/versions", query="?path=a.md")["versions"][-1]["id"]
    call("GET", "/api/memory/versions", query=f"?path=a.md&id={version}")
    call("GET", "/api/memory/versions", query=f"?path=a.md&id={version}&diff=now")
    call("POST", "/api/memory/restore", {"path": "a.md", "id": version})
    call("GET", "/api/memory/read", query="?path=a.md")
    call("POST", "/api/memory/move", {"path": "a.md", "to": "b/c.md"})
    call("GET", "/api/memory/list", query="?path=b")
    call("GET", "/api/memory/tree")
    call("GET", "/api/memory/search", query="?query=todo&context=1")
    call("DELETE", "/api/memory/raw", query="?path=b/c.md")


def skills_calls(call: Callable[..., Any]) -> None:
    """Skills."""
    own = {"content": "---\nname: own\ndescription: Mine.\n---\nDo it.\n"}
    call("GET", "/api/skills/search", query="?query=python")
    call("POST", "/api/skills/preview", {"content": own["content"].replace("own", "other")})
    call("POST", "/api/skills/install", {"name": "python-debugger"})
    call("PUT", "/api/skills/{name}", own, id_="own")
    call("GET", "/api/skills/{name}", id_="own")
    call("POST", "/api/skills/{name}/disable", id_="own")
    call("POST", "/api/skills/{name}/enable", {}, id_="own")
    call("GET", "/api/skills/list")
    call("DELETE", "/api/skills/{name}", id_="own")


def extensions_calls(call: Callable[..., Any]) -> None:
    """Extensions; nothing answers where this one is said to be."""
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


def job_calls(call: Callable[..., Any]) -> None:
    """The same for the routes of jobs."""
    job = call("POST", "/api/jobs", {"command": "echo done > a.txt"}, query="?wait=20")["id"]
    call("GET", "/api/jobs/list", query="?status=completed,failed&limit=1")
    call("GET", "/api/jobs")
    call("GET", "/api/jobs/{id}", id_=job)
    call("GET", "/api/jobs/{id}/files/list", id_=job)
    call("POST", "/api/jobs/{id}/stop", id_=call("POST", "/api/jobs/{id}/restart", id_=job)["id"])
    call("DELETE", "/api/jobs/{id}", id_=job)


def openai_calls(call: Callable[..., Any]) -> None:
    """The same for the OpenAI-compatible routes."""
    call("POST", "/v1/chat/completions", {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}]})
    call("GET", "/v1/models")
    call("GET", "/v1/models/{id}", id_="ironclaw")
    kept = call("POST", "/v1/responses", {"model": "ironclaw", "input": "Hi"})["id"]
    call("GET", "/v1/responses/{id}", id_=kept)
    call("DELETE", "/v1/responses/{id}", id_=kept)
    call("POST", "/v1/embeddings", {"model": "any", "input": "Hi"})
    call("POST", "/v1/completions", {"model": "any", "prompt": "Once"})


def upkeep_calls(call: Callable[..., Any]) -> None:
    """Logs, usage and pairing."""
    call("POST", "/api/pairing", {"page": "http://192.168.1.5:3000/", "code": True})
    call("POST", "/api/logs/level", {"level": "debug"})
    call("GET", "/api/usage", query="?days=2")
    call("PUT", "/api/budget", {"day_usd": 5, "month_usd": None})
    call("GET", "/api/budget")
