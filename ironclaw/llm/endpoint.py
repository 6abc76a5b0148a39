"""Where a model's server is, how it is spoken to, and how long one waits for it. Values only."""

from typing import Literal

import attrs

from ironclaw.values import frozen

Kind = Literal["openai", "ollama"]


@frozen(kw_only=True)
class Endpoint:
    """A model server.

    *kind* is its protocol. *base_url* ends without a slash: for `openai` it is what stands before `/chat/completions`, for
    `ollama` what stands before `/api/chat`. *name* is what people call it (`openai`, `openrouter`, `ollama`, ...); *local*
    says that it runs on this machine or at home: its tokens cost nothing, and it may need minutes to load a model.
    """

    kind: Kind
    name: str
    base_url: str
    api_key: str | None = attrs.field(default=None, repr=False)
    local: bool = False


@frozen(kw_only=True)
class Timeouts:
    """In seconds: to connect, to the first token, and between two tokens. There is no limit on a whole reply."""

    connect: float = 10.0
    first_token: float = 120.0
    between: float = 120.0


@frozen
class ModelInfo:
    """A model that a server offers; *context_tokens* where it says so."""

    id: str
    context_tokens: int | None = None
