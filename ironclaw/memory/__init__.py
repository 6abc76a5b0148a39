"""The workspace: notes as plain files that a person can edit with any editor, their search, and the agent's tools.

Only `workspace.py` knows what a note's path may be; files are opened by `ironclaw/files.py` alone. No HTTP here.
"""
