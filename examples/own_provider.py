"""A language model of one's own behind the gateway: any object with `name`, `model` and `stream()`.

    python examples/own_provider.py                    # asks what it knows
    python examples/own_provider.py "what is aiohttp"

prints the answer word by word, as it comes. This model looks answers up in a dictionary; yours may speak to anything,
and is served to browsers just so: `web.run_app(ironclaw.create_app(Settings.load(), llm=Dictionary(...)))`.
"""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator

from ironclaw import Delta, Finished, Gateway, ModelRequest, Provider, Settings, StreamChunk, TextDelta, Usage

WORDS = {
    "aiohttp": "An HTTP client and server for asyncio.",
    "ironclaw": "A gateway to an AI agent, in one process of your own.",
    "sse": "Server-sent events: a stream of text events over one HTTP response.",
}


class Dictionary:
    """Knows some words and says what they mean."""

    name = "dictionary"

    def __init__(self, words: dict[str, str], *, pause: float = 0.02) -> None:
        self.model = f"dictionary-{len(words)}"
        self._words = words
        self._pause = pause

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """The answer to the last message, piece by piece; `Finished` is the last piece.

        Where there can be none, raise `ironclaw.errors.ProviderError`. A turn that is stopped closes this generator.
        """
        asked = request.messages[-1].content
        known = [self._words[word] for word in re.findall(r"\w+", asked.lower()) if word in self._words]
        answer = " ".join(known) or f"I know: {', '.join(self._words)}."
        pieces = re.findall(r"\S+\s*", answer)
        for piece in pieces:
            yield TextDelta(piece)
            await asyncio.sleep(self._pause)
        yield Finished("stop", Usage(input_tokens=len(asked.split()), output_tokens=len(pieces), cost_usd=0.0))


async def main(question: str) -> None:
    """Ask one question and print the answer while it is written."""
    model: Provider = Dictionary(WORDS)
    async with Gateway(Settings(home=None), llm=model) as gateway:
        async for event in gateway.send(question):
            if isinstance(event, StreamChunk):
                print(event.content, end="", flush=True)
    print()


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "what do you know?"))
