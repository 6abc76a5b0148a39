"""The classes of `ironclaw.values` are equal, hashed and shown as those of attrs are."""

from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw.values import define, frozen


def point(decorate: Any) -> Any:
    """One class, made by us and by attrs."""

    @decorate
    class Point:
        x: int
        y: object = None
        secret: str = attrs.field(default="s", repr=False)
        note: str = attrs.field(default="", eq=False)
        shown: float = attrs.field(default=0.0, repr=lambda value: f"{value:.1f}")

    return Point


OURS, THEIRS = point(frozen), point(attrs.frozen)
FIELDS = st.fixed_dictionaries(
    {
        "x": st.integers(0, 1),
        "y": st.one_of(st.none(), st.floats(allow_nan=True), st.tuples(st.integers(0, 1))),
        "secret": st.sampled_from(["s", "t"]),
        "note": st.sampled_from(["", "n"]),
    }
)


@given(FIELDS, FIELDS)
def test_equality_hash_and_text_are_those_of_attrs(one: dict[str, object], other: dict[str, object]) -> None:
    ours, twins = [OURS(**one), OURS(**other)], [THEIRS(**one), THEIRS(**other)]
    assert (ours[0] == ours[1]) == (twins[0] == twins[1])
    assert ours[0] != twins[0]
    assert ours[0] == attrs.evolve(ours[0])
    if ours[0] == ours[1]:
        assert hash(ours[0]) == hash(ours[1])
    assert repr(ours[0]) == repr(twins[0])
    assert "secret" not in repr(ours[0])


def test_what_a_class_or_its_decorator_says_itself_stays() -> None:
    @frozen(kw_only=True, eq=False)
    class Service:
        name: str

    @define
    class Count:
        value: int

        def __repr__(self) -> str:
            return "own"

    @frozen
    class Named:
        name: str

        def __hash__(self) -> int:
            return 7

    assert Service(name="a") != Service(name="a")
    assert len({Service(name="a"), Service(name="a")}) == 2
    assert Count(1) == Count(1) != Count(2)
    assert repr(Count(1)) == "own"
    assert hash(Named("a")) == 7
    with pytest.raises(TypeError, match="unhashable"):
        hash(Count(1))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Service(name="a").name = "b"  # type: ignore[misc]


def test_a_subclass_is_not_equal_to_its_base() -> None:
    @frozen
    class Base:
        x: int

    @frozen
    class Sub(Base):
        pass

    assert Base(1) != Sub(1)
    assert Sub(1) == Sub(1)


def test_all_classes_are_made_so() -> None:
    modules = (Path(__file__).parents[1] / "ironclaw").rglob("*.py")
    assert [path.name for path in modules if "@attrs." in path.read_text()] == []
