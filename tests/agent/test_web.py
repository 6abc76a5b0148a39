"""WebFetch and WebSearch, to the letter of what a model reads, against servers of this machine."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.agent.approvals import Policy
from ironclaw.agent.web import MAX_CHARACTERS, PageReader, web_tools
from ironclaw.egress import MAX_BYTES, Egress
from ironclaw.errors import Forbidden, Invalid, Unavailable, UnsupportedType
from ironclaw.tools import ToolContext, ToolResult

CONTEXT = ToolContext("t", "m", "c")


class Site:
    """A server that gives what was put last, and WebFetch with leave to read it."""

    def __init__(self) -> None:
        self._body, self._status, self._media_type = b"", 200, "text/html"
        self.server = RawTestServer(self._answer)

    async def start(self) -> None:
        await self.server.start_server()
        self.url = str(self.server.make_url("/page"))
        self.egress = Egress((f"127.0.0.1:{self.server.port}",))

    async def close(self) -> None:
        await self.egress.aclose()
        await self.server.close()

    async def _answer(self, _: web.BaseRequest) -> web.Response:
        return web.Response(body=self._body, status=self._status, headers={"Content-Type": self._media_type})

    async def fetch(
        self, body: str | bytes, media_type: str = "text/html", *, status: int = 200, offset: int = 0
    ) -> ToolResult:
        self._body = body if isinstance(body, bytes) else body.encode()
        self._status, self._media_type = status, media_type
        (fetch,) = web_tools(self.egress, searxng_url=None)
        return await fetch.run(CONTEXT, {"url": self.url, "offset": offset})

    async def text(self, body: str | bytes, media_type: str = "text/html") -> str:
        """What stands below the first line."""
        return (await self.fetch(body, media_type)).content.partition("\n")[2].lstrip("\n")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await made.start()
    yield made
    await made.close()


async def test_a_result_says_where_it_is_from_then_its_title_then_the_text(site: Site) -> None:
    result = await site.fetch("<title>Tea\n&amp; cake</title><h1>Tea</h1><p>Hot.", status=200)
    assert result == ToolResult(
        f"{site.url} (status 200, text/html)\n# Tea & cake\n\n# Tea\n\nHot.", "Tea & cake (200)", success=True
    )


async def test_an_error_page_is_read_but_is_no_success(site: Site) -> None:
    result = await site.fetch("<p>Gone fishing", status=404)
    assert result == ToolResult(f"{site.url} (status 404, text/html)\n\nGone fishing", "127.0.0.1 (404)", success=False)


async def test_a_long_text_is_cut_and_says_how_to_go_on(site: Site) -> None:
    whole = "".join(chr(ord("a") + n % 26) for n in range(MAX_CHARACTERS + 7))
    first = await site.fetch(whole, "text/plain")
    assert first.content.endswith(
        f"{whole[MAX_CHARACTERS - 5 : MAX_CHARACTERS]}\n"
        f"[Cut here: characters 0 to {MAX_CHARACTERS} of {MAX_CHARACTERS + 7}. Go on with offset {MAX_CHARACTERS}.]"
    )
    rest = await site.fetch(whole, "text/plain", offset=MAX_CHARACTERS)
    assert rest.content == f"{site.url} (status 200, text/plain)\n\n{whole[-7:]}"
    with pytest.raises(Invalid, match=f"has {len(whole)} characters; there is none at {len(whole)}"):
        await site.fetch(whole, "text/plain", offset=len(whole))


async def test_a_text_of_more_bytes_than_are_read_says_so_at_its_end(site: Site) -> None:
    result = await site.fetch(b"x" * (MAX_BYTES + 1), "text/plain", offset=MAX_BYTES - 3)
    assert result.content.endswith(f"\n\nxxx\n[The rest is not read: it is longer than {MAX_BYTES} bytes.]")


async def test_an_empty_page_says_that_it_is_empty(site: Site) -> None:
    assert await site.text("<script>render()</script>") == "[There is no text in it.]"


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/plain", "a <b> & c"),
        ("text/markdown", "# x"),
        ("application/json", '{"a": "<p>"}'),
        ("application/ld+json; charset=utf-8", "{}"),
        ("application/xml", "<a>1</a>"),
        ("application/rss+xml", "<rss/>"),
        ("TEXT/CSV", "a,b"),
    ],
)
async def test_text_json_and_xml_are_read_as_they_are(site: Site, media_type: str, body: str) -> None:
    assert await site.text(body, media_type) == body


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "application/octet-stream", "application/zip"])
async def test_other_media_are_refused_with_their_name_and_size(site: Site, media_type: str) -> None:
    with pytest.raises(UnsupportedType, match=rf"/page is {media_type} \(7 bytes\); only web pages, text, JSON"):
        await site.fetch(b"\x89binary"[:7], media_type)


async def test_a_large_file_of_another_kind_is_refused_as_larger_than_what_is_read(site: Site) -> None:
    with pytest.raises(UnsupportedType, match=rf"\(over {MAX_BYTES} bytes\)"):
        await site.fetch(b"x" * (MAX_BYTES + 1), "video/mp4")


@pytest.mark.parametrize(
    ("body", "media_type", "text"),
    [
        ("Grüße €".encode(), "text/html; charset=utf-8", "Grüße €"),
        ("Grüße €".encode(), "text/html", "Grüße €"),
        ("Grüße €".encode("cp1252"), "text/html", "Grüße €"),
        ("“Grüße”".encode("cp1252"), "text/html; charset=iso-8859-1", "“Grüße”"),
        ("Grüße €".encode("iso-8859-15"), "text/html; charset=ISO-8859-15", "Grüße €"),
        ("Привет".encode("koi8-r"), "text/plain; charset=koi8-r", "Привет"),
        (b'<meta charset="windows-1251"><p>' + "Привет".encode("cp1251"), "text/html", "Привет"),
        (
            b"<meta http-equiv=content-type content='text/html; charset=shift_jis'>" + "日本".encode("shift_jis"),
            "text/html",
            "日本",
        ),
        ("<?xml version='1.0' encoding='iso-8859-2'?><p>Łódź".encode("iso-8859-2"), "application/xhtml+xml", "Łódź"),
        ("\ufeffGrüße".encode("utf-16-le"), "text/plain; charset=utf-8", "Grüße"),
        ("\ufeffGrüße".encode("utf-16-be"), "text/plain", "Grüße"),
        (b"\xef\xbb\xbf" + "Grüße".encode(), "text/plain; charset=latin-1", "Grüße"),
        (b"a\xffb", "text/plain; charset=utf-8", "a\ufffdb"),
        ("Grüße".encode(), "text/plain; charset=utf-99", "Grüße"),
        ("Grüße-".encode(), "text/plain; charset=punycode", "Grüße-"),
        (b"\\x41", "text/plain; charset=unicode_escape", "\\x41"),
        (b"abc", "text/plain; charset=rot13", "abc"),
    ],
)
async def test_a_text_is_read_in_its_charset(site: Site, body: bytes, media_type: str, text: str) -> None:
    assert await site.text(body, media_type) == text


async def test_a_cut_inside_a_character_does_not_change_how_the_text_is_read(site: Site) -> None:
    result = await site.fetch("ü".encode() * (MAX_BYTES // 2), "text/plain", offset=MAX_BYTES // 2 - 2)
    assert "üü" in result.content
    result = await site.fetch(b"x" + "ü".encode() * MAX_BYTES, "text/plain", offset=MAX_BYTES // 2 - 2)
    assert "\n\nüü" in result.content


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a<script>if (a < b) { x = '<p>' }</script>b<style>p { }</style>c", "abc"),
        ("a<SCRIPT src=x>\n//</scripty></script\n>b<svg><text>no</text></svg><template>no</template>c", "abc"),
        ("a<svg/>b<textarea><p>no</textarea>c<iframe>no</iframe>", "abc"),
        ("a<script>never closed <p>no", "a"),
        ("a<!-- <p>no -->b<!-->c<!--->d<!-- <p>no", "abcd"),
        ("<!doctype html><?php no ?><![CDATA[no]]>a", "a"),
        ("  one\n  two <b>th</b>ree<br>four  <br/>  five", "one two three\nfour\nfive"),
        ("<p>one<p>two</p></p></div></span>three", "one\n\ntwo\n\nthree"),
        ("<h1>One</h1><h3 class=x>Two</h3>three<h2></h2>", "# One\n\n### Two\n\nthree"),
        ("<ul><li>a<li><p>b</p></li><li></li></ul>c<ol><li>d", "- a\n\n- b\n\nc\n\n- d"),
        ("<table><tr><th>a<th>b<tr><td>1</td><td>2</td></tr></table>c", "a | b\n1 | 2\n\nc"),
        ("a<pre>  x\n    y &lt;z&gt;</pre>b", "a\n\n```\n  x\n    y <z>\n```\n\nb"),
        (
            "&lt;script&gt; &amp;amp; &eacute;&#233;&#xe9; &nosuch; 5 < 6 > 4 & 3",
            "<script> &amp; ééé &nosuch; 5 < 6 > 4 & 3",
        ),
        ("<p title='a > b' data-x=\"<p>no\">yes</p>", "yes"),
        ("<p title=don't>yes</p> it's", "yes\n\nit's"),
        ('a<p title="never closed >no', "a"),
        ("a\x00b\x1b[31mc\u200d\U000e0041&#xE0042;&#8;d", "ab[31mc\u200dd"),
        ("<", "<"),
        ("</>x</ >", "</>x</ >"),
        ('<img src=x alt="A cat">and<img src=y>', "A cat and"),
    ],
)
async def test_html_becomes_text(site: Site, page: str, text: str) -> None:
    assert await site.text(page) == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("see <a href=/x>this <b>page</b></a>.", "see [this page](http://{site}/x)."),
        ("<a title='see href=bad' data-href=bad HREF = 'y?a=1&amp;b=2'>y</a>", "[y](http://{site}/y?a=1&b=2)"),
        ('<a href="https://other.example/a b">o</a>', "[o](https://other.example/a%20b)"),
        ("<a href='mailto:a@b.example'>mail</a>", "[mail](mailto:a@b.example)"),
        (
            "<a href='javascript:alert(1)'>js</a> <a href='data:text/html,x'>data</a> <a href='#top'>top</a>",
            "js data top",
        ),
        ("<a href='//[broken'>x</a> <a href=''>y</a> <a>z</a>", "x y z"),
        ("<a href=/1>one<a href=/2>two", "[one](http://{site}/1)[two](http://{site}/2)"),
        ("<a href=/1></a>none<a href=/2><img alt='pic'></a>", "none [pic](http://{site}/2)"),
        (
            "<h2><a href=/1>Head</a></h2><li><a href=/2>item</a>",
            "## [Head](http://{site}/1)\n\n- [item](http://{site}/2)",
        ),
    ],
)
async def test_links_are_kept_whole_where_they_lead_to_the_web(site: Site, page: str, text: str) -> None:
    assert await site.text(page) == text.format(site=f"127.0.0.1:{site.server.port}")


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<!--",
            '<a href="',
            "<a href='x",
            "<![CDATA[",
            "<svg></",
            "</a ",
            "<a ",
            "<a =",
            "=",
            "<script>",
            "<title>x",
        ),
        *("<a href=x>", "<a href=  ", "&lt;", "&", "<", "<pre>", "<td>x", "<div>", "<a x='y' "),
    ],
)
def test_a_broken_page_takes_no_more_than_its_length_s71(piece: str) -> None:
    """Where time grows with the square, one megabyte takes many minutes, and the limit of a test ends it."""
    PageReader("https://a.example/").read(piece * (1_000_000 // len(piece)))
    PageReader("https://a.example/").read("<a " + piece * (1_000_000 // len(piece)))


@given(st.text(st.sampled_from("<>/!-\"'= aphreft&;#\n\x00pi"), max_size=200))
def test_no_page_is_too_broken_to_read(page: str) -> None:
    reader = PageReader("https://a.example/")
    reader.read(page)
    assert reader.text == reader.text.lstrip()


async def test_a_place_that_is_not_allowed_is_refused_with_what_would_allow_it_s68(site: Site) -> None:
    egress = Egress()
    (fetch,) = web_tools(egress, searxng_url=None)
    with pytest.raises(Forbidden, match=f"WEB_FETCH_ALLOW=127.0.0.1:{site.server.port} lets the assistant read it"):
        await fetch.run(CONTEXT, {"url": site.url})
    await egress.aclose()


@pytest.mark.parametrize(
    ("url", "subject"),
    [
        ("https://Example.com/a?b#c", "https://example.com"),
        ("http://example.com:80/", "http://example.com"),
        ("http://example.com:8080/x", "http://example.com:8080"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1"),
        ("https://exаmple.com/", "https://xn--exmple-4nf.com"),
        ("https://example.com@evil.example/", "https://example.com@evil.example/"),
        ("file:///etc/hosts", "file:///etc/hosts"),
    ],
)
def test_a_person_is_asked_for_each_server_and_always_covers_that_server(url: str, subject: str) -> None:
    (fetch,) = web_tools(Egress(), searxng_url=None)
    policy = Policy()
    decision = policy.decide(fetch, {"url": url})
    assert (decision.ask, decision.subject, decision.always) == (True, subject, True)
    policy.remember("WebFetch", "https://example.com")
    assert policy.decide(fetch, {"url": url}).ask is (subject != "https://example.com")


SEARXNG = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[1], "a") as log:
            log.write(self.path + "\\n")
        status, kind, body = json.load(open(sys.argv[2]))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class SearXNG:
    """A process that speaks the search API of SearXNG, as far as it is asked here."""

    def __init__(self, folder: Path) -> None:
        self._log, self._reply = folder / "log", folder / "reply"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SEARXNG, str(self._log), str(self._reply)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/searx"

    @property
    def asked(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def replies(self, body: object, status: int = 200, media_type: str = "application/json") -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self._reply.write_text(json.dumps([status, media_type, text]))


@pytest.fixture
def searxng(tmp_path: Path) -> Iterator[SearXNG]:
    made = SearXNG(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


async def search(server: SearXNG, query: str) -> ToolResult:
    egress = Egress()
    _, tool = web_tools(egress, searxng_url=server.url)
    try:
        return await tool.run(CONTEXT, {"query": query})
    finally:
        await egress.aclose()


def test_there_is_a_search_only_with_a_server_and_no_one_is_asked_for_it() -> None:
    assert [tool.name for tool in web_tools(Egress(), searxng_url=None)] == ["WebFetch"]
    _, tool = web_tools(Egress(), searxng_url="http://search.local")
    assert tool.name == "WebSearch"
    assert not Policy().decide(tool, {"query": "x"}).ask


async def test_a_search_gives_titles_addresses_and_snippets(searxng: SearXNG) -> None:
    results: list[object] = [
        {"title": "Tea\n2. Forged", "url": "https://tea.example/", "content": "Hot \x1b and\n good " + "x" * 400},
        {"title": None, "url": "https://b.example/"},
        "nonsense",
    ]
    searxng.replies({"results": results, "number_of_results": 3, "more": {}})
    result = await search(searxng, "tea & cake/ü")
    assert result.content == (
        f"1. Tea 2. Forged\n   https://tea.example/\n   Hot and good {'x' * 287}…\n2. (no title)\n   https://b.example/"
    )
    assert result.preview == "2 results"
    assert searxng.asked == ["/searx/search?q=tea+%26+cake/%C3%BC&format=json"]


async def test_at_most_ten_results_are_given(searxng: SearXNG) -> None:
    searxng.replies({"results": [{"title": f"T{n}", "url": f"https://{n}.example/"} for n in range(30)]})
    content = (await search(searxng, "x")).content
    assert content.endswith("\n10. T9\n   https://9.example/")


async def test_a_search_without_results_says_so(searxng: SearXNG) -> None:
    searxng.replies({"results": []})
    assert await search(searxng, "x") == ToolResult("Nothing found for 'x'.", "nothing found")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, "<h1>Forbidden</h1>", "does not answer in JSON: its settings.yml needs `json` under `search: formats:`"),
        (500, "", "answered with status 500"),
        (429, "", "answered with status 429"),
        (200, "<html>", "is SEARXNG_URL the address of a SearXNG"),
        (200, [], "is SEARXNG_URL the address of a SearXNG"),
        (200, {"results": {}}, "is SEARXNG_URL the address of a SearXNG"),
    ],
)
async def test_a_server_that_does_not_search_is_explained(
    searxng: SearXNG, status: int, body: object, words: str
) -> None:
    searxng.replies(body, status)
    with pytest.raises(Unavailable, match=words):
        await search(searxng, "x")


async def test_the_search_server_is_open_for_searching_only(searxng: SearXNG) -> None:
    searxng.replies({"results": []})
    egress = Egress()
    fetch, tool = web_tools(egress, searxng_url=searxng.url)
    await tool.run(CONTEXT, {"query": "x"})
    with pytest.raises(Forbidden):
        await fetch.run(CONTEXT, {"url": searxng.url})
    assert len(searxng.asked) == 1
    await egress.aclose()
