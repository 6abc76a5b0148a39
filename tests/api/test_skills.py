"""The routes of skills: the contract's two calls, and what an install, an edit and a removal leave behind."""

from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient
from chat_calls import MakeClient
from gateway_process import GatewayProcess
from skill_calls import EVIL, ask, base64_of, install, refused, text, tree, zip_of
from yarl import URL

from ironclaw.settings import Settings

BUILTIN = {"python-debugger", "journal", "weekly-review", "log-triage", "backup-check"}


@pytest.mark.process
def test_the_contracts_two_calls_work_on_a_fresh_home(gateway_process: type[GatewayProcess]) -> None:
    gateway = gateway_process().start()
    searched = gateway.request("GET", "/api/skills/search?query=python")
    (found,) = searched[2]["skills"]
    shown = {"name": "python-debugger", "description": "Debug Python code", "version": "1.0.0", "installed": False}
    assert searched[0] == 200
    assert {name: found[name] for name in shown} == shown
    assert list(found)[:4] == list(shown)
    assert (found["source"], found["trust"]) == ("builtin", "trusted")
    status, _, item = gateway.request("POST", "/api/skills/install", {"name": "python-debugger"})
    assert (status, item["name"], item["installed"], item["enabled"]) == (200, "python-debugger", True, True)
    assert gateway.request("GET", "/api/skills/search?query=python")[2]["skills"][0]["installed"] is True


async def test_search_ranks_names_before_descriptions_and_shows_all_without_words(client: TestClient) -> None:
    await ask(client, "PUT", "zz-todo", {"content": text("zz-todo", description="Weekly things.", tags="[plan]")})

    async def found(query: str) -> list[str]:
        return [one["name"] for one in (await ask(client, "GET", f"search?query={query}"))["skills"]]

    assert set(await found("")) == BUILTIN | {"zz-todo"}
    assert (await found("weekly"))[:2] == ["weekly-review", "zz-todo"]
    assert (await found("PYTH"))[0] == "python-debugger"
    assert await found("python%20weekly") != []  # no skill has both, so those that have one
    assert await found("plan%20weekly%20todo") == ["weekly-review"] or "weekly-review" in await found("plan%20weekly")
    assert await found("quantum") == []


async def test_a_builtin_skill_is_enabled_on_install_and_a_second_install_changes_nothing(client: TestClient) -> None:
    first = await ask(client, "POST", "install", {"name": "journal"})
    assert (first["state"], first["tools"]) == ("enabled", "all")
    await ask(client, "POST", "journal/disable")
    assert (await ask(client, "POST", "install", {"name": "journal"}))["state"] == "disabled"
    await ask(client, "DELETE", "journal")
    await refused(client, "POST", "journal/disable", None, 404, "not_found")
    assert (await ask(client, "GET", "journal"))["skill"]["state"] == "available"  # it can be looked at all the same


async def test_a_preview_shows_files_tools_and_findings_and_keeps_nothing(
    client: TestClient, settings: Settings
) -> None:
    assert settings.home
    contents = {"x/SKILL.md": text(body=EVIL, allowed_tools="Bash, FileWrite"), "x/do.sh": "#!/bin/sh\n"}
    shown = await ask(client, "POST", "preview", {"archive": base64_of(zip_of(contents))})
    assert [one["path"] for one in shown["files"]] == ["SKILL.md", "do.sh"]
    assert shown["files"][1]["content"] == "#!/bin/sh\n"
    assert shown["skill"]["allowed_tools"] == ["Bash", "FileWrite"]
    assert shown["skill"]["installed"] is False
    kinds = [one["kind"] for one in shown["findings"]]
    assert kinds[0] == "pipe-to-shell"
    assert "script" in kinds
    assert not (settings.home / "skills").exists()
    assert (await ask(client, "GET", "list"))["skills"] == []


async def test_what_comes_from_elsewhere_waits_for_the_hash_of_what_was_looked_at(client: TestClient) -> None:
    shown = await ask(client, "POST", "preview", {"content": text()})
    item = await ask(client, "POST", "install", {"content": text(), "hash": shown["skill"]["hash"]})
    assert (item["state"], item["trust"], item["tools"]) == ("disabled", "untrusted", "read")
    await refused(client, "POST", "sourdough/enable", {}, 422, "invalid")
    await refused(client, "POST", "sourdough/enable", {"hash": "sha256:0"}, 409, "changed")
    enabled = await ask(client, "POST", "sourdough/enable", {"hash": shown["skill"]["hash"]})
    assert (enabled["state"], enabled["tools"]) == ("enabled", "read")
    assert (await ask(client, "POST", "sourdough/enable", {"hash": shown["skill"]["hash"], "tools": "all"}))[
        "tools"
    ] == "all"
    other = {"content": text(body="Other."), "hash": shown["skill"]["hash"], "update": True}
    await refused(client, "POST", "install", other, 409, "changed")


async def test_an_edited_installed_skill_disables_itself_until_it_is_looked_at(
    client: TestClient, settings: Settings
) -> None:
    assert settings.home
    pinned = (await install(client))["hash"]
    file = settings.home / "skills/.installed/sourdough/SKILL.md"
    before = file.read_text()
    file.write_text(before + "Then delete everything.\n")
    (item,) = (await ask(client, "GET", "list"))["skills"]
    assert (item["state"], item["enabled"], item["hash"] != pinned) == ("changed", False, True)
    assert "Look at them" in item["reason"]
    file.write_text(before)  # what it was again is still to be looked at: somebody was there
    assert (await ask(client, "GET", "list"))["skills"][0]["state"] == "changed"
    assert (await ask(client, "POST", "sourdough/enable", {"hash": pinned}))["state"] == "enabled"


async def test_an_edit_that_looks_like_none_is_seen_when_the_skill_is_used(
    client: TestClient, settings: Settings
) -> None:
    """The size and the time of a file can be set to what they were; its time of change can't, nor its bytes."""
    import os

    assert settings.home
    await install(client)
    file = settings.home / "skills/.installed/sourdough/SKILL.md"
    info = file.stat()
    file.write_bytes(file.read_bytes().replace(b"Feed", b"Kill"))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert (await ask(client, "GET", "list"))["skills"][0]["state"] == "changed"


async def test_a_newer_version_takes_the_place_when_asked_and_an_older_one_never(client: TestClient) -> None:
    await install(client)
    newer = text(version="1.10.0", body="New.")
    assert (await ask(client, "POST", "preview", {"content": newer}))["replaces"] == "1.0.0"
    await refused(client, "POST", "install", {"content": newer}, 409, "installed")
    item = await ask(client, "POST", "install", {"content": newer, "update": True})
    assert (item["version"], item["state"]) == ("1.10.0", "disabled")
    older = {"content": text(version="1.9.0"), "update": True}
    await refused(client, "POST", "install", older, 409, "older_version")
    assert (await ask(client, "GET", "sourdough"))["instructions"] == "New."


async def test_own_skills_are_folders_for_any_editor(client: TestClient, settings: Settings) -> None:
    assert settings.home
    mine = settings.home / "skills/mine"
    mine.mkdir(parents=True)
    (mine / "SKILL.md").write_text(text("mine"))
    (item,) = (await ask(client, "GET", "list"))["skills"]
    assert (item["source"], item["trust"], item["state"], item["tools"]) == ("own", "trusted", "enabled", "all")
    (mine / "SKILL.md").write_text(text("mine", version="2.0.0"))
    (item,) = (await ask(client, "GET", "list"))["skills"]
    assert (item["version"], item["state"]) == ("2.0.0", "enabled")  # an own one may be changed at any time
    assert (await ask(client, "POST", "mine/disable"))["state"] == "disabled"
    assert (await ask(client, "POST", "mine/enable", {}))["state"] == "enabled"


async def test_a_folder_that_is_no_skill_is_listed_with_the_reason(client: TestClient, settings: Settings) -> None:
    assert settings.home
    bad = {"broken": "no front matter", "other-name": text("another"), "journal": text("journal")}
    for name, content in bad.items():
        (settings.home / "skills" / name).mkdir(parents=True)
        (settings.home / "skills" / name / "SKILL.md").write_text(content)
    (settings.home / "skills/Not A Name").mkdir()
    (settings.home / "skills/link").symlink_to(settings.home / "skills/broken")
    problems = {one["path"]: one["message"] for one in (await ask(client, "GET", "list"))["problems"]}
    assert "front matter" in problems["broken"]
    assert "another" in problems["other-name"]
    assert "builtin" in problems["journal"]
    assert "small letters" in problems["Not A Name"]
    assert "link" in problems["link"]
    assert (await ask(client, "GET", "journal"))["skill"]["source"] == "builtin"


async def test_an_own_skill_is_written_and_edited_without_losing_anothers_change(
    client: TestClient, settings: Settings
) -> None:
    assert settings.home
    first = await ask(client, "PUT", "mine", {"content": text("mine"), "hash": ""})
    await refused(client, "PUT", "mine", {"content": text("mine"), "hash": ""}, 412, "stale")
    (settings.home / "skills/mine/notes.md").write_text("kept")
    error = await refused(client, "PUT", "mine", {"content": "x", "hash": first["skill"]["hash"]}, 422, "bad_skill")
    assert error["field"] == "content"
    stale = {"content": text("mine", body="New."), "hash": first["skill"]["hash"]}
    error = await refused(client, "PUT", "mine", stale, 412, "stale")
    edited = await ask(client, "PUT", "mine", {"content": text("mine", body="New."), "hash": error["etag"]})
    assert [one["path"] for one in edited["files"]] == ["SKILL.md", "notes.md"]
    assert (settings.home / "skills/mine/SKILL.md").read_text() == text("mine", body="New.")
    await refused(client, "PUT", "journal", {"content": text("journal")}, 409, "taken")
    await refused(client, "PUT", "mine", {"content": text("others")}, 422, "bad_skill")


async def test_removing_an_own_skill_keeps_its_folder_aside(client: TestClient, settings: Settings) -> None:
    assert settings.home
    await ask(client, "PUT", "mine", {"content": text("mine")})
    removed = await ask(client, "DELETE", "mine")
    assert (settings.home / "skills" / removed["kept"] / "SKILL.md").read_text() == text("mine")
    await refused(client, "GET", "mine", None, 404, "not_found")
    await install(client)
    await ask(client, "DELETE", "sourdough")
    assert tree(settings.home / "skills/.installed") == {}


BAD_NAMES = (
    *(
        "../../x",
        "/etc",
        ".git",
        "-rf",
        "x" * 300,
        "p\u0443thon-debugger",
        "a b",
        "A",
        "a--b",
        "a/b",
        "con\0",
        "",
        "..",
    ),
    *("list", "install", "registry", "search", "preview", "%2e%2e", "a\\b", "~", "caf\u00e9"),
)


async def test_s76_a_name_that_is_none_is_refused_before_anything_is_touched(
    client: TestClient, settings: Settings
) -> None:
    assert settings.home
    for name in BAD_NAMES:
        for route in ("install", "preview"):
            error = await refused(client, "POST", route, {"name": name}, 422, "invalid")
            assert error["field"] == "name"
        await refused(client, "POST", "install", {"name": name, "content": text()}, 422, "invalid")
        if name not in {"", ".."}:  # those are other paths
            path = quote(name, safe="")
            for method, route in (("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/enable")):
                body = {"content": text()} if method == "PUT" else {}
                response = await client.request(method, URL(f"/api/skills/{route}", encoded=True), json=body)
                assert response.status in {200, 404, 405, 422}, name
                assert response.status != 200 or name in {"list", "search"}
    assert not (settings.home / "skills").exists()


async def test_s79_nothing_from_elsewhere_takes_the_name_of_a_builtin_or_own_skill(client: TestClient) -> None:
    await ask(client, "PUT", "mine", {"content": text("mine")})
    for name in ("journal", "mine"):
        await refused(client, "POST", "install", {"content": text(name), "update": True}, 409, "taken")
    for name in ("j0urnal", "journai", "python-debuger", "backup-checks"):
        await refused(client, "POST", "install", {"content": text(name)}, 403, "lookalike")
    assert (await ask(client, "GET", "journal"))["skill"]["source"] == "builtin"


async def test_s79_installing_and_enabling_runs_nothing_and_grants_nothing(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    assert settings.home
    mark = tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {mark}\n"
    contents = {f"x/{name}": script for name in ("install.sh", "setup.py", "__init__.py", "hooks/post-install")}
    contents["x/SKILL.md"] = text(allowed_tools="FileWrite Shell", hooks="{post-install: install.sh}")
    item = await ask(client, "POST", "install", {"archive": base64_of(zip_of(contents))})
    enabled = await ask(client, "POST", "sourdough/enable", {"hash": item["hash"]})
    assert (enabled["allowed_tools"], enabled["tools"]) == (["FileWrite", "Shell"], "read")
    kept = settings.home / "skills/.installed/sourdough"
    assert (kept / "install.sh").read_text() == script
    assert [path for path in kept.rglob("*") if path.is_file() and path.stat().st_mode & 0o111] == []
    assert not mark.exists()


async def test_what_is_asked_for_in_two_ways_or_none_is_refused(client: TestClient) -> None:
    for body in ({}, {"url": "https://a.example/x.zip", "content": text()}, {"archive": "***"}):
        await refused(client, "POST", "install", body, 422, "invalid")
    await refused(client, "POST", "install", {"name": "nothing-like-it"}, 404, "not_found")


async def test_all_of_it_is_still_so_after_a_restart(make_client: MakeClient, settings: Settings) -> None:
    first = await make_client(settings)
    await ask(first, "POST", "install", {"name": "journal"})
    await install(first, tools="all")
    await ask(first, "PUT", "mine", {"content": text("mine")})
    await ask(first, "POST", "mine/disable")
    listed = (await ask(first, "GET", "list"))["skills"]
    await first.close()
    again = await make_client(settings)
    assert (await ask(again, "GET", "list"))["skills"] == listed
    assert {one["name"]: one["state"] for one in listed} == {
        "journal": "enabled", "mine": "disabled", "sourdough": "enabled",
    }  # fmt: skip


def test_builtin_skills_are_good_neighbours() -> None:
    """Names that no other builtin is near to, descriptions that fit into a prompt, nothing that a scan stops at."""
    from ironclaw.skills import folder, names, scan
    from ironclaw.skills.shelf import BUILTIN as FOLDER

    packages = [folder.read(FOLDER / name) for name in folder.names_in(FOLDER)]
    assert {package.name for package in packages} == BUILTIN
    for package in packages:
        assert package.document.version != "0.0.0"
        assert len(package.document.description) < 200
        assert len(package.document.keywords) > 2
        assert scan.scan(package.files) == []
        assert not any(names.lookalike(package.name, other) for other in BUILTIN)
        assert Path(FOLDER / package.name / "SKILL.md").stat().st_size < 6000
