"""The list of models that clients choose from: the agent first, then what the connected server has."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ironclaw.errors import NotFound, ProviderError
from ironclaw.llm.connection import ModelConnection
from ironclaw.llm.link import Link
from ironclaw.openai.names import AGENT

_FRESH = 5.0  # seconds: front ends ask for the list at every turn


class ModelList:
    """The list, kept for some seconds. *started* is the Unix time that the agent counts as made at."""

    def __init__(self, connection: ModelConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._started = int(time.time())
        self._kept: tuple[Link, float, list[dict[str, Any]]] | None = None
        self._asking = asyncio.Lock()

    async def listed(self) -> list[dict[str, Any]]:
        """All models as OpenAI writes them. A server that is away has none now; the agent is always there."""
        return [self._form(AGENT, AGENT), *await self._of_server()]

    async def named(self, model: str) -> dict[str, Any]:
        """One of them. Raises *NotFound*."""
        found = next((one for one in await self.listed() if one["id"] == model), None)
        if found is None:
            raise NotFound(
                f"There is no model {model}; GET /v1/models lists them.", code="model_not_found", field="model"
            )
        return found

    async def _of_server(self) -> list[dict[str, Any]]:
        link = self._connection.link
        if link is None:
            return []
        async with self._asking:
            kept = self._kept
            if kept is not None and kept[0] is link and self._clock() < kept[1]:
                return kept[2]
            models = await self._ask(link)
            self._kept = (link, self._clock() + _FRESH, models)
            return models

    async def _ask(self, link: Link) -> list[dict[str, Any]]:
        try:
            return [self._form(one.id, link.name) for one in await link.models() if one.id != AGENT]
        except ProviderError:
            return [self._form(link.model, link.name)] if link.model else []

    def _form(self, model: str, owner: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": self._started, "owned_by": owner}
