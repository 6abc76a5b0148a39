"""What a model is told of a conversation: its stored exchanges as messages."""

from ironclaw.chat import commands
from ironclaw.chat.store import Conversation
from ironclaw.llm.models import ModelMessage


def messages(conversation: Conversation) -> tuple[ModelMessage, ...]:
    """The exchanges, oldest first, with the files that came with them."""
    found = []
    for one in conversation.exchanges:
        text = commands.plain(one.question) + one.attached.text
        found.append(ModelMessage("user", text, pictures=one.attached.pictures))
        if one.answer:
            found.append(ModelMessage("assistant", one.answer))
    return tuple(found)


def covered(conversation: Conversation, kept: int) -> int:
    """The place of the last exchange that is not among the newest *kept* messages."""
    for one in reversed(conversation.exchanges):
        if kept <= 0:
            return one.seq
        kept -= 2 if one.answer else 1
    return 0
