"""S77: archives that are made to do harm are refused whole, over HTTP, and nothing on the disk is other than before."""

import functools
import gzip
import io
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from skill_calls import ask, base64_of, member, send_archive, tar_of, text, tree, zip_of

from ironclaw.errors import Invalid
from ironclaw.settings import Settings
from ironclaw.skills.archive import unpack
from ironclaw.skills.models import MOST_FILE, MOST_FILES

MAIN = text().encode()
GOOD: dict[str, Any] = {"sourdough/SKILL.md": MAIN}
PARTS = (
    "../evil.md",
    "sourdough/../../evil.md",
    "/etc/evil.md",
    "a/./b.md",
    "a//b.md",
    "..",
    "sourdough/..",
    "a\\..\\b.md",
)
NAMES = (
    "C:/evil.md",
    "con:1.md",
    "a\nb.md",
    "a\u202eb.md",
    "x" * 201,
    "a/" * 20 + "b.md",
    "a .md /b ",
    "b.",
)


def linked(kind: bytes, target: str = "/etc/passwd") -> bytes:
    return tar_of((member("sourdough/SKILL.md"), MAIN), (member("sourdough/x.md", kind, target), b""))


def zip_link() -> bytes:
    info = zipfile.ZipInfo("sourdough/x.md")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return zip_of({**GOOD, info: "/etc/passwd"})  # type: ignore[dict-item]


def many_in_a_zip(count: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("SKILL.md", MAIN)
        for number in range(count):
            archive.writestr(f"{number:x}", b"")
    return target.getvalue()


def twice() -> bytes:
    """Two entries of one name, which no program writes by itself."""
    return zip_of({"SKILL.md": MAIN, "SKILX.md": text(body="Another.")}).replace(b"SKILX", b"SKILL")


def lying_zip() -> bytes:
    """A bomb whose list of contents says that it is small."""
    data = bytearray(zip_of({**GOOD, "sourdough/big.md": b"\0" * (8 * MOST_FILE)}))
    for mark, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = data.rfind(mark)
        data[at + place : at + place + 4] = struct.pack("<I", 100)
    return bytes(data)


def other_name_inside() -> bytes:
    """The list of contents says another name than the entry itself."""
    return zip_of({**GOOD, "sourdough/abc.md": b"x"}).replace(b"sourdough/abc.md", b"sourdough/../e.m", 1)


def encrypted() -> bytes:
    data = bytearray(zip_of(GOOD))
    data[data.rfind(b"PK\1\2") + 8] |= 1
    return bytes(data)


def sparse() -> bytes:
    info = member("sourdough/big.md", tarfile.GNUTYPE_SPARSE)
    info.size = 0
    raw = bytearray(tar_of((member("sourdough/SKILL.md"), MAIN), (info, b""), compressed=""))
    return bytes(raw)


@functools.cache
def evil() -> dict[str, Any]:
    """All of them, by what they try; made when they are first needed."""
    return {
        **{f"zip {path[:20]!r}": zip_of({**GOOD, path: b"x"}) for path in (*PARTS, *NAMES)},
        **{f"tar {path[:20]!r}": tar_of((member("SKILL.md"), MAIN), (member(path), b"x")) for path in PARTS},
        "symlink": linked(tarfile.SYMTYPE),
        "symlink to a folder": linked(tarfile.SYMTYPE, ".."),
        "hard link": linked(tarfile.LNKTYPE, "sourdough/SKILL.md"),
        "character device": linked(tarfile.CHRTYPE),
        "block device": linked(tarfile.BLKTYPE),
        "fifo": linked(tarfile.FIFOTYPE),
        "sparse": sparse(),
        "symlink in a zip": zip_link(),
        "case collision": zip_of({"SKILL.md": MAIN, "skill.MD": b"x"}),
        "case collision of folders": zip_of({"SKILL.md": MAIN, "a/x.md": b"x", "A/X.md": b"y"}),
        "unicode collision": zip_of({"SKILL.md": MAIN, "caf\u00e9.md": b"x", "cafe\u0301.md": b"y"}),
        "wide letters": zip_of({"SKILL.md": MAIN, "a.md": b"x", "\uff41.md": b"y"}),
        "file as folder": zip_of({"SKILL.md": MAIN, "a": b"x", "a/b": b"y"}),
        "folder as file": zip_of({"SKILL.md": MAIN, "a/b": b"x", "a": b"y"}),
        "NUL in a name": zip_of({**GOOD, "sourdough/aXb.md": b"x"}).replace(b"aXb.md", b"a\0b.md"),
        "twice in a zip": twice(),
        "twice in a tar": tar_of((member("SKILL.md"), MAIN), (member("SKILL.md"), b"other")),
        "a large file": zip_of({**GOOD, "sourdough/big.md": b"\0" * (MOST_FILE + 1)}),
        "a bomb": zip_of({**GOOD, **{f"sourdough/{n}.md": b"\0" * MOST_FILE for n in range(30)}}),
        "a bomb that lies": lying_zip(),
        "another name inside": other_name_inside(),
        "encrypted": encrypted(),
        "too many files": zip_of({**GOOD, **{f"sourdough/{n}.md": b"x" for n in range(MOST_FILES)}}),
        "100k entries": many_in_a_zip(100_000),
        "too deep": zip_of({**GOOD, "sourdough/" + "d/" * 10 + "x.md": b"x"}),
        "tar bomb": gzip.compress(tar_of((member("SKILL.md"), MAIN), (member("z"), b"\0" * 60_000_000), compressed="")),
        "cut off": zip_of(GOOD)[:-30],
        "cut off tar": tar_of((member("SKILL.md"), os.urandom(3000)))[:-500],
        "no skill": zip_of({"readme.md": b"x"}),
        "wrong case": zip_of({"sourdough/skill.md": MAIN}),
        "two skills": zip_of({"a/SKILL.md": MAIN, "b/SKILL.md": MAIN}),
        "bzip2": b"BZh91AY&SY" + os.urandom(100),
        "broken gzip": b"\x1f\x8b\x08" + os.urandom(200),
        "not a skill": zip_of({"SKILL.md": b"no front matter"}),
        "rubbish": b"PK\3\4" + os.urandom(500),
    }


@pytest.fixture
def watched(tmp_path: Path, settings: Settings) -> Path:
    assert settings.home
    return settings.home


@pytest.mark.timeout(120)
async def test_s77_no_evil_archive_changes_anything_on_disk(client: TestClient, watched: Path, tmp_path: Path) -> None:
    def everything() -> dict[str, bytes | None]:
        return {path: data for path, data in tree(tmp_path).items() if "ironclaw.db" not in path}

    before = everything()
    for kind, archive in evil().items():
        started = time.process_time()
        for route in ("preview", "install"):
            status, reply = await send_archive(client, route, archive)
            assert status == 422, (kind, reply)
            assert reply["error"]["code"] in {"bad_archive", "bad_skill"}, (kind, reply)
        assert time.process_time() - started < 5, kind
    assert everything() == before
    assert (await ask(client, "GET", "list")) == {"skills": [], "problems": []}
    assert not Path("/etc/evil.md").exists()


def test_s77_a_bomb_is_never_unfolded_whole() -> None:
    bomb = gzip.compress(b"\0" * 120_000_000)
    tracemalloc.start()
    with pytest.raises(Invalid, match="unfolds"):
        unpack(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


async def test_s77_an_evil_update_leaves_the_installed_one_as_it_was(client: TestClient, watched: Path) -> None:
    await ask(client, "POST", "install", {"archive": base64_of(zip_of(GOOD))})
    before = tree(watched / "skills")
    for kind in ("symlink", "zip '../evil.md'", "a bomb", "case collision"):
        assert (await send_archive(client, "install", evil()[kind], update=True))[0] == 422
    assert tree(watched / "skills") == before
    assert (await ask(client, "GET", "list"))["skills"][0]["state"] == "disabled"


async def test_an_archive_too_large_to_be_looked_at_is_refused(client: TestClient) -> None:
    status, reply = await send_archive(client, "install", zip_of(GOOD) + os.urandom(10 << 20))
    assert (status, reply["error"]["code"]) == (422, "bad_archive")
    assert (await send_archive(client, "install", b"x" * (13 << 20)))[0] == 413


@pytest.mark.parametrize(
    "archive",
    [
        zip_of(GOOD),
        zip_of({"SKILL.md": MAIN}),
        zip_of({"sourdough/": b"", "sourdough/SKILL.md": MAIN, "README.md": b"outside"}),
        zip_of({"repo-main/skills/sourdough/SKILL.md": MAIN, "repo-main/LICENSE": b"x"}),
        zip_of({"./SKILL.md": MAIN, "__MACOSX/._SKILL.md": b"x", ".DS_Store": b"x", ".git/config": b"x"}),
        tar_of((member("./", tarfile.DIRTYPE), b""), (member("./SKILL.md"), MAIN)),
        tar_of((member("sourdough/SKILL.md"), MAIN), compressed=""),
        MAIN,
    ],
)  # fmt: skip
def test_the_usual_ways_to_pack_a_skill_are_read(archive: bytes) -> None:
    package = unpack(archive)
    assert dict(package.files) == {"SKILL.md": MAIN}


def test_of_several_skills_one_is_named() -> None:
    archive = zip_of({"x/a/SKILL.md": text("a"), "x/b/SKILL.md": text("b"), "x/b/more.md": "m"})
    with pytest.raises(Invalid, match="a, b"):
        unpack(archive)
    package = unpack(archive, name="b")
    assert (package.name, sorted(package.files)) == ("b", ["SKILL.md", "more.md"])


def test_nothing_that_is_unpacked_may_be_run() -> None:
    """The rights that an archive gives its files are not kept: those of new files are the system's own."""
    info = member("SKILL.md")
    info.mode = 0o4777
    assert unpack(tar_of((info, MAIN))).files == {"SKILL.md": MAIN}


def test_a_changed_byte_in_a_zip_is_seen() -> None:
    data = bytearray(zip_of({"SKILL.md": MAIN}))
    data[data.rfind(b"PK\1\2") + 16] ^= 1
    with pytest.raises(Invalid, match="CRC"):
        unpack(bytes(data))
    assert zlib.crc32(MAIN)  # and what was packed is no special case


async def test_r06_a_skill_on_a_full_disk_leaves_nothing(gateway_process: Any, tmp_path: Path) -> None:
    skills = tmp_path / "home" / "skills"
    skills.mkdir(parents=True)
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(skills))
    gateway = gateway_process().start(prefix=prefix)
    seen = Path(f"/proc/{gateway.process.pid}/root{skills}")
    assert gateway.request("PUT", "/api/skills/mine", {"content": text("mine")})[0] == 200
    small = base64_of(zip_of(GOOD))
    assert gateway.request("POST", "/api/skills/install", {"archive": small})[0] == 200
    before = tree(seen)
    fat = {**GOOD, "sourdough/SKILL.md": text(version="2.0.0"), "sourdough/a.bin": os.urandom(900_000)}
    fat["sourdough/b.bin"] = os.urandom(900_000)
    body = {"archive": base64_of(zip_of(fat)), "update": True}
    status, _, reply = gateway.request("POST", "/api/skills/install", body)
    assert (status, reply["error"]["code"]) == (503, "disk_full"), reply
    assert tree(seen) == before
    listed = gateway.request("GET", "/api/skills/list")[2]["skills"]
    assert {one["name"]: (one["version"], one["state"]) for one in listed} == {
        "mine": ("1.0.0", "enabled"), "sourdough": ("1.0.0", "disabled"),
    }  # fmt: skip
