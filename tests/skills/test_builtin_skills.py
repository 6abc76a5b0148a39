"""The skills that come with the program, tried: a model does what they say, with the agent's own tools on real notes."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chat_calls import MakeClient, call, history, say, turn
from conftest import ScriptedModel
from skill_calls import ask

from ironclaw.settings import Settings
from ironclaw.skills import folder
from ironclaw.skills.shelf import BUILTIN

TODAY = datetime.now().astimezone().date()
YESTERDAY = f"{TODAY - timedelta(days=1)}"
WEEK = TODAY.strftime("%G-W%V")
NOTES = {
    f"daily/{TODAY}.md": f"# {TODAY}\n\n## Journal\n- 08:00 Coffee.\n\n## Todo\n- [ ] call the plumber\n",
    f"daily/{YESTERDAY}.md": "## Journal\n- Fixed the gutter with Ana. #house\n- [x] tax papers sent\n",
    "reviews/2020-W01.md": "# Week 1\n\n## Next week\n- [ ] call the plumber\n",
    "backups.md": "# Backups\n\nrestic to the NAS, nightly. Last restore tried: never.\n",
    "logs/app.txt": "03:11:58 rotate failed: permission denied\n" + "03:12:00 No space left on device\n" * 900,
    "code/report.py.txt": 'def total(rows):\n    return sum(row["price"] for row in rows)\n',
}
WALKS: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "python-debugger": [
        ("MemorySearch", {"query": "total"}, "code/report.py.txt:1:def total(rows):"),
        ("FileRead", {"path": "code/report.py.txt"}, 'row["price"]'),
    ],
    "journal": [
        ("Time", {}, f"{TODAY:%A}"),
        ("FileList", {"path": "daily"}, f"daily/{YESTERDAY}.md"),
        ("FileAppend", {"heading": "Journal", "text": "- 21:40 Baked."}, f"Added to daily/{TODAY}.md:5"),
        ("FileAppend", {"heading": "Todo", "text": "- [ ] buy flour"}, f"Added to daily/{TODAY}.md:9"),
        ("FileAppend", {"path": "daily/2020-01-01.md", "text": "## Journal\n- Rested."}, "daily/2020-01-01.md:1"),
        ("FileRead", {"path": f"daily/{YESTERDAY}.md"}, "Fixed the gutter"),
        ("MemorySearch", {"query": "gutter"}, f"daily/{YESTERDAY}.md:2:"),
    ],
    "weekly-review": [
        ("Time", {}, f"{TODAY:%A}"),
        ("FileRead", {"path": f"daily/{YESTERDAY}.md"}, "tax papers sent"),
        ("MemoryTodos", {}, "call the plumber"),
        ("FileList", {}, "backups.md"),
        ("FileList", {"path": "reviews"}, "reviews/2020-W01.md"),
        ("FileRead", {"path": "reviews/2020-W01.md"}, "Next week"),
        ("FileWrite", {"path": f"reviews/{WEEK}.md", "content": f"# Week {WEEK}\n\n## Done\n"}, f"Made reviews/{WEEK}.md"),
    ],
    "log-triage": [
        ("FileList", {"path": "logs"}, "logs/app.txt"),
        ("FileRead", {"path": "logs/app.txt", "start_line": 880}, "of 901"),
        ("MemorySearch", {"query": "permission denied"}, "logs/app.txt:1:03:11:58 rotate failed"),
        ("Status", {}, "disk:"),
        ("Time", {}, f"{TODAY:%A}"),
    ],
    "backup-check": [
        ("MemorySearch", {"query": "restic"}, "backups.md:3:"),
        ("FileRead", {"path": "backups.md"}, "Last restore tried: never"),
        ("Status", {}, "disk:"),
        ("FileAppend", {"path": "backups.md", "text": f"\n## Checked {TODAY}\n- [ ] try one restore"}, "backups.md:"),
    ],
}  # fmt: skip


def document_of(name: str) -> Any:
    return folder.read(BUILTIN / name).document


@pytest.mark.parametrize("name", sorted(WALKS))
async def test_what_a_builtin_skill_says_can_be_done(name: str, make_client: MakeClient, settings: Settings) -> None:
    assert settings.home
    for path, content in NOTES.items():
        (settings.home / "workspace" / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / "workspace" / path).write_text(content)
    steps = [call(tool, json.dumps(arguments), f"c{n}") for n, (tool, arguments, _) in enumerate(WALKS[name])]
    model = ScriptedModel(*steps, say("Done."))
    client = await make_client(settings, llm=model)
    await ask(client, "POST", "install", {"name": name})
    sent = {"message": f"/skill {name} please", "thread_id": "a"}
    reply = await (await client.post("/api/chat/send?wait=20", json=sent)).json()
    if "pending_approval" in reply:  # only what replaces a note asks
        assert name == "weekly-review"
        request = {"request_id": reply["pending_approval"]["request_id"], "action": "approve"}
        assert (await client.post("/api/chat/approval", json=request)).status == 200
    await turn(client, "/status")
    (told,) = [one for one in await history(client, "a") if not one["command"]]
    while told["state"] != "completed":
        (told,) = [one for one in await history(client, "a") if not one["command"]]
    results = [one.content for one in model.requests[-1].messages if one.role == "tool"]
    for (tool, _, expected), result in zip(WALKS[name], results, strict=True):
        assert expected in result, (tool, result[:500])
    assert all(one["success"] for one in told["tool_calls"])
    assert {tool for tool, *_ in WALKS[name]} <= set(document_of(name).allowed_tools)


async def test_builtin_skills_name_only_tools_that_there_are(make_client: MakeClient, settings: Settings) -> None:
    model = ScriptedModel(say("Hi."))
    await turn(await make_client(settings, llm=model), "hello")
    known = {spec.name for spec in model.requests[0].tools} | {"JobStart"}  # said to be used "when it is there"
    for name in WALKS:
        document = document_of(name)
        named = set(re.findall(r"`((?:File|Memory|Job|Web)[A-Z]\w+|Time|Status)`", document.instructions))
        assert named <= set(document.allowed_tools) <= known, name
        if "JobStart" in named:
            assert re.search(
                r"[Ww]hen the tool `JobStart` is there|`JobStart` (?:at hand|is there)", document.instructions
            )


def test_the_wheel_s_folder_has_nothing_but_them() -> None:
    assert {path.name for path in Path(BUILTIN).iterdir()} == set(WALKS)
