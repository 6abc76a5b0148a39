"""A host program before the gateway, for the page below a prefix: `from page_front import run_front  # noqa: F401`."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from gateway_process import GatewayProcess


class Front:
    """It serves it below /claw/ and says itself who is there."""

    def __init__(self, gateway: GatewayProcess) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                assert self.path.startswith("/claw/")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = {"accept", "content-type", "idempotency-key"}
                headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
                upstream = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
                headers["Authorization"] = f"Bearer {gateway.token}"
                upstream.request(self.command, self.path.removeprefix("/claw"), body or None, headers)
                reply = upstream.getresponse()
                with closing(upstream), closing(reply), suppress(OSError):
                    self.send_response(reply.status)
                    for name in ("Content-Type", "Content-Security-Policy", "Content-Disposition"):
                        if reply.headers[name]:
                            self.send_header(name, reply.headers[name])
                    self.end_headers()
                    while part := reply.read1(65536):
                        self.wfile.write(part)

            def log_message(self, *_: Any) -> None:
                pass

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names are http.server's

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/claw/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(name="front")
def run_front(gateway: GatewayProcess) -> Iterator[Front]:
    """What stands before the gateway of the test."""
    front = Front(gateway)
    yield front
    front.close()
