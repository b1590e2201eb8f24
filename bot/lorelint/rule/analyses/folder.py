"""One folder of the kernel as a neighbourhood: what can be resolved without asking the whole tree.

A search of the whole tree costs a second where there is no index, and most names a driver calls are its own
or the core's. So names are looked up near at hand first, and tree-wide only where a rule has a reason to.
"""

from __future__ import annotations

from collections.abc import Iterable

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.model.regex import regex

_HEADERS = 80  # opened for one file, its includes' includes among them
_HIDDEN = regex(r"[^\w./-]")


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def beside(program: Program, folder: str) -> tuple[str, ...]:
    """The source files of one folder, not of those below."""
    return program.memo(("beside", folder), lambda: _beside(program, folder))


def _beside(program: Program, folder: str) -> tuple[str, ...]:
    return tuple(path for path in program.tree.files(folder) if folder_of(path) == folder)


def functions(program: Program, folder: str) -> dict[str, tuple[Function, ...]]:
    """Name -> definitions in the files of one folder."""

    def compute() -> dict[str, tuple[Function, ...]]:
        found: dict[str, list[Function]] = {}
        for path in beside(program, folder):
            for fn in program.functions(path):
                found.setdefault(fn.name, []).append(fn)
        return {name: tuple(many) for name, many in found.items()}

    return program.memo(("functions beside", folder), compute)


def near(program: Program, name: str, path: str) -> tuple[Function, ...]:
    """Definitions of a name in the same file, else in the same folder (static ones of other files left out)."""
    if path.endswith(".h"):
        return program.named(path, name)
    return program.memo(("near", name, path), lambda: _near(program, name, path))


def _near(program: Program, name: str, path: str) -> tuple[Function, ...]:
    own = program.named(path, name)
    if own:
        return own
    here = (fn for each in beside(program, folder_of(path)) if each != path for fn in program.named(each, name))
    return tuple(fn for fn in here if not fn.static or fn.path.endswith(".h"))


def resolve(program: Program, name: str, path: str, *, wide: bool) -> tuple[Function, ...]:
    """Definitions near at hand, in headers that are included, and with `wide` anywhere."""
    found = near(program, name, path)
    if found:
        return found
    for header in headers(program, path):
        if name in inlines(program, header):
            found = tuple(fn for fn in program.functions(header) if fn.name == name)
            if found:
                return found
    return program.define(name, path) if wide else ()


_INLINE = regex(rb"inline\b")
_BEFORE = regex(rb"(static\s+)?(?:__always_)?\Z")
# A header is no longer than that: a text that never ends one costs no more than its length.
_PLAIN = regex(rb"[^;{}()=]{0,400}?\b(\w{1,200})\s{0,99}\(")
_NAMED = regex(rb"[^;{}]{0,400}?\b(\w{1,200})\s{0,99}\([^()]{0,999}\)\s{0,99}\{")  # behind attributes with arguments


def inlines(program: Program, header: str) -> frozenset[str]:
    """Names of the inline functions of a header, by their look."""

    def compute() -> frozenset[str]:
        raw = program.raw(header) or b""
        found: set[str] = set()
        for each in _INLINE.finditer(raw):  # the word itself is found at the speed of memory
            before = _BEFORE.match(raw, raw.rfind(b"\n", 0, each.start()) + 1, each.start())
            if before is not None:
                name = _PLAIN.match(raw, each.end()) or (before[1] and _NAMED.match(raw, each.end()))
                if name:
                    found.add(name[1].decode("utf-8", "surrogateescape"))
        return frozenset(found)

    return program.memo(("inlines", header), compute)


def prefetch(program: Program, names: Iterable[str]) -> None:
    """Have the tree look several words up in one go; the answers are asked for one by one afterwards."""
    wanted = tuple(dict.fromkeys(name for name in names if name))
    if len(wanted) > 1:
        program.tree.mentions(wanted)


def headers(program: Program, path: str) -> tuple[str, ...]:
    """Headers that a file includes, and those that these include, as far as their place is plain."""
    return program.memo(("headers", path), lambda: _headers(program, path))


def _headers(program: Program, path: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    level = [path]
    for _ in range(2):
        below: list[str] = []
        for each in level:
            for include in program.includes(each):
                place = _place(program, include.path, include.local, each)
                if place and place not in found and len(found) < _HEADERS:
                    found[place] = None
                    below.append(place)
        level = below
    return tuple(found)


def _place(program: Program, written: str, local: bool, path: str) -> str:
    if _HIDDEN.search(written):
        return ""
    tries = [f"include/{written}", f"include/uapi/{written}"]
    if local:
        tries.insert(0, _joined(folder_of(path), written))
    return next((each for each in tries if each and program.raw(each) is not None), "")


def _joined(folder: str, written: str) -> str:
    parts = folder.split("/") if folder else []
    for part in written.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
