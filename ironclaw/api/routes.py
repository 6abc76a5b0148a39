"""THE route table: every path of the API, in the contract's order. What is not here is not served, except the page."""

from ironclaw.api.route import Route
from ironclaw.api.tables import (
    backup,
    chat,
    extensions,
    jobs,
    logs,
    memory,
    model,
    openai,
    pairing,
    skills,
    status,
    usage,
)

ROUTES: tuple[Route, ...] = (
    *chat.ROWS,
    *memory.ROWS,
    *jobs.ROWS,
    *extensions.ROWS,
    *skills.ROWS,
    *model.ROWS,
    *logs.ROWS,
    *usage.ROWS,
    *backup.ROWS,
    *pairing.ROWS,
    *status.ROWS,
    *openai.ROWS,
)
