"""Whether a server takes a secret: tried before the secret is kept, and told in `authenticated`."""

from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ironclaw.egress import socket_unless_metadata
from ironclaw.errors import Unavailable
from ironclaw.extensions.plans import filled_secret, filled_url
from ironclaw.extensions.schema import FoundTool
from ironclaw.extensions.session import Plan, SecretRefused, open_session
from ironclaw.extensions.store import Record
from ironclaw.extensions.values import setting_values
from ironclaw.redact import redact

_TIMEOUT = 20.0
_REFUSED = frozenset({401, 403})


async def check(record: Record, plan: Plan, secrets: Mapping[str, str]) -> tuple[FoundTool, ...] | None:
    """Ask as the manifest says; the tools, where that was how.

    Raises *SecretRefused*, and *Unavailable* when there is no answer to tell by.
    """
    url = record.manifest.check.url
    if url is None:
        async with open_session(plan) as session:
            return await session.tools()
    await _ask(record, URL(filled_url(url, setting_values(record))), secrets)
    return None


async def _ask(record: Record, url: URL, secrets: Mapping[str, str]) -> None:
    how = record.manifest.check
    secret = next((secrets[one.name] for one in record.manifest.secrets if one.name in secrets), "")
    headers = {**how.headers, how.header: filled_secret(how.format, secret)}
    connector = TCPConnector(socket_factory=socket_unless_metadata, resolver=ThreadedResolver(), force_close=True)
    timeout = ClientTimeout(total=_TIMEOUT)
    try:
        async with (
            ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), timeout=timeout, trust_env=False
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            status = response.status
    except (ClientError, OSError, ValueError) as error:  # a timeout is an OSError too
        why = redact(str(error)) or type(error).__name__
        raise Unavailable(f"{url.host} could not be asked whether the token is good: {why}.") from None
    if status in _REFUSED:
        raise SecretRefused(f"{url.host} does not take the token (HTTP {status}). Enter one that is valid.")
    if not 200 <= status < 300:
        raise Unavailable(f"{url.host} answered {status} when it was asked whether the token is good.")
