"""`frozen` and `define` of attrs, with one `__eq__`, one `__hash__` and one `__repr__` for all classes.

attrs writes and compiles these three anew for each class. A start makes more than 200 classes: a third of the time that
our modules take to load, and 2.7 MB. Type checkers see attrs' own decorators, and what those promise holds: fields with
`eq=False` or `repr=False` are left out, and methods that a class has of its own stay.
"""

import functools
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from attrs import define, frozen
else:

    def _decorator(make, own_hash):
        def decorate(cls=None, /, *, eq=True, repr=True, **more):  # noqa: A002 - attrs' names
            if cls is None:
                return functools.partial(decorate, eq=eq, repr=repr, **more)
            kept = vars(cls)
            made = make(cls, eq=False, repr=False, **more)
            if repr and "__repr__" not in kept:
                made.__repr__ = _repr
            if eq and "__eq__" not in kept:
                made.__eq__ = _eq
                made.__hash__ = kept.get("__hash__", own_hash)
            return made

        return decorate

    def _eq(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _compared(self) == _compared(other)

    def _hash(self):
        return hash((self.__class__, _compared(self)))

    def _compared(value):
        return tuple(getattr(value, field.name) for field in attrs.fields(value.__class__) if field.eq)

    def _repr(self):
        shown = [(field, getattr(self, field.name)) for field in attrs.fields(self.__class__) if field.repr]
        texts = [f"{field.name}={repr(value) if field.repr is True else field.repr(value)}" for field, value in shown]
        name = self.__class__.__qualname__.rpartition(">.")[2]  # not the function that it was made in
        return f"{name}({', '.join(texts)})"

    frozen = _decorator(attrs.frozen, _hash)
    define = _decorator(attrs.define, None)

__all__ = ["define", "frozen"]
