"""The protocol that every language model speaks to us: hosted, local, or the built-in assistant."""

from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

from ironclaw.llm.models import Delta, ModelRequest


@runtime_checkable
class Provider(Protocol):
    """A language model.

    *name* is the kind of provider (`builtin`, `openai`, ...), *model* the name of the model behind it.
    """

    name: str
    model: str

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The reply, piece by piece; the last piece is `Finished`.

        Raises `ProviderError` when there is no reply or it breaks off. Cancelling the reader ends the call for real.
        """
        ...
