"""Jobs: commands and agent tasks that run away from the chat, in a folder of their own, in a sandbox with hard limits.

`manager` starts, queues, ends and keeps them, `run` is one that runs, `output` its log, `store` the SQL. How a program is
confined and watched is `ironclaw/sandbox/`.
"""
