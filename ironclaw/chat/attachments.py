"""What comes with a message: pictures, which a model looks at, and text files, which it reads. How they are kept.

Bytes are kept as they came, but for keys in a text, which are never stored. Functions that take a connection run inside
the database's threads.
"""

import base64
import binascii
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import attrs

from ironclaw.agent.marks import mark
from ironclaw.errors import Invalid, NotFound
from ironclaw.redact import printable, redact
from ironclaw.values import frozen

MOST = 8
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""The media types that models look at."""

_MOST_BYTES = 10 << 20
_MOST_TEXT = 200_000
_REMEMBERED = 2  # messages of a conversation whose pictures a model sees again
_TEXT = re.compile(r"text/[\w.+-]+|application/(?:[\w.-]+\+)?(?:json|xml|yaml|toml|x-ndjson|javascript|x-sh|sql)")


@frozen
class Attachment:
    """A file that came with a message."""

    name: str
    media_type: str
    data: bytes = attrs.field(repr=False)


@frozen
class AttachmentInfo:
    """The same as it is told; *number* is its place in the message, *size* in bytes. *data* (base64): in exports only."""

    number: int
    name: str
    media_type: str
    size: int
    data: str | None = None

    def read(self, where: str) -> "Attachment | None":
        """The file of an export; None where that has no *data*. Raises *Invalid* for what can't be taken."""
        return None if self.data is None else read(self.name, self.media_type, self.data, where)


@frozen
class Told:
    """What a model is told of the files of a message: text to stand behind the message's own, and pictures as URLs."""

    text: str = ""
    pictures: tuple[str, ...] = ()


NOTHING = Told()


def check(files: Sequence[Attachment], model: str | None) -> None:
    """Raises *Invalid* for files that can't come with a message. *model* answers; None is the built-in assistant."""
    if files and model is None:
        raise Invalid(
            "The built-in assistant can't read files that come with a message. Connect a language model first.",
            field="attachments",
            code="needs_model",
        )
    if len(files) > MOST:
        raise Invalid(f"A message takes at most {MOST} files.", field="attachments")


def read(name: str, media_type: str, data: str, where: str) -> Attachment:
    """The attachment of a request, whose *data* is base64. Raises *Invalid* for what can't be taken."""
    kind = media_type.partition(";")[0].strip().lower()
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise Invalid("A file's name has 1 to 200 characters that can be printed.", field=f"{where}.name")
    if kind not in PICTURES and not _TEXT.fullmatch(kind):
        raise Invalid(
            f"{name} is {printable(kind) or 'of no type'}. Pictures (PNG, JPEG, GIF, WebP) and text files can be sent.",
            field=f"{where}.media_type",
        )
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"The data of {name} is not base64.", field=f"{where}.data") from None
    if not content or len(content) > _MOST_BYTES:
        raise Invalid(f"{name} has {len(content):,} bytes; 1 to {_MOST_BYTES:,} can be sent.", field=f"{where}.data")
    return Attachment(name, kind, content if kind in PICTURES else _text_of(name, content, where))


def _text_of(name: str, content: bytes, where: str) -> bytes:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"{name} is no text in UTF-8.", field=f"{where}.data") from None
    if len(text) > _MOST_TEXT:
        raise Invalid(
            f"{name} has {len(text):,} characters, and at most {_MOST_TEXT:,} can come with a message. Put it among your"
            " notes instead: the assistant can read parts of it there.",
            field=f"{where}.data",
        )
    return redact.remove_keys(text).encode()


def from_urls(urls: Iterable[str], where: str) -> tuple[Attachment, ...]:
    """The pictures in `data:` URLs. Raises *Invalid* for another URL: nothing is fetched."""
    found = []
    for number, url in enumerate(urls):
        head, _, data = url.partition(",")
        if not head.startswith("data:") or not head.endswith(";base64"):
            raise Invalid("In a conversation that is kept here a picture must be a `data:` URL in base64.", field=where)
        found.append(read(f"picture {number + 1}", head[5:-7], data, where))
    return tuple(found)


def told(attachments: Sequence[Attachment]) -> Told:
    """What a model is told of the files of a message."""
    texts, pictures = [], []
    for one in attachments:
        if one.media_type in PICTURES:
            pictures.append(f"data:{one.media_type};base64,{base64.b64encode(one.data).decode()}")
        else:
            texts.append("\n\n" + mark(f"the attached file {one.name}", one.data.decode()))
    return Told("".join(texts), tuple(pictures))


def keep(db: sqlite3.Connection, message_id: str, attachments: Sequence[Attachment]) -> None:
    """Store the files of a message that was stored before."""
    for number, one in enumerate(attachments):
        db.execute(
            "INSERT INTO attachments (turn_seq, number, name, media_type, size, data)"
            " SELECT seq, ?, ?, ?, ?, ? FROM turns WHERE message_id = ?",
            (number, one.name, one.media_type, len(one.data), one.data, message_id),
        )


def copy(db: sqlite3.Connection, seq: int, new: int) -> None:
    """Give the turn *new* the files of the turn *seq*."""
    db.execute(
        "INSERT INTO attachments SELECT ?, number, name, media_type, size, data FROM attachments WHERE turn_seq = ?",
        (new, seq),
    )


def infos(db: sqlite3.Connection, turns: Sequence[int], *, whole: bool = False) -> Mapping[int, list[AttachmentInfo]]:
    """Which files came with these turns; *whole*: with their data."""
    marks, data = ",".join("?" * len(turns)), "data" if whole else "NULL"
    rows = db.execute(
        f"SELECT turn_seq, number, name, media_type, size, {data} FROM attachments WHERE turn_seq IN ({marks})"  # noqa: S608
        " ORDER BY turn_seq, number",
        turns,
    )
    found: dict[int, list[AttachmentInfo]] = {}
    for seq, number, name, media_type, size, content in rows:
        text = None if content is None else base64.b64encode(content).decode()
        found.setdefault(seq, []).append(AttachmentInfo(number, name, media_type, size, text))
    return found


def of_message(db: sqlite3.Connection, message_id: str) -> Told:
    """What a model is told of the files of one message."""
    rows = db.execute(
        "SELECT name, media_type, data FROM attachments"
        " WHERE turn_seq = (SELECT seq FROM turns WHERE message_id = ?) ORDER BY number",
        (message_id,),
    )
    return told([Attachment(*row) for row in rows])


def of_turns(db: sqlite3.Connection, turns: Sequence[int]) -> Mapping[int, Told]:
    """The same for turns of a conversation: the newest are told whole, of the others only what there was."""
    found: dict[int, Told] = {}
    listed = infos(db, turns)
    for seq in sorted(listed, reverse=True):
        if len(found) < _REMEMBERED:
            rows = db.execute(
                "SELECT name, media_type, data FROM attachments WHERE turn_seq = ? ORDER BY number", (seq,)
            )
            found[seq] = told([Attachment(*row) for row in rows])
        else:
            found[seq] = Told(f"\n\n[Attached then: {', '.join(one.name for one in listed[seq])}]")
    return found


def find(db: sqlite3.Connection, message_id: str, number: int) -> Attachment:
    """One file of a message. Raises *NotFound*."""
    row = db.execute(
        "SELECT name, media_type, data FROM attachments"
        " WHERE turn_seq = (SELECT seq FROM turns WHERE message_id = ?) AND number = ?",
        (message_id, number),
    ).fetchone()
    if row is None:
        raise NotFound(f"The message {printable(message_id)} has no attachment {number}.")
    return Attachment(*row)
