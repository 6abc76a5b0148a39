"""Packs of modules: what JavaScript they take, that they run as the modules would, and what they refuse."""

import json
import subprocess
from pathlib import Path

import pytest

from ironclaw.api.packs import MAIN, Packs, sheet


def page(root: Path, **modules: str) -> Packs:
    """A page of these modules; `views_b` is js/views/b.js."""
    for name, text in modules.items():
        path = root / "js" / f"{name.replace('_', '/')}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Packs(root)


def run(root: Path, packs: Packs) -> object:
    """What node says: the packs stand where the browser would see them, and `main.js` prints JSON."""
    (root / "package.json").write_text('{"type": "module"}')
    for entry, text in {entry: packs.text(entry) for entry in packs.entries()}.items():
        (root / entry).write_text(text)
    done = subprocess.run(["node", root / MAIN], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_a_pack_runs_as_its_modules_would(tmp_path: Path) -> None:
    main = """
import Part from "./views/part.js";
import { half as halved, LIMIT } from "./views/part.js";
import * as names from "./names.js";
import {
  first,
  second,
} from "./names.js";
import "./touched.js";
// import { nothing } from "./nowhere.js";
console.log(JSON.stringify([new Part().text(), halved(LIMIT), names.first, first + second, globalThis.touched]));
"""
    part = """
import { first } from "../names.js";
import "../touched.js";

/** A part. */
export default class Part {
  text() {
    return `${first}
exported`;
  }
}
export const LIMIT = 8;
export function half(of) {
  return of / 2;
}
"""
    names = """
export const first = "a";
export const second = "b"; // export is a word
"""
    touched = "globalThis.touched = (globalThis.touched ?? 0) + 1;\n"
    packs = page(tmp_path, main=main, names=names, touched=touched, views_part=part)
    assert run(tmp_path, packs) == ["a\nexported", 4, "a", "ab", 1]


def test_what_is_brought_later_has_the_same_modules_as_the_first_load_and_as_each_other(tmp_path: Path) -> None:
    main = """
import { count } from "./counter.js";
count("main");
async function load() {
  const [a, b] = [await import("./views/a.js"), await import("./views/b.js")];
  console.log(JSON.stringify([new a.default().name, b.known, count("end")]));
}
load();
"""
    counter = """
const seen = [];
export function count(name) {
  seen.push(name);
  return seen;
}
"""
    shared = """
import { count } from "./counter.js";
count("shared");
export const both = {};
"""
    a = """
import { both } from "../shared.js";
both.a = 1;
export default class A {
  name = "a";
}
"""
    b = """
import { both } from "../shared.js";
export const known = Object.keys(both);
"""
    packs = page(tmp_path, main=main, counter=counter, shared=shared, views_a=a, views_b=b)
    assert packs.entries() == {MAIN, "js/views/a.js", "js/views/b.js"}
    assert run(tmp_path, packs) == ["a", ["a"], ["main", "shared", "end"]]


@pytest.mark.parametrize(
    ("main", "told"),
    [
        ('import { a } from "./other.js"', "can't be packed"),
        ("export { a };\n", "can't be packed"),
        ("export let a = 1;\n", "can't be packed"),
        ('import { c } from "./other.js";\n', "does not export"),
        ('import Other from "./other.js";\n', "does not export"),
        ('import { b } from "./circle.js";\n', "imports itself"),
    ],
)
def test_what_a_pack_would_get_wrong_is_refused(tmp_path: Path, main: str, told: str) -> None:
    packs = page(
        tmp_path,
        main=main,
        other="export const a = 1;\n",
        circle='import { a } from "./round.js";\nexport const b = a;\n',
        round='import { b } from "./circle.js";\nexport const a = b;\n',
    )
    with pytest.raises(ValueError, match=told):
        packs.text(MAIN)


def test_a_stylesheet_stands_with_what_it_imports_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    for name, text in {"page": '@import "./a.css";\n@import "./b.css";\np {}\n', "a": "a {}\n", "b": "b {}\n"}.items():
        (tmp_path / f"css/{name}.css").write_text(text)
    assert sheet(tmp_path, "css/page.css") == "a {}\nb {}\np {}\n"
