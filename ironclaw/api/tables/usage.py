"""The routes of usage and budgets."""

from ironclaw.api.route import Route, route

ROWS: tuple[Route, ...] = (
    route(
        "usage",
        "GET",
        "/api/usage",
        "usage.usage",
        "Tokens and costs of the last days: by day, model, thread and scope.",
        query="usage.UsageQuery",
        reply="usage.UsageReport",
        also=("text/csv",),
    ),
    route("usage", "GET", "/api/budget", "usage.budget", "The budget, and what is spent of it.", reply="usage.Budget"),
    route(
        "usage",
        "PUT",
        "/api/budget",
        "usage.set_budget",
        "Set how much may be spent in a day and in a month.",
        body="usage.Caps",
        reply="usage.Budget",
    ),
)
