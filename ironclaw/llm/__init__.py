"""Language models behind one protocol. What a turn does with them is `agent/`; what they cost is recorded in `usage/`."""
