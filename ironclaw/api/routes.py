"""THE route table: every path of the API, in the contract's order. What is not here is not served, except the page.

A row says all that is known of a route outside its handler: who may call it, what it costs, what goes in and out.
`openapi.py` describes the API from these rows, and the middlewares guard it by them.
"""

from collections.abc import Awaitable, Callable

import attrs
from aiohttp import web

from ironclaw.api import (
    about,
    approvals,
    chat,
    chat_stream,
    memory,
    memory_raw,
    model,
    openai,
    openai_responses,
    status,
    threads,
    usage,
    websocket,
)
from ironclaw.api.requests import BODY_LIMIT, PICTURES_LIMIT
from ironclaw.chat.models import Approval
from ironclaw.memory.notes import MAX_FILE
from ironclaw.status import SystemStatus

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.frozen(kw_only=True)
class Route:
    """One row.

    *open*: no token needed; *limited*: the `api` rate is spent by the middleware, else by the handler;
    *body*, *query* and *reply* are attrs classes, `dict` for any object; *streams* and *also* name the media types of its
    streams and of its other replies, *takes* those of bodies that are not JSON. *pattern* is the path with the form of its
    parts, where that is not the usual one; *most* is the largest body in bytes.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    open: bool = False
    limited: bool = True
    body: type | None = None
    query: type | None = None
    reply: type | None = None
    status: int = 200
    streams: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    noun: str = ""
    pattern: str | None = None
    most: int = BODY_LIMIT


def _route(method: str, path: str, handler: Handler, summary: str, **more: object) -> Route:
    start = path.removeprefix("/api/").lstrip("/").partition("/")[0]
    noun = {"budget": "usage", "v1": "openai"}.get(start, start)
    if noun not in {"chat", "memory", "model", "usage", "openai"}:
        noun = "status"
    return Route(method=method, path=path, handler=handler, summary=summary, noun=noun, **more)  # type: ignore[arg-type]


def _openai(path: str, handler: Handler, summary: str, **more: object) -> Route:
    return _route("POST", path, handler, summary, limited=False, body=dict, reply=dict, most=PICTURES_LIMIT, **more)


_EVENTS = ("text/event-stream", "application/x-ndjson")

ROUTES: tuple[Route, ...] = (
    _route(
        "POST",
        "/api/chat/send",
        chat.send,
        "Send a message; with ?wait, or an Accept of a stream or text, also get its answer.",
        limited=False,
        body=chat.SendMessage,
        query=chat.SendQuery,
        reply=chat.Sent,
        takes=("text/plain",),
        streams=(*_EVENTS, "text/plain"),
    ),
    _route(
        "GET",
        "/api/chat/events",
        chat_stream.events,
        "The live events of all threads, or of one; resumes by Last-Event-ID.",
        query=chat_stream.EventsQuery,
        streams=_EVENTS,
    ),
    _route(
        "GET",
        "/api/chat/ws",
        websocket.chat_socket,
        "The same over a WebSocket, and messages in.",
        query=websocket.SocketQuery,
        status=101,
    ),
    _route(
        "POST",
        "/api/chat/stop",
        chat.stop,
        "End the running turn of a thread.",
        body=chat.StopTurn,
        reply=chat.StopReply,
    ),
    _route(
        "GET",
        "/api/chat/approvals",
        approvals.waiting,
        "Tool calls that wait for a person.",
        reply=approvals.ApprovalList,
    ),
    _route(
        "POST",
        "/api/chat/approval",
        approvals.answer,
        "Allow a call that waits once or always, or deny it.",
        body=approvals.Answer,
        reply=Approval,
    ),
    _route(
        "GET",
        "/api/chat/threads",
        threads.list_threads,
        "Threads: pinned ones first, then the newest.",
        query=threads.Page,
        reply=threads.ThreadList,
    ),
    _route(
        "POST",
        "/api/chat/threads",
        threads.create,
        "Make an empty thread.",
        body=threads.CreateThread,
        reply=threads.Thread,
        status=201,
    ),
    _route(
        "PATCH",
        "/api/chat/threads/{id}",
        threads.change,
        "Rename, pin or unpin a thread.",
        body=threads.ChangeThread,
        reply=threads.Thread,
    ),
    _route("DELETE", "/api/chat/threads/{id}", threads.delete, "Delete a thread with all its turns.", reply=chat.Done),
    _route(
        "POST",
        "/api/chat/threads/{id}/fork",
        threads.fork,
        "A new thread with what was said before a message: to edit it or try it again.",
        body=threads.ForkThread,
        reply=threads.Thread,
        status=201,
    ),
    _route(
        "GET",
        "/api/chat/history",
        threads.history,
        "The turns of a thread, oldest first within a page.",
        query=threads.HistoryQuery,
        reply=threads.History,
    ),
    _route(
        "GET",
        "/api/chat/search",
        threads.search,
        "Full text over all threads, the newest first.",
        query=threads.SearchQuery,
        reply=threads.SearchReply,
    ),
    _route(
        "GET",
        "/api/chat/threads/{id}/export",
        threads.export,
        "A thread with all its turns, as JSON or Markdown.",
        query=threads.ExportQuery,
        reply=threads.Export,
        also=("text/markdown",),
    ),
    _route(
        "GET",
        "/api/memory/list",
        memory.list_files,
        "What is in a folder of the workspace.",
        query=memory.FolderQuery,
        reply=memory.FileList,
    ),
    _route(
        "GET",
        "/api/memory/read",
        memory.read,
        "A file's text.",
        query=memory.FileQuery,
        reply=memory.Note,
    ),
    _route(
        "GET",
        "/api/memory/search",
        memory.search,
        "Lines of the notes, the best first; as text/plain path:line:text.",
        query=memory.NoteSearch,
        reply=memory.NoteHits,
        also=("text/plain",),
    ),
    _route(
        "GET",
        "/api/memory/tree",
        memory.tree,
        "All files and folders, by path.",
        query=memory.TreeQuery,
        reply=memory.FileList,
    ),
    _route(
        "GET",
        "/api/memory/raw",
        memory_raw.get,
        "A file's bytes, of any type and size; with ETag and Range.",
        query=memory_raw.RawQuery,
        also=("*/*",),
    ),
    _route(
        "PUT",
        "/api/memory/raw",
        memory_raw.put,
        "Make the body the content of a file (curl -T); If-Match and If-None-Match: * guard it.",
        query=memory.FileQuery,
        reply=memory.Saved,
        takes=("*/*",),
        most=MAX_FILE,
    ),
    _route(
        "DELETE",
        "/api/memory/raw",
        memory_raw.delete,
        "Delete a file; its versions stay.",
        query=memory.FileQuery,
        reply=memory.Saved,
    ),
    _route(
        "POST",
        "/api/memory/write",
        memory.write,
        "Make a text the content of a file.",
        body=memory.WriteNote,
        reply=memory.Saved,
    ),
    _route(
        "POST",
        "/api/memory/append",
        memory.append,
        "Add lines to a note, today's without a path.",
        body=memory.AppendText,
        query=memory.AppendQuery,
        reply=memory.Saved,
        takes=("text/plain",),
    ),
    _route(
        "POST",
        "/api/memory/move",
        memory.move,
        "Give a file another path, where nothing is yet.",
        body=memory.MoveFile,
        reply=memory.Saved,
    ),
    _route(
        "GET",
        "/api/memory/versions",
        memory.versions,
        "What a file, or all files, were before each change; one with its text or a diff.",
        query=memory.VersionsQuery,
        reply=memory.VersionList,
    ),
    _route(
        "POST",
        "/api/memory/restore",
        memory.restore,
        "Make a file what it was in a version.",
        body=memory.RestoreVersion,
        reply=memory.Saved,
    ),
    _route("GET", "/api/model", model.read, "The connected language model.", reply=model.ModelState),
    _route(
        "GET",
        "/api/model/available",
        model.available,
        "The models of the connected server.",
        reply=model.AvailableModels,
    ),
    _route(
        "GET",
        "/api/model/discover",
        model.discover,
        "Look for model servers on this machine.",
        reply=model.FoundServers,
    ),
    _route(
        "POST",
        "/api/model/test",
        model.test,
        "Try the model at an address; nothing is kept.",
        body=model.TestModel,
        reply=model.ModelTest,
    ),
    _route(
        "PUT",
        "/api/model",
        model.use,
        "Connect a model, from the next turn on.",
        body=model.UseModel,
        reply=model.ModelState,
    ),
    _route("DELETE", "/api/model", model.forget, "Forget the connected model and its key.", reply=model.ModelState),
    _route(
        "GET",
        "/api/usage",
        usage.usage,
        "Tokens and costs of the last days: by day, model, thread and scope.",
        query=usage.UsageQuery,
        reply=usage.UsageReport,
        also=("text/csv",),
    ),
    _route("GET", "/api/budget", usage.budget, "The budget, and what is spent of it.", reply=usage.Budget),
    _route(
        "PUT",
        "/api/budget",
        usage.set_budget,
        "Set how much may be spent in a day and in a month.",
        body=usage.Caps,
        reply=usage.Budget,
    ),
    _route("GET", "/api/status", status.read_status, "How the gateway is.", reply=SystemStatus),
    _openai(
        "/v1/chat/completions",
        openai.chat_completions,
        "A chat completion in OpenAI's protocol; model `ironclaw` is the agent.",
        also=("text/event-stream",),
    ),
    _route("GET", "/v1/models", openai.models, "The models that can be named, as OpenAI lists them.", reply=dict),
    _route(
        "GET",
        "/v1/models/{id}",
        openai.model,
        "One of these models.",
        reply=dict,
        pattern="/v1/models/{id:.+}",
    ),
    _openai(
        "/v1/responses",
        openai_responses.create,
        "A response in OpenAI's newer protocol, which can be gone on from.",
        also=("text/event-stream",),
    ),
    _route("GET", "/v1/responses/{id}", openai_responses.read, "A response that was kept.", reply=dict),
    _route("DELETE", "/v1/responses/{id}", openai_responses.delete, "Forget a response.", reply=dict),
    _openai("/v1/embeddings", openai.embeddings, "Embeddings, of the connected server."),
    _openai(
        "/v1/completions",
        openai.completions,
        "A completion of the old kind, of the connected server.",
        also=("text/event-stream",),
    ),
    _route("GET", "/api/health", status.health, "Whether each part is well.", open=True, reply=status.Health),
    _route("GET", "/healthz", status.alive, "Whether the process is alive.", open=True, reply=status.Alive),
    _route("GET", "/readyz", status.ready, "Whether it can do its work (503 if not).", open=True, reply=status.Health),
    _route("GET", "/api", about.about, "Name, version and the commonest calls.", reply=about.About),
    _route("GET", "/api/openapi.json", about.openapi, "This API as OpenAPI 3.1."),
)
