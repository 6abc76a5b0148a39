"""The tools that read the web, WebFetch and WebSearch, and how a page becomes text for a model.

What may be reached is decided in `egress.py`. The text comes from strangers: `prompt.py` hands it on as data.
"""

import asyncio
import html
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urljoin

from yarl import URL

from ironclaw import codec
from ironclaw.egress import MAX_BYTES, Egress, Fetched, Guard, web_url
from ironclaw.errors import BadRequest, Invalid, Unavailable, UnsupportedType
from ironclaw.tools import Approval, Risk, Tool, ToolContext, ToolResult, make_tool
from ironclaw.values import frozen

MAX_CHARACTERS = 20_000
MAX_RESULTS = 10

_LONGEST_SNIPPET = 300
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/.+|application/(?:.+\+)?(?:json|xml)|application/(?:x-ndjson|javascript|yaml|toml)")


def web_tools(egress: Egress, *, searxng_url: str | None) -> tuple[Tool, ...]:
    """WebFetch, and WebSearch where the owner has a SearXNG server. *egress* stays the caller's to close."""
    tools = [
        make_tool(
            _Fetch(egress).fetch,
            name="WebFetch",
            risk=Risk.ACT,
            approval=Approval.UNLESS_REMEMBERED,
            subject=_origin,
        )
    ]
    if searxng_url is not None:
        tools.append(make_tool(_Search(egress, URL(searxng_url)).search, name="WebSearch"))
    return tuple(tools)


def _origin(arguments: Mapping[str, Any]) -> str:
    """The server that is asked, in the form in which it is connected; an address that can't be read stays as it is."""
    try:
        return str(web_url(arguments["url"]).origin())
    except Invalid:
        return str(arguments["url"])


@frozen
class _Fetch:
    egress: Egress

    async def fetch(
        self,
        _: ToolContext,
        *,
        url: Annotated[str, "the address, with http:// or https://"],
        offset: Annotated[int, "where to go on in a long text, in characters (0)", {"minimum": 0}] = 0,
    ) -> ToolResult:
        """Reads a web page as text with its links, or a text, JSON or XML file.

        Reaches public servers, and those at home that the owner has allowed.
        """
        fetched = await self.egress.fetch(url, one_host=True)
        if not _is_readable(fetched.media_type):
            size = f"over {MAX_BYTES} bytes" if fetched.truncated else f"{len(fetched.body)} bytes"
            raise UnsupportedType(
                f"{fetched.url} is {fetched.media_type} ({size}); only web pages, text, JSON and XML can be read."
            )
        page = await asyncio.to_thread(_page_of, fetched)
        return _page_result(fetched, page, offset)


@frozen
class _Page:
    """What can be read of an answer."""

    title: str
    text: str


def _is_readable(media_type: str) -> bool:
    return media_type in _HTML or _TEXT.fullmatch(media_type) is not None


def _page_of(fetched: Fetched) -> _Page:
    text, title = _decoded(fetched.body, fetched.charset), ""
    if fetched.media_type in _HTML:
        reader = PageReader(fetched.url)
        title = reader.read(text)
        text = reader.text
    return _Page(title, _UNSEEN.sub("", text))


def _page_result(fetched: Fetched, page: _Page, offset: int) -> ToolResult:
    total = len(page.text)
    if offset and offset >= total:
        raise Invalid(f"{fetched.url} has {total} characters; there is none at {offset}.", field="offset")
    stop = min(offset + MAX_CHARACTERS, total)
    lines = [f"{fetched.url} (status {fetched.status}, {fetched.media_type})"]
    if page.title:
        lines.append(f"# {page.title}")
    lines += ["", page.text[offset:stop] or "[There is no text in it.]"]
    if stop < total:
        lines.append(f"[Cut here: characters {offset} to {stop} of {total}. Go on with offset {stop}.]")
    elif fetched.truncated:
        lines.append(f"[The rest is not read: it is longer than {MAX_BYTES} bytes.]")
    preview = f"{page.title[:80] or URL(fetched.url).host} ({fetched.status})"
    return ToolResult("\n".join(lines), preview, success=fetched.status < 400)


# Labels of text encodings only: Python also has codecs such as punycode, slow enough on a long text to be an attack.
_CHARSET = re.compile(r"(?:utf-?(?:8|16|32)|us-ascii|iso|latin|windows|cp|koi8|mac|gb|big5|euc|shift|ks_c)[\w-]*", re.I)
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w-]+)|^\s*<\?xml[^>]{0,200}?encoding=["']([\w-]+)""", re.I
)
_BOMS = ((BOM_UTF8, "utf-8-sig"), (BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16"))
# What browsers do: pages that say Latin-1 or nothing mean the Windows one.
_LATIN = re.compile(r"us-ascii|iso-?8859-?1|latin-?1", re.I)
# Control signs, and the tag signs with which text for models is hidden from people.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\U000e0000-\U000e007f]")


def _decoded(body: bytes, charset: str | None) -> str:
    """The text of *body*: by its byte order mark, *charset*, what it says itself, UTF-8, or else Windows-1252."""
    marked = next((name for bom, name in _BOMS if body.startswith(bom)), None)
    label = marked or charset or _declared(body[:1024])
    if label is None or not _CHARSET.fullmatch(label):
        label = "utf-8" if _is_utf8(body) else "windows-1252"
    elif _LATIN.fullmatch(label):
        label = "windows-1252"
    try:
        return body.decode(label, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _declared(start: bytes) -> str | None:
    found = _META_CHARSET.search(start)
    return (found[1] or found[2]).decode() if found else None


def _is_utf8(body: bytes) -> bool:
    try:
        # Not as a final piece: a cut body may end inside a character.
        getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return True


# Each alternative takes all that it looks at, unclosed ones up to the end as in browsers, so that a broken page takes
# time in proportion to its length. `html.parser` of the Pythons before 3.11.14 needs the square: minutes for 0.3 MB.
_TOKEN = re.compile(
    r"""<!--(?:-?>|.*?(?:--!?>|\Z))
      | <[!?][^>]*+(?:>|\Z)
      | <(?P<end>/?)(?P<name>[a-z][^\s/>]*+)
         (?P<rest>(?:=\s*+"[^"]*+(?:"|\Z) | =\s*+'[^']*+(?:'|\Z) | [^>=]++ | =)*+)(?:>|\Z)
    """,
    re.I | re.S | re.X,
)
_ATTRIBUTE = re.compile(r"""([^\s"'/=]++)(?:\s*+=\s*+(?:"([^"]*+)"?|'([^']*+)'?|([^\s>]++)))?""")
_SPACES = re.compile(r"\s+")

_UNREAD = frozenset({"script", "style", "template", "textarea", "iframe", "noembed", "noframes", "svg", "title"})
_PARAGRAPH = re.compile(
    "address|article|aside|blockquote|body|details|dl|fieldset|figure|footer|form|h[1-6]|header|hr|main|nav|ol|p|pre"
    "|section|table|ul"
)
_LINE = re.compile("br|dd|div|dt|figcaption|legend|li|option|summary|tr")
_HEADING = re.compile("h[1-6]")
_LINKABLE = re.compile(r"(?:https?://|mailto:)", re.I)


class PageReader:
    """Makes text of one HTML page: markdown for headings, lists, links and preformatted text. Used once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._out: list[str] = []
        self._breaks = 0  # line breaks that the next text needs before it
        self._space = False
        self._mark = ""  # of the list item, heading or cell that the next text begins
        self._link: str | None = None
        self._link_is_open = False
        self._pre = False

    @property
    def text(self) -> str:
        """What was read."""
        return "".join(self._out)

    def read(self, page: str) -> str:
        """Reads all of *page* and gives its title."""
        title, position = "", 0
        while token := _TOKEN.search(page, position):
            self._words(page[position : token.start()])
            position = token.end()
            name = (token["name"] or "").lower()
            if name in _UNREAD and not token["end"] and not (name == "svg" and token["rest"].endswith("/")):
                start, position = position, _after(page, name, position)
                title = title or (_one_line(html.unescape(page[start:position])) if name == "title" else "")
            elif name:
                self._tag(name, token["rest"], closes=bool(token["end"]))
        self._words(page[position:])
        self._end_link()
        return title

    def _tag(self, name: str, rest: str, *, closes: bool) -> None:
        if name == "a":
            self._end_link()
            self._link = None if closes else self._target(rest)
        elif name == "img" and not closes:
            self._words(f" {_attribute(rest, 'alt')} ", unescape=False)
        elif name in {"td", "th"} and not closes:
            self._mark = "| " if self._out and not self._breaks else ""
            self._space = True
        elif _PARAGRAPH.fullmatch(name):
            self._block(name, 2, closes=closes)
        elif _LINE.fullmatch(name):
            self._block(name, 1, closes=closes)

    def _block(self, name: str, breaks: int, *, closes: bool) -> None:
        self._breaks = max(self._breaks, breaks)
        if name == "pre" and self._pre is closes:
            self._fence(opens=not closes)
        elif closes:
            self._mark = ""
        elif name == "li":
            self._mark = "- "
        elif _HEADING.fullmatch(name):
            self._mark = "#" * int(name[1]) + " "

    def _fence(self, *, opens: bool) -> None:
        if not opens:
            self._breaks = 1
        self._pre = False
        self._words("```")
        self._pre = opens
        self._breaks = 1 if opens else 2

    def _words(self, text: str, *, unescape: bool = True) -> None:
        text = html.unescape(text) if unescape else text
        if self._pre:
            self._put(text)
            return
        words = _SPACES.sub(" ", text)
        self._space = self._space or words.startswith(" ")
        if words.strip():
            self._put(words.strip())
            self._space = words.endswith(" ")

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._out:
            self._out.append("\n" * self._breaks or " " * self._space)
        self._out.append(self._mark)
        if self._link is not None and not self._link_is_open:
            self._out.append("[")
            self._link_is_open = True
        self._out.append(text)
        self._breaks, self._space, self._mark = 0, False, ""

    def _target(self, rest: str) -> str | None:
        href = _attribute(rest, "href").strip()
        if not href or href.startswith("#"):
            return None
        try:
            target = urljoin(self._url, href)
        except ValueError:
            return None
        return _SPACES.sub("%20", target) if _LINKABLE.match(target) else None

    def _end_link(self) -> None:
        if self._link_is_open:
            self._out.append(f"]({self._link})")
        self._link, self._link_is_open = None, False


def _attribute(rest: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(rest):
        if match[1].lower() == name:
            return html.unescape(match[2] or match[3] or match[4] or "")
    return ""


def _after(page: str, name: str, position: int) -> int:
    """Where the content of an element ends that holds no elements."""
    end = re.compile(rf"</{name}(?=[\s/>])", re.I).search(page, position)
    return end.start() if end else len(page)


@frozen
class _Search:
    egress: Egress
    server: URL

    async def search(
        self, _: ToolContext, *, query: Annotated[str, "what to look for", {"minLength": 1}]
    ) -> ToolResult:
        """Searches the web. Gives titles, addresses and a few words of each; read the pages with WebFetch."""
        address = self.server / "search" % {"q": query, "format": "json"}
        # The owner named this server for searching, wherever it is.
        guard = Guard((f"{self.server.host_subcomponent}:{self.server.port}",))
        fetched = await self.egress.fetch(str(address), guard=guard)
        found = self._results(fetched)
        if not found:
            return ToolResult(f"Nothing found for {query!r}.", "nothing found")
        lines = [f"{number}. {_hit(result)}" for number, result in enumerate(found, 1)]
        return ToolResult("\n".join(lines), f"{len(found)} result{'s' * (len(found) != 1)}")

    def _results(self, fetched: Fetched) -> list[dict[str, Any]]:
        server = f"The search server {self.server.origin()}"
        if fetched.status == 403:
            raise Unavailable(
                f"{server} does not answer in JSON: its settings.yml needs `json` under `search: formats:`."
            )
        if fetched.status != 200:
            raise Unavailable(f"{server} answered with status {fetched.status}; its log says why.")
        try:
            data = codec.loads(fetched.body)
        except BadRequest:
            data = None
        if not isinstance(data, dict) or not isinstance(data.get("results"), list):
            raise Unavailable(
                f"{server} answered something else than results; is SEARXNG_URL the address of a SearXNG?"
            )
        return [result for result in data["results"] if isinstance(result, dict)][:MAX_RESULTS]


def _hit(result: Mapping[str, Any]) -> str:
    title, url, snippet = (_one_line(str(result.get(name) or "")) for name in ("title", "url", "content"))
    if len(snippet) > _LONGEST_SNIPPET:
        snippet = snippet[:_LONGEST_SNIPPET] + "…"
    return "\n   ".join(part for part in (title or "(no title)", url, snippet) if part)


def _one_line(text: str) -> str:
    return _SPACES.sub(" ", _UNSEEN.sub("", text)).strip()
