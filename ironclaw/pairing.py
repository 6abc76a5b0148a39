"""How another device opens this gateway: its address on the network, the link that signs in, and that link as a QR code."""

import contextlib
import io
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ironclaw.errors import Invalid

if TYPE_CHECKING:
    from segno import QRCode

# Addresses that stand in documents only: nothing is sent to them, just a route is looked up.
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_QUIET = 4  # modules around a code, as its standard has it
_SMALLEST = 240  # pixels that a picture of a code is wide at least


def place_on_network(port: int) -> str | None:
    """Host and port at which other devices reach what listens on *port* of this machine; None where they reach nothing."""
    for family, far in _FAR:
        with contextlib.suppress(OSError):  # no such network, or nobody listens there
            host = _own_address(family, far)
            address = ipaddress.ip_address(host)
            if not (address.is_loopback or address.is_link_local):
                socket.create_connection((host, port), timeout=1).close()
                return f"[{host}]:{port}" if address.version == 6 else f"{host}:{port}"
    return None


def _own_address(family: socket.AddressFamily, far: str) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((far, 9))
        return str(probe.getsockname()[0])


def is_of_this_machine(url: str) -> bool:
    """Whether a web address leads every device to itself, as `http://localhost:3000` does."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def sign_in_link(address: str, token: str) -> str:
    """The link that opens the page at *address* and signs in."""
    return f"{address}#token={quote(token, safe='')}"


def terminal_code(text: str) -> str:
    """A QR code of half blocks, small enough for any terminal."""
    out = io.StringIO()
    _code(text).terminal(out=out, compact=True)
    return out.getvalue().rstrip("\n")


def picture_code(text: str) -> str:
    """A QR code as the `data:` address of an SVG picture, black on white. Raises *Invalid* for what is too long for one."""
    code = _code(text)
    scale = -(-_SMALLEST // code.symbol_size(border=_QUIET)[0])
    picture: str = code.svg_data_uri(
        scale=scale, border=_QUIET, light="#fff", xmldecl=False, svgclass=None, lineclass=None
    )
    return picture


def _code(text: str) -> "QRCode":
    import segno  # noqa: PLC0415 - loaded with the first code

    try:
        return segno.make(text, error="l", micro=False)
    except segno.DataOverflowError:
        raise Invalid("The link is too long for a QR code.") from None
