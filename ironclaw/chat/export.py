"""A thread as Markdown, for reading and keeping elsewhere."""

from collections.abc import Sequence

from ironclaw.chat.models import Thread, TurnRecord


def as_markdown(thread: Thread, turns: Sequence[TurnRecord]) -> str:
    """The whole conversation; what was taken back is left out, what has no answer says why."""
    parts = [f"# {thread.title or 'Conversation'}", f"Begun {thread.created_at}, last changed {thread.updated_at}."]
    parts += [_turn(turn) for turn in turns if not turn.undone]
    return "\n\n".join(parts) + "\n"


def _turn(turn: TurnRecord) -> str:
    answer = turn.response or ""
    if turn.error is not None:
        answer = f"{answer}\n\n*{turn.error.message}*".strip()
    elif turn.state != "completed":
        answer = f"{answer}\n\n*({turn.state.value})*".strip()
    files = "".join(f"\n\n*Attached: {one.name}*" for one in turn.attachments)
    return f"**You**, {turn.created_at}:\n\n{turn.user_message}{files}\n\n**IronClaw**:\n\n{answer}"
