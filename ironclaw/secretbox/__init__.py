"""Secrets on disk, encrypted: a model's key, tokens of extensions."""
