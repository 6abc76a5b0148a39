"""What a fresh workspace is filled with. When that happens is decided in `workspace.py`."""

README = """\
# Your notes

This folder is the memory of your assistant. All of it is plain text: edit it with any editor, sync it, keep it in git.

- `daily/` has one note a day. `note: call the plumber` in the chat adds a line to today's.
- `MEMORY.md` is for what should be known for long: people, places, dates, wishes.
- `AGENTS.md` tells the assistant how to work. It reads that file and never writes it.

Folders and names are yours to choose. Notes end in `.md`, `.markdown` or `.txt`. What begins with a dot is left alone.
"""

AGENTS = """\
# How to work

Write here how the assistant should work for you. It reads this file before it answers, and can't change it.

- Answer briefly. Say which note and line a fact comes from.
- Look in the notes before you say that you don't know.
- Ask before you change or send anything that can't be taken back.
"""

MEMORY = """\
# What to remember

Facts that stay true for long, one a line, so that a search finds them.

## People

## Places

## Dates
"""

DAILY = """\
# {day}

- [ ] TODO: write a first note, for example `note: call the plumber`
"""
