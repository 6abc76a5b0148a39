"""A web server over TLS as a process of its own: `python tests/skills/index_server.py FOLDER CERTIFICATE KEY`.

It prints its port, serves the files of FOLDER, and answers `/to/URL` with a redirect to URL.
"""

import functools
import ssl
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if not self.path.startswith("/to/"):
            super().do_GET()
            return
        self.send_response(302)
        self.send_header("Location", unquote(self.path.removeprefix("/to/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    folder, certificate, key = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()
