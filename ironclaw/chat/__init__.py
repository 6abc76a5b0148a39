"""Conversations: threads, their turns, what waits and what runs. The turn itself is `agent/`; clients are `hub/`'s."""
