"""A thread as Markdown, for reading and keeping elsewhere."""

from ironclaw.chat.models import ExportedThread, TurnRecord


def as_markdown(exported: ExportedThread) -> str:
    """The whole conversation; what was taken back is left out, what has no answer says why."""
    thread = exported.thread
    parts = [f"# {thread.title or 'Conversation'}", f"Begun {thread.created_at}, last changed {thread.updated_at}."]
    parts += [_turn(turn) for turn in exported.turns if not turn.undone]
    return "\n\n".join(parts) + "\n"


def _turn(turn: TurnRecord) -> str:
    answer = turn.response or ""
    if turn.error is not None:
        answer = f"{answer}\n\n*{turn.error.message}*".strip()
    elif turn.state != "completed":
        answer = f"{answer}\n\n*({turn.state.value})*".strip()
    files = "".join(f"\n\n*Attached: {one.name}*" for one in turn.attachments)
    return f"**You**, {turn.created_at}:\n\n{turn.user_message}{files}\n\n**IronClaw**:\n\n{answer}"
