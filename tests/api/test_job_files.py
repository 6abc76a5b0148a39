"""The files of jobs over HTTP, and the links to them that need no token."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from conftest import TOKEN
from job_calls import get, launch

from ironclaw.gateway import Gateway
from ironclaw.jobs.links import Links
from ironclaw.settings import Settings

MakeClient = Callable[..., Awaitable[TestClient]]


@pytest.fixture
async def hostile(client: TestClient) -> dict[str, Any]:
    """A job that leaves pages, links, a pipe, a sparse giant and odd names."""
    command = (
        "echo '<script>alert(1)</script>' > page.html; cp page.html pic.svg; cp page.html data.xml; echo hi > plain.txt;"
        "ln -s /etc/passwd out; ln -s plain.txt in; mkfifo pipe; truncate -s 900M huge; mkdir -p sub/deep; echo x > sub/x;"
        "touch \"$(printf 'a\\nb<i>\\033[31m')\""
    )
    return await launch(client, command)


async def test_s40_pages_of_a_job_are_saved_and_never_run(client: TestClient, hostile: dict[str, Any]) -> None:
    base = f"/api/jobs/{hostile['id']}/files/read?path="
    for name in ("page.html", "pic.svg", "data.xml"):
        reply = await client.get(base + name)
        assert reply.headers["Content-Disposition"].startswith("attachment")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    plain = await client.get(base + "plain.txt")
    assert (await plain.text(), plain.headers["Content-Disposition"][:6]) == ("hi\n", "inline")
    part = await client.get(base + "huge", headers={"Range": "bytes=0-3"})
    assert (part.status, await part.read()) == (206, b"\0\0\0\0")


async def test_s43_s45_s48_no_path_leads_out_of_the_folder(client: TestClient, hostile: dict[str, Any]) -> None:
    base = f"/api/jobs/{hostile['id']}/files/"
    for path in ("../given.json", "/etc/passwd", "out", "pipe", "sub", "%00", "sub/../plain.txt", "~", "missing"):
        reply = await client.get(f"{base}read?path={path}")
        assert reply.status in {400, 404, 422}, path
    listed = await get(client, f"{base}list")
    names = [(one["name"], one["is_folder"]) for one in listed["entries"]]
    assert names[0] == ("sub", True)
    assert {"out", "pipe"}.isdisjoint(name for name, _ in names)
    assert ("a\nb<i>\x1b[31m", False) in names
    assert [one["path"] for one in (await get(client, f"{base}list?path=sub"))["entries"]] == ["sub/deep", "sub/x"]
    assert (await client.get(f"{base}list?path=..")).status == 422


async def test_s82_a_browse_url_works_without_a_token_for_one_job_and_nothing_else(
    client: TestClient, hostile: dict[str, Any], make_client: MakeClient, settings: Settings
) -> None:
    other = await launch(client, "echo secret > own.txt")
    url = hostile["browse_url"]
    assert url.startswith(f"http://{client.host}:{client.port}/api/jobs/{hostile['id']}/browse/")
    bare = TestClient(TestServer(web.Application()))  # a client without the token
    await bare.start_server()
    try:
        session = bare.session
        page = await session.get(url)
        text = await page.text()
        assert page.status == 200
        assert "<script>" not in text
        assert "<i>" not in text
        assert "\x1b" not in text
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script-src" not in policy
        assert "allow-" not in policy
        shown = await session.get(f"{url}page.html")
        assert (shown.content_type, shown.headers["Content-Disposition"][:6]) == ("text/html", "inline")
        assert shown.headers["Content-Security-Policy"] == policy
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert (await session.get(f"{url}sub/")).status == 200
        assert (await session.get(f"{url}out")).status == 422
        signature = url.rstrip("/").rpartition("/")[2]
        foreign = f"http://{client.host}:{client.port}/api/jobs/{other['id']}/browse/{signature}/own.txt"
        assert (await session.get(foreign)).status == 403
        for bad in ("0.x", "", ".", signature[:-1], "é", f"{signature}0"):
            assert (await session.get(f"{url.replace(signature, bad)}plain.txt")).status in {401, 403}, bad
        assert (await session.post(url)).status == 401
        assert (await session.get(f"http://{client.host}:{client.port}/api/jobs")).status == 401
    finally:
        await bare.close()


def test_s82_a_link_grows_old_and_ends_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links.of("secret", "token")
    signature = links.path("job-1").split("/")[4]
    links.check("job-1", signature)
    for others in (Links.of("secret", "other"), Links.of("other", "token")):
        with pytest.raises(Exception, match="not valid"):
            others.check("job-1", signature)
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 86_400 + 3600 + 1)
    with pytest.raises(Exception, match="too old"):
        links.check("job-1", signature)


async def test_a_browse_url_is_right_behind_a_proxy_and_under_a_prefix(
    settings: Settings, make_client: MakeClient
) -> None:
    public = await make_client(attrs.evolve(settings, public_url="https://claw.example.com/at"))
    job = await launch(public, "true")
    assert job["browse_url"].startswith(f"https://claw.example.com/at/api/jobs/{job['id']}/browse/")
    host = web.Application()
    inner = attrs.evolve(settings, home=settings.home.parent / "other")  # type: ignore[union-attr]
    Gateway(inner).mount(host, "/claw")
    async with TestClient(TestServer(host), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        reply = await client.post("/claw/api/jobs?wait=40", json={"command": "echo x > a.txt"})
        job = await reply.json()
        assert reply.headers["Location"] == f"/claw/api/jobs/{job['id']}"
        assert (await (await client.get(job["browse_url"].partition(str(client.port))[2] + "a.txt")).text()) == "x\n"
