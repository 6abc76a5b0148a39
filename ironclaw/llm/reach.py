"""Looks whether a host is there and which of its ports answer, and refuses hosts that no model is on.

Link-local and metadata addresses are where clouds keep their credentials. They are refused by name and by number here,
and once more when a connection is made (`egress.socket_unless_metadata`), whatever the name meant a moment before.
"""

import asyncio
import ipaddress
import socket

from ironclaw.egress import is_metadata
from ironclaw.errors import Invalid, ProviderError
from ironclaw.values import frozen

_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})


@frozen
class Reached:
    """A host that was looked at: its *open* ports and those that it *closed* at once; the others stayed silent."""

    open: frozenset[int]
    closed: frozenset[int]


def _refusal(host: str) -> Invalid:
    return Invalid(
        f"{host} is a link-local or metadata address, where no model is. Give the address of the model's server.",
        code="address_refused",
        field="address",
    )


def refuse_name(host: str) -> None:
    """Raises *Invalid* for a name or number that is forbidden whatever it resolves to."""
    name = host.lower().rstrip(".")
    if name in _METADATA_NAMES or (_is_number(name) and is_metadata(name)):
        raise _refusal(host)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str) -> tuple[str, ...]:
    """The IP addresses of a host. Raises *Invalid* for a forbidden one, *ProviderError* (unreachable) for no host."""
    refuse_name(host)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ProviderError(
            f"There is no host {host}.",
            code="unreachable",
            fix="Check the spelling, or use its IP address.",
        ) from None
    addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if any(is_metadata(address) for address in addresses):
        raise _refusal(host)
    return addresses


async def look(host: str, ports: tuple[int, ...], timeout: float) -> Reached:
    """Which of a host's ports answer within *timeout* seconds; all are tried at once. Raises as `resolve` does."""
    addresses = await resolve(host)
    tried = await asyncio.gather(*(_try_port(addresses, port, timeout) for port in ports))
    answers = dict(zip(ports, tried, strict=True))
    return Reached(
        frozenset(port for port, answer in answers.items() if answer == "open"),
        frozenset(port for port, answer in answers.items() if answer == "closed"),
    )


async def _try_port(addresses: tuple[str, ...], port: int, timeout: float) -> str:
    answers = await asyncio.gather(*(_try_address(address, port, timeout) for address in addresses))
    return min(answers, key=("open", "closed", "silent").index)


async def _try_address(address: str, port: int, timeout: float) -> str:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return "closed"
    except OSError:  # a timeout is one too
        return "silent"
    writer.close()
    return "open"
