"""Packages of an MCP server, made here: a wheel in a folder for pip, and a registry for npm that serves one tarball."""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile
from pathlib import Path

from extensions.stdio_ground import PROGRAM

_SERVER_JS = """#!/usr/bin/env node
const tools = [{ name: 'say', description: 'say it', inputSchema: { type: 'object' } }];
const answers = {
  initialize: (p) => ({
    protocolVersion: p.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'n', version: '1' },
  }),
  'tools/list': () => ({ tools }),
  'tools/call': () => ({ content: [{ type: 'text', text: 'Said by node.' }] }),
};
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const answer = answers[method];
  const reply = answer ? { result: answer(params) } : { error: { code: -32601, message: 'Method not found' } };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...reply }) + '\\n');
});
"""


def write_wheel(folder: Path) -> None:
    """`tiny-mcp` 1.0 for pip's --find-links: the program `tiny-mcp` is the stand-in of `stdio_server.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "tiny_mcp.py": PROGRAM.read_text(),
        "tiny_mcp-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-mcp\nVersion: 1.0\n",
        "tiny_mcp-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_mcp-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny-mcp = tiny_mcp:main\n",
    }
    record = "".join(f"{name},,\n" for name in files) + "tiny_mcp-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "tiny_mcp-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, "tiny_mcp-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)


class NpmRegistry:
    """A registry on loopback with the one package `tiny-mcp`, whose install script would make the file *trace*."""

    def __init__(self, trace: Path) -> None:
        about = {
            "name": "tiny-mcp",
            "version": "1.0.0",
            "bin": {"tiny-mcp": "server.js"},
            "scripts": {"install": f"touch {trace}", "postinstall": f"touch {trace}"},
        }
        self._about = about
        self._tarball = _tarball({"package.json": json.dumps(about), "server.js": _SERVER_JS})
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = registry.answer(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> bytes:
        """What is there."""
        if path == "/tiny-mcp":
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(self._tarball).digest()).decode()
            version = {**self._about, "dist": {"tarball": f"{self.url}/tiny.tgz", "integrity": integrity}}
            whole = {"name": "tiny-mcp", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            return json.dumps(whole).encode()
        return self._tarball if path == "/tiny.tgz" else b""

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


def _tarball(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()
