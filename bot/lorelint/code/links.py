"""Who calls whom, from facts alone: definitions a name can mean, callers, and where a function stands as a value.

A name is a hub where more files call it than anybody can look at; what lies behind it is not asked for. Every
answer has a fixed order and is the same with and without an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from lorelint.code.facts import Assigned, Defined, Defines, Entry, Handed, Role, roles
from lorelint.code.lex import mask
from lorelint.code.program import Program
from lorelint.code.search import argument_places, declares, handed, may_define, rank, seen_from, visible

HUB = 300  # files that mention a name, after which its callers are not looked at
DEFINITIONS = 300  # files that define a name, after which a call of it is not resolved

T = TypeVar("T")


class Spot(NamedTuple):
    """A definition in a file."""

    path: str
    row: Defined

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def static(self) -> bool:
        return self.row.static


class Calls(NamedTuple):
    """All calls of one name by one function or macro of a file; `line` is the first one's."""

    path: str
    row: Defined | Defines
    line: int
    times: int
    sure: bool


class Stands(NamedTuple):
    """A function's name as a value."""

    path: str
    row: Entry | Assigned | Handed


class Links:
    """The calls of one tree, by name."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._roles: dict[str, dict[str, int]] = {}
        self._rows: dict[str, dict[str, tuple[Spot, ...]]] = {}
        self._found: dict[tuple[str, Role], tuple[tuple[str, ...], bool]] = {}

    # -- files

    def warm(self, words: Iterable[str]) -> None:
        """Let a tree without an index search for many words at once."""
        wanted = sorted(set(words))
        if len(wanted) > 1:
            self.program.tree.mentions(wanted)

    def players(self, word: str, role: Role, most: int) -> tuple[tuple[str, ...], bool]:
        """Files in which a word has a role, sorted, at most `most`; and whether those are all."""
        known = self._found.get((word, role))
        if known is not None and (known[1] or len(known[0]) >= most):
            return known[0][:most], known[1] and len(known[0]) <= most
        self.program.note(("mentions", word))
        found: list[str] = []
        for path in self.program.tree.holding(word, int(role)):
            if self._plays(path, word, role):
                found.append(path)
                if len(found) > most:
                    break
        self._found[word, role] = (tuple(found[:most]), len(found) <= most)
        return self._found[word, role]

    def _plays(self, path: str, word: str, role: Role) -> bool:
        """Whether a file that may does; an index knows, else the text is looked at before facts are made of it."""
        if path not in self._roles and self.program.tree.kept(path) is not None:
            return True
        if path not in self._roles:
            if not self._may_play(path, word, role):
                return False
            self._roles[path] = roles(self.program.facts(path))
        return bool(self._roles[path].get(word, 0) & role)

    def _may_play(self, path: str, word: str, role: Role) -> bool:
        raw = self.program.raw(path)
        if raw is None:
            return False
        name = word.encode("utf-8", "surrogateescape")
        if role is Role.DEFINED:
            return may_define(raw, word)
        if role is Role.MACRO:
            return name + b"(" in raw
        if role is Role.CALLED:
            return re.search(rb"\b" + name + rb"\s*\(", raw) is not None
        return role is not Role.FIELD or re.search(rb"(?:\.|->)\s*" + name + rb"\b", raw) is not None

    def hub(self, name: str) -> bool:
        """Whether a name is everywhere, so that who calls it tells nothing."""
        return len(self.program.mentions(name)) > HUB

    # -- definitions

    def local(self, path: str, name: str) -> tuple[Spot, ...]:
        """Functions of that name in a file, in its order."""
        known = self._rows.get(path)
        if known is None:
            known = self._rows[path] = {}
            for row in self.program.facts(path).functions:
                known[row.name] = (*known.get(row.name, ()), Spot(path, row))
        return known.get(name, ())

    def definitions(self, name: str) -> tuple[Spot, ...]:
        """All functions of that name, by path and line."""
        return tuple(
            spot for path in self.players(name, Role.DEFINED, DEFINITIONS)[0] for spot in self.local(path, name)
        )

    def macros(self, name: str) -> tuple[tuple[str, Defines], ...]:
        """All function-like macros of that name that call something, by path and line."""
        return tuple(
            (path, row)
            for path in self.players(name, Role.MACRO, DEFINITIONS)[0]
            for row in self.program.facts(path).macros
            if row.name == name and row.calls
        )

    def meant(self, name: str, near: str) -> tuple[Spot, ...]:
        """The functions that a call of `name` in file `near` can mean; see `Program.define`, which asks the text."""
        return self.program.memo(("meant", name, near), lambda: self._meant(name, near))

    def _meant(self, name: str, near: str) -> tuple[Spot, ...]:
        here = self.local(near, name)
        if here:
            return here
        found = [spot for spot in self.definitions(name) if spot.path != near and visible(spot, near)]
        if len({spot.path for spot in found}) < 2:
            return tuple(found)
        program = self.program
        included = program.includes(near) if any(spot.path.endswith(".h") for spot in found) else ()
        ranks = [rank(spot, near, included) for spot in found]
        chosen = [spot for spot, each in zip(found, ranks, strict=True) if each == min(ranks)]
        if any(spot.path.endswith(".h") and declares(program.raw(spot.path) or b"", name) for spot in chosen):
            chosen = [spot for spot in found if spot in chosen or not spot.path.endswith(".h")]
        return tuple(chosen)

    def meant_macros(self, name: str, near: str) -> tuple[tuple[str, Defines], ...]:
        """The macros that ``name(..)`` in file `near` can mean: its own, else those of headers seen from there."""
        found = self.macros(name) if self.players(name, Role.MACRO, DEFINITIONS)[0] else ()
        here = tuple(each for each in found if each[0] == near)
        return here or tuple(each for each in found if each[0].endswith(".h") and seen_from(each[0], near))

    # -- callers

    def callers(self, path: str, name: str, private: bool, macro: bool = False) -> tuple[list[Calls], bool]:
        """Who calls a function or macro by name, by place; and whether that is everybody.

        private  it is seen in its own file alone
        """
        if not private and self.hub(name):
            return [], False
        found: list[Calls] = []
        for each in (path,) if private else self.players(name, Role.CALLED, HUB)[0]:
            meant = self._meaning(path, name, each, macro)
            if meant:
                found.extend(self._in_file(each, name, meant == 1, path if macro else ""))
        return found, True

    def _meaning(self, path: str, name: str, near: str, macro: bool) -> int:
        """Among how many definitions, this one included, a call in `near` may choose; 0 where it cannot mean it."""
        if macro:
            paths = [each for each, _ in self.meant_macros(name, near)]
            if self.local(near, name) and near not in paths:
                return 0
        else:
            paths = [spot.path for spot in self.meant(name, near)]
        return len(set(paths)) if path in paths else 0

    def _in_file(self, path: str, name: str, sure: bool, own: str) -> Iterator[Calls]:
        facts = self.program.facts(path)
        rows: dict[str, Calls] = {}
        for row in facts.functions:
            lines = [line for callee, line in row.calls if callee == name]
            if lines and row.name not in rows:
                rows[row.name] = Calls(path, row, lines[0], len(lines), sure)
            elif lines:  # one of several definitions under different conditions
                rows[row.name] = rows[row.name]._replace(times=rows[row.name].times + len(lines))
        yield from rows.values()
        for macro in facts.macros:
            if name in macro.calls and not (macro.name == name and own == path):
                yield Calls(path, macro, macro.line, 1, sure)

    # -- values

    def stands(self, path: str, name: str, private: bool) -> tuple[list[Stands], bool]:
        """Where a function's name stands as a value, by place; and whether that is everywhere."""
        if not private and self.hub(name):
            return [], False
        found: list[Stands] = []
        for each in (path,) if private else self.players(name, Role.VALUE, HUB)[0]:
            if not self._meaning(path, name, each, False):
                continue
            facts = self.program.facts(each)
            rows: list[Entry | Assigned | Handed] = [
                *(row for row in facts.entries if row.value == name),
                *(row for row in facts.assigned if row.value == name),
                *(row for row in facts.handed if row.value == name),
            ]
            found.extend(Stands(each, row) for row in sorted(rows, key=lambda row: row.line))
        if not private:
            found.extend(self._handed_elsewhere(path, name))
        return found, True

    def _handed_elsewhere(self, path: str, name: str) -> Iterator[Stands]:
        """Where another file hands the function on: facts have only those that a file defines itself."""
        known = {path, *self.players(name, Role.VALUE, HUB)[0]}
        word = name.encode("utf-8", "surrogateescape")
        for each in self.program.mentions(name):
            raw = self.program.raw(each) if each not in known else None
            if raw is None or next(argument_places(raw, word), None) is None:
                continue
            if self._meaning(path, name, each, False):
                rows = self.program.facts(each).functions
                for callee, place, line in handed(mask(raw), word):
                    inside = next((row.name for row in rows if row.line <= line <= row.end_line), "")
                    yield Stands(each, Handed(inside, callee, place, name, line))


def private(path: str, static: bool) -> bool:
    """Whether a function is seen in its own file alone."""
    return static and not path.endswith(".h")
