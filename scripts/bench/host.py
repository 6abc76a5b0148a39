"""A host program: the gateway as a library, with a model that answers at once. `python host.py PORT [direct]`.

The message says what the model answers. `chunks N SIZE` is N pieces of SIZE letters, after a moment and with a turn of
the loop between them, as from a network; anything else is 20 short pieces at once. With `direct` there is no gateway:
`POST /direct` runs the same model on a bare server, which is what a turn costs at the very least.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from aiohttp import web
from bare import FIRST, application

from ironclaw.gateway import Gateway
from ironclaw.llm.models import Delta, Finished, ModelMessage, ModelRequest, TextDelta, Usage
from ironclaw.settings import Settings


class Instant:
    """A language model without a language model."""

    name = "instant"
    model = "instant"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """What the last message asks for."""
        words = request.messages[-1].content.split()
        paced = words[:1] == ["chunks"]
        count, size = (int(words[1]), int(words[2])) if paced else (20, 5)
        if paced:
            await asyncio.sleep(FIRST)
        for _ in range(count):
            yield TextDelta("x" * (size - 1) + " ")
            if paced:
                await asyncio.sleep(0)
        yield Finished("stop", Usage(len(words), count, 0.0))


async def answer(request: web.Request) -> web.Response:
    """The model's answer with nothing around it."""
    message = orjson.loads(await request.read())["message"]
    async with aclosing(Instant().stream(ModelRequest((ModelMessage("user", message),)))) as deltas:
        text = "".join([delta.text async for delta in deltas if isinstance(delta, TextDelta)])
    return web.Response(body=orjson.dumps({"content": text}), content_type="application/json")


def _application(direct: bool) -> web.Application:
    if not direct:
        return Gateway(Settings.load(), llm=Instant()).app()
    app = application()
    app.router.add_post("/direct", answer)
    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    web.run_app(
        _application(sys.argv[2:] == ["direct"]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=1024,
        handler_cancellation=True,
    )
