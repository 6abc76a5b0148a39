"""The routes of the connected model."""

from ironclaw.api.route import Route, route

ROWS: tuple[Route, ...] = (
    route("model", "GET", "/api/model", "model.read", "The connected language model.", reply="model.ModelState"),
    route(
        "model",
        "GET",
        "/api/model/available",
        "model.available",
        "The models of the connected server.",
        reply="model.AvailableModels",
    ),
    route(
        "model",
        "GET",
        "/api/model/discover",
        "model.discover",
        "Look for model servers on this machine.",
        reply="model.FoundServers",
    ),
    route(
        "model",
        "POST",
        "/api/model/test",
        "model.test",
        "Try the model at an address; nothing is kept.",
        body="model.TestModel",
        reply="model.ModelTest",
    ),
    route(
        "model",
        "PUT",
        "/api/model",
        "model.use",
        "Connect a model, from the next turn on.",
        body="model.UseModel",
        reply="model.ModelState",
    ),
    route(
        "model",
        "DELETE",
        "/api/model",
        "model.forget",
        "Forget the connected model and its key.",
        reply="model.ModelState",
    ),
)
