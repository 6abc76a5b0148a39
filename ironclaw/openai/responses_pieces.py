"""A chat completion on its way to a client of `/v1/responses`: the bytes of its events, read back as pieces of a reply."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ironclaw.errors import ProviderError
from ironclaw.llm.chunks import mapping, parse, text
from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.failures import Failures
from ironclaw.llm.lines import LineSplitter, LineTooLong
from ironclaw.llm.models import Delta
from ironclaw.llm.openai import OpenAIReply
from ironclaw.openai.events import LONGEST_LINE
from ironclaw.openai.relay import Answer

_FAILURES = Failures(Endpoint(kind="openai", name="The model", base_url=""))


async def read_pieces(answer: Answer, size: int) -> AsyncGenerator[Delta, None]:
    """The reply, piece by piece; the last piece is `Finished`. *size* is that of the request in bytes.

    Raises *ProviderError* with the provider's own words.
    """
    reply = OpenAIReply(_FAILURES, size)
    async with aclosing(_lines(answer)) as lines:
        async for line in lines:
            _raise_error(line)
            for delta in reply.take(line):
                reply.note(delta)
                yield delta
    for delta in reply.end():
        reply.note(delta)
        yield delta
    yield reply.finished()


async def _lines(answer: Answer) -> AsyncGenerator[bytes, None]:
    if isinstance(answer.body, bytes):
        yield answer.body
        return
    splitter = LineSplitter(LONGEST_LINE)
    async with aclosing(answer.body) as pieces:
        async for piece in pieces:
            try:
                lines = splitter.feed(piece)
            except LineTooLong:
                raise _FAILURES.unreadable("a line that is too long") from None
            for line in lines:
                yield line
    yield splitter.rest()


def _raise_error(line: bytes) -> None:
    """Raise the error that an event is, as it was worded for the client."""
    if b'"error"' not in line or not line.startswith(b"data:"):
        return
    data = line.removeprefix(b"data:").strip()
    try:
        error = mapping(mapping(parse(data)).get("error"))
    except ValueError:
        return
    if error:
        raise ProviderError(text(error.get("message")), code=text(error.get("code")) or None, answer=data)
