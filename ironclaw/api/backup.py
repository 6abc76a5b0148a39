"""Backups over HTTP: which there are, and one now. Putting one back is the command line's: no gateway may run then."""

import attrs
from aiohttp import web

from ironclaw import codec
from ironclaw.api.keys import SERVICES
from ironclaw.api.responses import json_response
from ironclaw.backup.contents import Backup
from ironclaw.values import frozen

__all__ = ["Backup"]  # part of what these routes answer


@frozen(kw_only=True)
class BackupList:
    """The backups in *folder*, the newest first; *keep* nightly ones are kept (0: none are made), the next at *next_at*.

    *failure* is why the last one failed; *busy* says that one is being made.
    """

    backups: list[Backup]
    folder: str
    keep: int
    next_at: str | None = attrs.field()
    busy: bool
    failure: str | None = attrs.field()


async def list_backups(request: web.Request) -> web.StreamResponse:
    """Which there are."""
    keeper = request.app[SERVICES].backups
    next_at = keeper.next_night
    found = BackupList(
        backups=await keeper.backups(),
        folder=str(keeper.plan.folder),
        keep=keeper.plan.keep,
        next_at=codec.format_time(next_at) if next_at else None,
        busy=keeper.busy,
        failure=keeper.failure,
    )
    return json_response(request, found)


async def make_backup(request: web.Request) -> web.StreamResponse:
    """One now; answered when it is done."""
    return json_response(request, await request.app[SERVICES].backups.make(), status=201)
