"""Guarded outgoing connections: which addresses may be reached, checked when one is connected; redirects, size, time."""
