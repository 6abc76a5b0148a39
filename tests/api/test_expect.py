"""`Expect: 100-continue`: nobody is asked for a body that would be refused."""

import socket
from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess
from test_auth import exchange
from test_bodies import JSON, MIB, SEND, padded


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("expect") / "home", {"GATEWAY_LOGIN_RATE": "0"})
    yield process.start()
    process.kill()


def expect(gateway: GatewayProcess, path: str, length: int, token: str | None) -> tuple[bytes, bytes]:
    """The first line that a request with `Expect: 100-continue` gets before its body, and the socket's next one."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", JSON, f"Content-Length: {length}", "Expect: 100-continue"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        first = connection.recv(65_536)
        if not first.startswith(b"HTTP/1.1 100 "):
            return first.split(b"\r\n")[0], b""
        connection.sendall(padded(length))
        rest = first.partition(b"\r\n\r\n")[2] or connection.recv(65_536)
        return first.split(b"\r\n")[0], rest.split(b"\r\n")[0]


@pytest.mark.process
@pytest.mark.parametrize(
    ("length", "token", "status"),
    [
        (50, None, b"401"),
        (50, "wrong", b"401"),
        (99_000_000, None, b"401"),
        (99_000_000, "", b"413"),
        (16 * MIB + 1, "", b"413"),
    ],
)
def test_s55_nobody_is_told_to_continue_whose_body_is_not_wanted(
    gateway: GatewayProcess, length: int, token: str | None, status: bytes
) -> None:
    for path in (SEND, "/api/chat/threads", "/api/chat/stop"):
        first, _ = expect(gateway, path, length, gateway.token if token == "" else token)
        assert first.split()[1] == status


@pytest.mark.process
def test_s55_who_has_the_token_may_continue(gateway: GatewayProcess) -> None:
    assert expect(gateway, SEND, 50, gateway.token) == (b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK")
    assert expect(gateway, SEND, MIB, gateway.token) == (b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK")
    assert exchange(gateway, "POST", SEND, JSON, "Expect: more", body=padded(50)).status == 417
