"""The keys under which the application and a request carry what this package needs."""

from collections.abc import Sequence

from aiohttp import web

from ironclaw.api.counts import RequestCounts
from ironclaw.api.openapi import Row
from ironclaw.api.requestlog import RequestLog
from ironclaw.auth import Principal
from ironclaw.services import Services

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
REQUEST_LOG: web.AppKey[RequestLog] = web.AppKey("request_log", RequestLog)
REQUEST_COUNTS: web.AppKey[RequestCounts] = web.AppKey("request_counts", RequestCounts)
PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ROUTE_ROWS: web.AppKey[Sequence[Row]] = web.AppKey("route_rows", Sequence)
