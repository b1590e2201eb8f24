"""What one file says, as rows: definitions, calls, tables, fields that hold functions, macros, members, exports.

Facts are a function of a file's bytes alone (the path is not in them), so they are kept by content hash and shared
by all trees that hold the file. They answer who calls whom without the text; `harvest` makes them.
"""

from __future__ import annotations

import json
import zlib
from enum import IntEnum
from typing import Any, NamedTuple

VERSION = 4  # of what `harvest` makes of the same bytes; another number makes all that was kept stale
POINTER = "(*)"  # the target of a member that points to a function


class Called(NamedTuple):
    """One call by name in a function's body; `line` is that of the callee's name."""

    name: str
    line: int


class Through(NamedTuple):
    """A call through a field: ``of->field(..)``.

    of  ``struct tag`` where the object is declared in sight, ``->member`` where it is itself a member (whose type a
        structure's definition tells), "" where neither is known; a plain function pointer has no field: ``(*f)(..)``
        is kept with `field` f and `of` "*"
    """

    field: str
    of: str
    line: int


class Defined(NamedTuple):
    """A function definition, with what is called in it; lines are the file's, from 1."""

    name: str
    line: int
    first_line: int
    end_line: int
    static: bool
    calls: tuple[Called, ...]
    through: tuple[Through, ...]


class Entry(NamedTuple):
    """A name that stands in a designated initialiser: ``.field = value`` in an object of a type.

    function  the one the object is local to, "" at file scope; `field` of a structure inside is ``outer.inner``
    """

    type: str
    object: str
    function: str
    field: str
    value: str
    line: int


class Assigned(NamedTuple):
    """``base->field = value;`` where the value is a name; `of` as in `Through`."""

    function: str
    of: str
    field: str
    value: str
    line: int


class Handed(NamedTuple):
    """A function of this file handed to another one or to a macro: ``callee(.., value, ..)``; `place` from 1."""

    function: str
    callee: str
    place: int
    value: str
    line: int


class Defines(NamedTuple):
    """A function-like macro: the lower-case names it calls; the one function it hands its arguments to, "" for none."""

    name: str
    line: int
    calls: tuple[str, ...]
    wraps: str


class Member(NamedTuple):
    """A member of a structure that leads on: to another structure (its tag), or to a function (`POINTER`)."""

    struct: str
    name: str
    target: str


class Facts(NamedTuple):
    """All rows of one file, in the order of the file.

    doubt  why the file's structure was not plain and it had to be parsed whole, "" where it was
    """

    functions: tuple[Defined, ...] = ()
    entries: tuple[Entry, ...] = ()
    assigned: tuple[Assigned, ...] = ()
    handed: tuple[Handed, ...] = ()
    macros: tuple[Defines, ...] = ()
    members: tuple[Member, ...] = ()
    exports: tuple[str, ...] = ()
    doubt: str = ""


class Role(IntEnum):
    """What a word is in a file, for finding files by it; a word that only stands there has none.

    Bits: several are put together by ``|``, which gives a plain number. (Flags would keep each number they ever saw.)
    """

    DEFINED = 1  # a function of that name is defined
    CALLED = 2  # called by name, in a function or a macro
    VALUE = 4  # stands in a table, is assigned to a field, or is handed on
    MEMBER = 8  # a member of a structure that leads on
    FIELD = 16  # a field that is called through, or filled with a function
    MACRO = 32  # a function-like macro of that name


def roles(facts: Facts) -> dict[str, int]:
    """The roles of every word that has one."""
    found: dict[str, int] = {}

    def add(word: str, role: int) -> None:
        found[word] = found.get(word, 0) | role

    for fn in facts.functions:
        add(fn.name, Role.DEFINED)
        for name, _ in fn.calls:
            add(name, Role.CALLED)
        for field, _, _ in fn.through:
            add(field, Role.FIELD)
    for entry in facts.entries:
        add(entry.value, Role.VALUE)
        add(entry.field.rpartition(".")[2], Role.FIELD)
    for each in facts.assigned:
        add(each.value, Role.VALUE)
        add(each.field, Role.FIELD)
    for handed in facts.handed:
        add(handed.value, Role.VALUE)
    for macro in facts.macros:
        add(macro.name, Role.MACRO)
        for name in macro.calls:
            add(name, Role.CALLED)
    for member in facts.members:
        add(member.name, Role.MEMBER)
    return found


def encode(facts: Facts) -> bytes:
    """Facts as bytes that notice when they are damaged."""
    rows = [*facts[:6], facts.exports, facts.doubt]
    return zlib.compress(json.dumps(rows, separators=(",", ":"), ensure_ascii=True).encode(), 1)


def decode(data: bytes) -> Facts:
    """The facts that `encode` made these bytes of. Raises ValueError for bytes that are damaged."""
    try:
        rows: list[Any] = json.loads(zlib.decompress(data))
        return Facts(
            tuple(
                Defined(
                    name,
                    line,
                    first,
                    end,
                    static,
                    tuple(Called(*c) for c in calls),
                    tuple(Through(*t) for t in through),
                )
                for name, line, first, end, static, calls, through in rows[0]
            ),
            tuple(Entry(*row) for row in rows[1]),
            tuple(Assigned(*row) for row in rows[2]),
            tuple(Handed(*row) for row in rows[3]),
            tuple(Defines(row[0], row[1], tuple(row[2]), row[3]) for row in rows[4]),
            tuple(Member(*row) for row in rows[5]),
            tuple(rows[6]),
            str(rows[7]),
        )
    except (zlib.error, TypeError, IndexError, KeyError, RecursionError) as error:
        raise ValueError(f"damaged facts: {error}") from error
