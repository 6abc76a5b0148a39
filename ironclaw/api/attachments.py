"""The files that came with messages, over HTTP. A picture may be shown; anything else is only given to be saved."""

from urllib.parse import quote

from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.chat.attachments import PICTURES
from ironclaw.errors import BadRequest


async def get(request: web.Request) -> web.StreamResponse:
    """The bytes of one file of a message."""
    number = request.match_info["number"]
    if not (number.isascii() and number.isdigit() and len(number) <= 3):
        raise BadRequest("An attachment is named by its number in the message, from 0.", field="number")
    found = await request.app[SERVICES].chat.attachment(request.match_info["message_id"], int(number))
    shown = found.media_type in PICTURES
    headers = {
        "Content-Type": found.media_type if shown else "application/octet-stream",
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return web.Response(body=found.data, headers=headers)
