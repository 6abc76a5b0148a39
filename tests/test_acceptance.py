"""The acceptance points of the page: each is named by a browser test, as `point_NN` or in a group, `points_NN_NN`."""

import ast
import functools
import re
from pathlib import Path

import pytest

E2E = Path(__file__).with_name("e2e")
POINTS = {
    1: "a link with the token leaves none behind, and one can write within a second",
    2: "nothing jumps, neither while the page comes nor while an answer does",
    3: "six sizes of letters, sixteen colours, one grid",
    4: "one filled button in each view",
    5: "contrast of text, controls and the focus",
    6: "the system's theme from the first paint on",
    7: "a phone: nothing sideways, targets of 44 px, the composer above the keyboard",
    8: "lines of a length that reads well, the same in chat and notes",
    9: "own text is there at once; what was not sent stays",
    10: "a fast answer blocks nothing and keeps what is finished",
    11: "who reads further up is not moved",
    12: "a selection survives what is added",
    13: "each of many calls of one name ends on its own",
    14: "Stop waits for the gateway's word",
    15: "a break is one quiet line, and nothing is doubled after it",
    16: "what is wrong with a model is said, with what to do",
    17: "a key never comes back",
    18: "nothing is allowed by accident, and what waits is found from everywhere",
    19: "times and names for people",
    20: "empty, failed and slow views say what to do",
    21: "few requests, and a limit that is waited for",
    22: "back, forward and reload keep where one was",
    23: "everything by keys",
    24: "thousands of messages",
    25: "the same measures in all places",
}


@functools.cache
def proofs() -> dict[int, list[str]]:
    """The names of the browser tests by the points that they name."""
    found: dict[int, list[str]] = {number: [] for number in POINTS}
    for path in sorted(E2E.glob("test_*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (
                named := re.match(r"test_points?((?:_(?:and_)?\d\d)+)_", node.name)
            ):
                for number in map(int, re.findall(r"\d\d", named[1])):
                    found.setdefault(number, []).append(f"{path.name}: {node.name}")
    return found


@pytest.mark.parametrize("number", POINTS)
def test_each_point_of_the_design_is_proven_in_a_browser(number: int) -> None:
    assert proofs()[number], f"no test names point {number}: {POINTS[number]}"


def test_no_test_names_a_point_that_there_is_not() -> None:
    assert set(proofs()) == set(POINTS)
