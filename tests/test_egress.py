"""What the guarded connections let through: real servers on loopback, some of which play the public side."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ironclaw.egress import MAX_REDIRECTS, Egress, Guard, web_url
from ironclaw.errors import Forbidden, Invalid, TimedOut, Unavailable
from ironclaw.version import __version__

MEBIBYTE = 1024 * 1024
Sites = Callable[..., Awaitable["Site"]]
Reaching = Callable[..., Egress]
Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"ok", status: str = "200 OK", **headers: str) -> bytes:
    headers = {"Content_Type": "text/plain", "Content_Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(location: str) -> bytes:
    return answer(b"", "302 Found", Location=location)


class Site:
    """A server that keeps what reached it: each connection, and the head of each request."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.connections = 0
        self.heads: list[str] = []
        self.gone = asyncio.Event()

    async def start(self, host: str, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, host, port)
        self.port: int = self.server.sockets[0].getsockname()[1]
        self.url = f"http://{host}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                found = self.answers.get(head.split()[1], answer())
                if isinstance(found, bytes):
                    writer.write(found)
                else:
                    await found(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Callable[..., Awaitable[Site]]]:
    sites = []

    async def start(host: str = "127.0.0.1", port: int = 0) -> Site:
        made = Site()
        await made.start(host, port)
        sites.append(made)
        return made

    yield start
    for made in sites:
        made.server.close()
        await made.server.wait_closed()


@pytest.fixture
async def reaching() -> AsyncIterator[Callable[..., Egress]]:
    """Makes an `Egress` that may reach what is named; all are closed at the end."""
    async with AsyncExitStack() as stack:

        def make(*allow: str) -> Egress:
            egress = Egress(allow)
            stack.push_async_callback(egress.aclose)
            return egress

        yield make


class Names:
    """The DNS: each name's next answer, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: int, *args: object, **kwargs: object) -> list[object]:
        if host not in self.answers:
            return self._system(host, port, *args, **kwargs)  # type: ignore[arg-type, return-value]
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
    ],
)
async def test_no_way_of_writing_this_machine_connects_to_it_s68(site: Sites, reaching: Reaching, host: str) -> None:
    egress = reaching()
    home = await site("0.0.0.0")
    # Some forms aiohttp takes for no address at all.
    with pytest.raises((Forbidden, Unavailable)):
        await egress.fetch(f"http://{host}:{home.port}/")
    assert home.connections == 0


async def test_the_ipv6_loopback_is_not_connected_s68(site: Sites, reaching: Reaching) -> None:
    egress = reaching()
    home = await site("::1")
    with pytest.raises(Forbidden, match=r"::1 is a loopback address; WEB_FETCH_ALLOW=\[::1\]:\d+ lets"):
        await egress.fetch(f"http://[::1]:{home.port}/")
    assert home.connections == 0


async def test_an_allowed_server_is_read_and_told_who_asks(site: Sites, reaching: Reaching) -> None:
    nas = await site()
    nas.answers["/a?b=1"] = answer(b"caf\xe9", "404 Not Found", Content_Type="text/html; charset=Latin-1")
    egress = reaching(f"127.0.0.1:{nas.port}")
    fetched = await egress.fetch(f"{nas.url}/a?b=1#part")
    assert (fetched.url, fetched.status, fetched.body) == (f"{nas.url}/a?b=1", 404, b"caf\xe9")
    assert (fetched.media_type, fetched.charset, fetched.truncated) == ("text/html", "Latin-1", False)
    assert f"User-Agent: IronClaw/{__version__}\r\n" in nas.heads[0]


async def test_what_one_guard_opened_is_not_open_to_another(site: Sites, reaching: Reaching) -> None:
    egress = reaching()
    nas = await site()
    guard = Guard((f"127.0.0.1:{nas.port}",))
    await egress.fetch(nas.url, guard=guard)
    with pytest.raises(Forbidden):
        await egress.fetch(nas.url)
    await egress.fetch(nas.url, guard=guard)
    assert nas.connections == 2


async def test_each_redirect_is_checked_again_s69(site: Sites, reaching: Reaching) -> None:
    public, private = await site(), await site()
    public.answers["/"] = moved(f"{private.url}/secret")
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(Forbidden, match=f"WEB_FETCH_ALLOW=127.0.0.1:{private.port}"):
        await egress.fetch(public.url)
    assert (public.connections, private.connections) == (1, 0)


async def test_who_allowed_one_host_has_not_allowed_where_it_leads_s74(site: Sites, reaching: Reaching) -> None:
    public, other = await site(), await site()
    public.answers |= {"/": moved(f"{other.url}/?secret=1"), "/here": moved("/there")}
    egress = reaching("127.0.0.1")
    with pytest.raises(Unavailable, match=f"sends readers on to {other.url}"):
        await egress.fetch(public.url, one_host=True)
    assert other.connections == 0
    assert (await egress.fetch(f"{public.url}/here", one_host=True)).url == f"{public.url}/there"
    assert (await egress.fetch(public.url)).url.startswith(other.url)


async def test_at_most_five_redirects_are_followed_s69(site: Sites, reaching: Reaching) -> None:
    public = await site()
    public.answers.update({f"/{n}": moved(f"/{n - 1}") for n in range(1, 21)})
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(Unavailable, match="more than 5 redirects"):
        await egress.fetch(f"{public.url}/20")
    assert public.connections == MAX_REDIRECTS + 1
    fetched = await egress.fetch(f"{public.url}/{MAX_REDIRECTS}")
    assert (fetched.url, fetched.body) == (f"{public.url}/0", b"ok")


async def test_a_redirect_that_must_not_be_followed_is_no_answer_s69(site: Sites, reaching: Reaching) -> None:
    public = await site()
    public.answers["/"] = moved("file:///etc/passwd")
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(Invalid, match="http:// or https://"):
        await egress.fetch(public.url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "/etc/passwd", "file:///etc/passwd", "ftp://a.example/", "javascript:1", "http://", "http:///x"),
        *("http://u:p@a.example/", "http://u@a.example/", "http://a.example:99999/", "http://a\\@b.example/"),
    ],
)
def test_only_plain_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        web_url(url)
    assert caught.value.field == "url"


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "no-such-name.invalid", "a b"])
async def test_a_name_that_nobody_has_can_t_be_read(reaching: Reaching, host: str) -> None:
    egress = reaching()
    with pytest.raises(Unavailable, match="can't be read"):
        await egress.fetch(f"http://{host}/")


async def test_no_cookie_and_no_credential_goes_anywhere_and_no_proxy_is_asked_s69(
    site: Sites, reaching: Reaching, names: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, proxy = await site(), await site(), await site()
    first.answers["/"] = answer(b"", "302 Found", Location=f"{second.url}/", Set_Cookie="id=1; Path=/")
    (tmp_path / "netrc").write_text("machine cookie.example login me password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", proxy.url)
    names.answers["cookie.example"] = [["127.0.0.1"]]
    egress = reaching("127.0.0.1")
    for _ in range(2):
        await egress.fetch(f"http://cookie.example:{first.port}/")
    heads = "".join(first.heads + second.heads).lower()
    assert (len(first.heads), len(second.heads), proxy.connections) == (2, 2, 0)
    assert "authorization:" not in heads
    assert "cookie:" not in heads
    assert "referer:" not in heads


async def test_a_name_that_changes_its_address_is_judged_by_the_one_connected_s70(
    site: Sites, reaching: Reaching, names: Names
) -> None:
    """127.0.0.2 plays the public address, 127.0.0.1 the one inside."""
    public = await site("127.0.0.2")
    private = await site("127.0.0.1", public.port)
    names.answers["rebind.example"] = [["127.0.0.2"], ["127.0.0.1"]]
    egress = reaching("127.0.0.2")
    assert (await egress.fetch(f"http://rebind.example:{public.port}/")).body == b"ok"
    with pytest.raises(Forbidden, match=r"rebind\.example is at 127\.0\.0\.1, a loopback address"):
        await egress.fetch(f"http://rebind.example:{public.port}/")
    assert (public.connections, private.connections) == (1, 0)


async def test_a_redirect_to_the_same_name_is_looked_up_and_judged_again_s70(
    site: Sites, reaching: Reaching, names: Names
) -> None:
    public = await site("127.0.0.2")
    private = await site("127.0.0.1", public.port)
    public.answers["/"] = moved("/again")
    names.answers["rebind.example"] = [["127.0.0.2"], ["127.0.0.1"]]
    egress = reaching("127.0.0.2")
    with pytest.raises(Forbidden):
        await egress.fetch(f"http://rebind.example:{public.port}/")
    assert (public.connections, private.connections) == (1, 0)


async def test_of_a_name_with_two_addresses_only_the_public_one_is_connected_s70(
    site: Sites, reaching: Reaching, names: Names
) -> None:
    public = await site("127.0.0.2")
    private = await site("127.0.0.1", public.port)
    names.answers["both.example"] = [["127.0.0.1", "127.0.0.2"]]
    egress = reaching("127.0.0.2")
    assert (await egress.fetch(f"http://both.example:{public.port}/")).status == 200
    assert (public.connections, private.connections) == (1, 0)


async def test_an_allowed_name_is_allowed_by_that_name_only(site: Sites, reaching: Reaching, names: Names) -> None:
    nas = await site()
    names.answers.update({"nas.local": [["127.0.0.1"]], "evil.example": [["127.0.0.1"]]})
    egress = reaching("nas.local")
    assert (await egress.fetch(f"http://NAS.local:{nas.port}/")).status == 200
    for other in ("evil.example", "127.0.0.1"):
        with pytest.raises(Forbidden):
            await egress.fetch(f"http://{other}:{nas.port}/")
    assert nas.connections == 1


async def test_a_body_without_an_end_is_cut_and_the_server_let_go_s71(site: Sites, reaching: Reaching) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    public = await site()
    public.answers["/"] = endless
    egress = reaching(f"127.0.0.1:{public.port}")
    fetched = await egress.fetch(public.url)
    assert (len(fetched.body), fetched.truncated) == (5 * MEBIBYTE, True)
    await public.gone.wait()


async def test_a_body_of_just_the_limit_is_whole_s71(site: Sites, reaching: Reaching) -> None:
    public = await site()
    public.answers.update({"/fits": answer(b"x" * 100), "/over": answer(b"x" * 101)})
    egress = reaching(f"127.0.0.1:{public.port}")
    fits, over = [await egress.fetch(public.url + path, max_bytes=100) for path in ("/fits", "/over")]
    assert (len(fits.body), fits.truncated) == (100, False)
    assert (len(over.body), over.truncated) == (100, True)


async def test_a_gzip_bomb_is_counted_unpacked_and_never_unpacked_whole_s71(
    site: Sites,
    reaching: Reaching,
) -> None:
    bomb = b"".join([gzip.compress(b"\0" * MEBIBYTE)] * 200)
    public = await site()
    public.answers["/"] = answer(bomb, Content_Encoding="gzip")
    egress = reaching(f"127.0.0.1:{public.port}")
    tracemalloc.start()
    try:
        fetched = await egress.fetch(public.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (fetched.body, fetched.truncated) == (b"\0" * 5 * MEBIBYTE, True)
    assert peak < 30 * MEBIBYTE


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
async def test_a_server_that_drips_is_given_up_s71(site: Sites, reaching: Reaching, head: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    public = await site()
    public.answers["/"] = drip
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(TimedOut, match=r"within 0\.3 s"):
        await egress.fetch(public.url, timeout=0.3)
    await public.gone.wait()


async def test_the_time_is_for_all_redirects_together_s71(site: Sites, reaching: Reaching) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(moved("/"))

    public = await site()
    public.answers["/"] = slowly
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(TimedOut):
        await egress.fetch(public.url, timeout=0.4)


@pytest.mark.parametrize(
    "broken",
    [
        *(b"nonsense\r\n\r\n", answer(b"short", Content_Length="50")),
        answer(b"not gzip", Content_Encoding="gzip"),
        b"",
    ],
)
async def test_an_answer_that_breaks_off_or_makes_no_sense_is_unavailable(
    site: Sites, reaching: Reaching, broken: bytes
) -> None:
    async def break_off(writer: asyncio.StreamWriter) -> None:
        writer.write(broken)
        writer.close()

    public = await site()
    public.answers["/"] = break_off
    egress = reaching(f"127.0.0.1:{public.port}")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 can't be read: ."):
        await egress.fetch(public.url)
