"""The routes of the OpenAI-compatible API."""

from ironclaw.api.requests import PICTURES_LIMIT
from ironclaw.api.route import Route, route


def _post(path: str, handler: str, summary: str, **more: object) -> Route:
    return route(
        "openai", "POST", path, handler, summary, limited=False, body="dict", reply="dict", most=PICTURES_LIMIT, **more
    )


ROWS: tuple[Route, ...] = (
    _post(
        "/v1/chat/completions",
        "openai.chat_completions",
        "A chat completion in OpenAI's protocol; model `ironclaw` is the agent.",
        also=("text/event-stream",),
    ),
    route(
        "openai",
        "GET",
        "/v1/models",
        "openai.models",
        "The models that can be named, as OpenAI lists them.",
        reply="dict",
    ),
    route(
        "openai",
        "GET",
        "/v1/models/{id}",
        "openai.model",
        "One of these models.",
        reply="dict",
        pattern="/v1/models/{id:.+}",
    ),
    _post(
        "/v1/responses",
        "openai_responses.create",
        "A response in OpenAI's newer protocol, which can be gone on from.",
        also=("text/event-stream",),
    ),
    route("openai", "GET", "/v1/responses/{id}", "openai_responses.read", "A response that was kept.", reply="dict"),
    route("openai", "DELETE", "/v1/responses/{id}", "openai_responses.delete", "Forget a response.", reply="dict"),
    _post("/v1/embeddings", "openai.embeddings", "Embeddings, of the connected server."),
    _post(
        "/v1/completions",
        "openai.completions",
        "A completion of the old kind, of the connected server.",
        also=("text/event-stream",),
    ),
)
