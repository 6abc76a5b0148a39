"""The routes of status and health, and what describes the API itself."""

from ironclaw.api.route import Route, route

ROWS: tuple[Route, ...] = (
    route("status", "GET", "/api/status", "status.read_status", "How the gateway is.", reply="status.SystemStatus"),
    route(
        "status", "GET", "/api/health", "status.health", "Whether each part is well.", open=True, reply="status.Health"
    ),
    route(
        "status", "GET", "/healthz", "status.alive", "Whether the process is alive.", open=True, reply="status.Alive"
    ),
    route(
        "status",
        "GET",
        "/readyz",
        "status.ready",
        "Whether it can do its work (503 if not).",
        open=True,
        reply="status.Health",
    ),
    route(
        "status",
        "GET",
        "/metrics",
        "metrics.metrics",
        "Counts and times for Prometheus.",
        limited=False,
        also=("text/plain", "application/openmetrics-text"),
    ),
    route("status", "GET", "/api", "about.about", "Name, version and the commonest calls.", reply="about.About"),
    route("status", "GET", "/api/openapi.json", "about.openapi", "This API as OpenAPI 3.1."),
)
