"""The routes of the log."""

from ironclaw.api.route import EVENT_STREAMS, Route, route

ROWS: tuple[Route, ...] = (
    route(
        "logs",
        "GET",
        "/api/logs/stream",
        "logs.stream",
        "The last lines of the log, then those that come.",
        query="logs.LogQuery",
        streams=(*EVENT_STREAMS, "text/plain"),
    ),
    route(
        "logs",
        "GET",
        "/api/logs/level",
        "logs.read_level",
        "From which level on lines are logged.",
        reply="logs.LogLevel",
    ),
    route(
        "logs",
        "POST",
        "/api/logs/level",
        "logs.set_level",
        "Set it, for as long as the program runs.",
        body="logs.LogLevel",
        reply="logs.LevelSet",
    ),
)
