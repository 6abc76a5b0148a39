"""Makes a stand-in answer as a hosted provider: `python tests/llm/hosted_front.py CERTIFICATE KEY STAND_IN_PORT`.

It is the proxy on the way there, whose address it prints, and the TLS of the provider itself: whatever name it is asked to
connect to, the stand-in answers under that certificate. So a gateway is set up as its owner would do it, with a provider's
name, a key and HTTPS_PROXY.
"""

import asyncio
import contextlib
import ssl
import sys
from functools import partial


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _join(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes, both ways, until one side closes."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _tunnel(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy's CONNECT: everywhere is the TLS server."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"CONNECT "), head
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await _join(port, reader, writer)


async def main(certificate: str, key: str, port: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    provider = await asyncio.start_server(partial(_join, port), "127.0.0.1", 0, ssl=context)
    provider_port = provider.sockets[0].getsockname()[1]
    proxy = await asyncio.start_server(partial(_tunnel, provider_port), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
