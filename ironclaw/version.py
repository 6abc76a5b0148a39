"""The version, and nothing else: setup.cfg reads it without importing the program."""

__version__ = "0.1.0"
