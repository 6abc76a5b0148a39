"""What `ironclaw run` says when it has started: where to go, with what token. Straight to stderr, never through the log."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ironclaw import codec, pairing
from ironclaw.logs import give_up_stderr

if TYPE_CHECKING:
    from ironclaw.services import Services

_ANY = frozenset({"0.0.0.0", "", "::"})  # noqa: S104 - compared, not bound


def say(line: str) -> None:
    """One line on stderr; a closed or full terminal stops nothing."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        give_up_stderr()


def local_url(host: str, port: int) -> str:
    """The gateway's address as it can be used on this machine."""
    name = "localhost" if host in _ANY else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def announce(services: "Services", host: str, port: int) -> None:
    """Say the token, a link that signs in, and, on a terminal, how to go on from here."""
    settings = services.settings
    terminal = sys.stderr.isatty()
    own_token = settings.auth_token is None and settings.auth_token_file is None
    url = local_url(host, port)
    if not own_token or not (services.token_is_new or terminal):
        lines = ["Auth token: as before; `ironclaw token show` prints it"] if own_token else []
        lines.append(f"Open {url}/")
    else:
        lines = [f"Auth token: {services.token}", f"Open {pairing.sign_in_link(f'{url}/', services.token)}"]
    for line in lines:
        say(_as_json(line) if settings.log_format == "json" else f"[INFO] {line}")
    if terminal and own_token and settings.log_format == "text":
        _show_ways(services.token, url, pairing.place_on_network(port))


def _as_json(message: str) -> str:
    stamp = codec.format_time(codec.now())
    return codec.dumps({"level": "INFO", "message": message, "timestamp": stamp, "logger": "ironclaw"}).decode()


def _show_ways(token: str, url: str, place: str | None) -> None:
    if place is not None:
        link = pairing.sign_in_link(f"http://{place}/", token)
        say(f"[INFO] On your phone or another device: {link}")
        say(pairing.terminal_code(link))
    say(f'Try:  curl -H "Authorization: Bearer {token}" {url}/api/status')
    say(f"      {_own_command()} chat help")


def _own_command() -> str:
    """How to call this program from here."""
    if shutil.which("ironclaw"):
        return "ironclaw"
    script = Path(sys.argv[0])
    return str(script) if script.name == "ironclaw" else f"{sys.executable} -m ironclaw"
