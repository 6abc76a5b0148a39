"""Usage and the budget over HTTP."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

import attrs
from aiohttp import web

from ironclaw.api.keys import SERVICES
from ironclaw.api.requests import read_body, read_query, wants
from ironclaw.api.responses import json_response
from ironclaw.errors import BadRequest
from ironclaw.usage.budgets import Budgets, PeriodState
from ironclaw.usage.report import UsageReport, UsageSum, by_day_and_model
from ironclaw.usage.store import Caps
from ironclaw.values import frozen

__all__ = ["Caps", "UsageReport"]  # part of what these routes take and answer

_MOST_DAYS = 366
_NUMBERS = tuple(field.name for field in attrs.fields(UsageSum))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@frozen
class UsageQuery:
    """How many days (1 to 366), today included."""

    days: int = 30


@frozen(kw_only=True)
class Budget:
    """The caps, and how the day and the month are now. Days are those of *timezone*, the gateway's."""

    day_usd: float | None = attrs.field()
    month_usd: float | None = attrs.field()
    day: PeriodState
    month: PeriodState
    timezone: str


async def usage(request: web.Request) -> web.StreamResponse:
    """Tokens and costs of some days; as CSV by day and model, where that is asked for."""
    days = read_query(request, UsageQuery).days
    if not 1 <= days <= _MOST_DAYS:
        raise BadRequest(f"`days` must be from 1 to {_MOST_DAYS}.", field="days")
    ledger = request.app[SERVICES].ledger
    if not wants(request, "text/csv"):
        return json_response(request, await ledger.report(days))
    table = _as_csv(by_day_and_model(await ledger.rows(days)))
    return web.Response(text=table, content_type="text/csv", charset="utf-8")


async def budget(request: web.Request) -> web.StreamResponse:
    """The budget and what is spent of it."""
    return json_response(request, _budget(request.app[SERVICES].budgets))


async def set_budget(request: web.Request) -> web.StreamResponse:
    """Set both caps."""
    services = request.app[SERVICES]
    await services.budgets.set(await read_body(request, Caps, services.settings.body_timeout))
    return json_response(request, _budget(services.budgets))


def _budget(budgets: Budgets) -> Budget:
    return Budget(
        day_usd=budgets.caps.day_usd,
        month_usd=budgets.caps.month_usd,
        day=budgets.state("day"),
        month=budgets.state("month"),
        timezone=datetime.now().astimezone().tzname() or "UTC",
    )


def _as_csv(rows: Sequence[tuple[str, str, str, UsageSum]]) -> str:
    """One line for each day and model; the cost is empty where no price is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("day", "provider", "model", *_NUMBERS))
    for day, provider, model, total in rows:
        writer.writerow((day, _cell(provider), _cell(model), *(getattr(total, name) for name in _NUMBERS)))
    return out.getvalue()


def _cell(text: str) -> str:
    """A text that a spreadsheet does not take for a formula; the names of models come from other machines."""
    return f"'{text}" if text.startswith(_FORMULA) else text
