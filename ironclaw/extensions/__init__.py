"""Extensions: MCP servers that bring tools. What each is stands in a manifest; `manager.py` keeps the installed ones.

Nothing here loads the MCP SDK before the first extension is really started (`session.py`).
"""
