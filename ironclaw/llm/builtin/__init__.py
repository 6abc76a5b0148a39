"""The built-in assistant: the provider that answers while no language model is connected. Deterministic and offline.

`phrases` turns words into a plan, `answers` turns the results of tools into text, `provider` speaks the protocol.
It makes no small talk and guesses nothing into a write: a question never writes.
"""

from ironclaw.llm.builtin.provider import BuiltinProvider

__all__ = ["BuiltinProvider"]
