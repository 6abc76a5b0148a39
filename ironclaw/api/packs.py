"""Packs: a module of the page together with all that it imports, in one reply.

The page is plain ES modules, which work as they stand. But a browser asks for each of them, and for ninety small files that
costs more than the files: so the gateway answers for an entry (`js/main.js`, or a module that is brought later through
`import()`) with one text. In it each module is a function that gives what the module exports; `js/main.js` keeps what was
made, so that a module is there once, whichever packs it is in. A stylesheet is given with those that it imports.

This takes JavaScript as the page's modules are written, and refuses the rest (ValueError): imports are relative, at the top
and end in a semicolon; `export` stands before a class, a function or a const; no two modules import each other.
"""

import functools
import posixpath
import re
from pathlib import Path

import attrs

from ironclaw.values import define, frozen

MAIN = "js/main.js"
_IMPORT = re.compile(r'^import (?:(\{[^}]*\}|\* as \w+|\w+) from )?"(\.[^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (default )?(?=(?:async )?(?:class|function|const) (\w+))", re.MULTILINE)
_SHEET = re.compile(r'^@import "(\.[^"]+)";\n', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\.[^"]+)"\)')
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n", re.MULTILINE)
_KEEPER = """const made = new Map();
export const $need = (name, make) => {
  if (!made.has(name)) made.set(name, make());
  return made.get(name);
};
"""


@functools.cache
def entries(root: Path) -> frozenset[str]:
    """The modules of the page below *root* that are asked for by themselves."""
    return frozenset(Packs(root).entries())


def given(root: Path, name: str) -> bytes:
    """What is given for the module or the stylesheet *name* below *root*. Reads files: for a thread."""
    if name.endswith(".css"):
        return sheet(root, name).encode()
    return Packs(root).text(name).encode() if name in entries(root) else (root / name).read_bytes()


def sheet(root: Path, name: str) -> str:
    """A stylesheet with those that it imports in their places."""
    text = (root / name).read_text(encoding="utf-8")
    return _SHEET.sub(lambda found: sheet(root, _beside(name, found[1])), text)


@frozen
class _Module:
    """A module without the word `export`. *exports* are its local names by the public ones; the others are modules."""

    text: str
    exports: dict[str, str]
    imports: tuple[str, ...]
    later: tuple[str, ...]


@define
class Packs:
    """The packs of the page below *root*."""

    _root: Path
    _modules: dict[str, _Module] = attrs.Factory(dict)

    def entries(self) -> set[str]:
        """The modules that are asked for by themselves."""
        found, waiting = set[str](), [MAIN]
        while waiting:
            entry = waiting.pop()
            if entry not in found:
                found.add(entry)
                waiting += [later for name in self._below(entry) for later in self._module(name).later]
        return found

    def text(self, entry: str) -> str:
        """The pack of *entry*: what it needs beyond the modules of `js/main.js`."""
        names = self._below(entry)
        if entry == MAIN:
            head, tail = _KEEPER, ""
        else:
            there = set(self._below(MAIN))
            names = [name for name in names if name not in there]
            head = f'import {{ $need }} from "{_relative(MAIN, entry)}";\n'
            tail = "".join(_exported(entry, public) for public in self._module(entry).exports)
        return head + "".join(self._wrapped(name, entry) for name in names) + tail

    def _below(self, entry: str) -> list[str]:
        """*entry* and all that it imports, each after what it imports itself."""
        done: list[str] = []
        self._visit(entry, done, ())
        return done

    def _visit(self, name: str, done: list[str], above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(
                f"{name} imports itself, through {' and '.join(above[above.index(name) + 1 :]) or 'nothing'}"
            )
        if name not in done:
            for imported in self._module(name).imports:
                self._visit(imported, done, (*above, name))
            done.append(name)

    def _wrapped(self, name: str, entry: str) -> str:
        module = self._module(name)
        text = _IMPORT.sub(lambda found: self._taken(name, found), module.text)
        text = _LATER.sub(lambda found: f'import("{_relative(_beside(name, found[1]), entry)}")', text)
        exports = ", ".join(f"{public}: {local}" for public, local in module.exports.items())
        return f'$need("{name}", (() => {{\n{text}return {{ {exports} }};\n}}));\n'

    def _taken(self, name: str, found: re.Match[str]) -> str:
        """What takes the place of an import."""
        names, source = found[1], _beside(name, found[2])
        if names is None:
            return ""
        if names.startswith("* as "):
            return f'const {names.removeprefix("* as ")} = $need("{source}");'
        if not names.startswith("{"):
            names = f"{{ default as {names} }}"
        for part in filter(None, (part.strip() for part in names.strip("{}").split(","))):
            if part.split()[0] not in self._module(source).exports:
                raise ValueError(f"{name} imports {part}, which {source} does not export")
        return f'const {names.replace(" as ", ": ")} = $need("{source}");'

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            self._modules[name] = _parsed(name, (self._root / name).read_text(encoding="utf-8"))
        return self._modules[name]


def _parsed(name: str, source: str) -> _Module:
    source = _COMMENT.sub("", source)
    text = _EXPORT.sub("", source)
    if left := _LEFT.search(_IMPORT.sub("", text)):
        raise ValueError(f"{name}: this can't be packed: {left[0]}")
    return _Module(
        text=text,
        exports={"default" if found[1] else found[2]: found[2] for found in _EXPORT.finditer(source)},
        imports=tuple(_beside(name, found[2]) for found in _IMPORT.finditer(source)),
        later=tuple(_beside(name, found[1]) for found in _LATER.finditer(source)),
    )


def _exported(entry: str, public: str) -> str:
    statement = "export default" if public == "default" else f"export const {public} ="
    return f'{statement} $need("{entry}").{public};\n'


def _beside(name: str, path: str) -> str:
    """The name below the root of what the module *name* calls *path*."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def _relative(name: str, entry: str) -> str:
    """What the module *entry* has to call *name*."""
    path = posixpath.relpath(name, posixpath.dirname(entry))
    return path if path.startswith(".") else f"./{path}"
