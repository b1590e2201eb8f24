"""A file's code read from its end: calls, fields that are set to names, whole arguments.

Forwards, a search for names before a parenthesis begins at every letter. Backwards it begins at the parentheses, of
which there are few, and what a field belongs to follows the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from lorelint.code.facts import Assigned, Called, Through
from lorelint.code.words import KEYWORDS
from lorelint.model.regex import regex

_CALL = regex(rb"\(\s*+(\w++)(?<![0-9])(\s*+>-|\.)?+")
_BASE = regex(rb"\s*+(?:>-|\.)\s*+(?:\][^\[\]\n]*+\[\s*+)*+(\w++)(?<![0-9])\s*+(>-|\.)?+")
_STORED = regex(rb";\s*+(\w++)(?<![0-9])\s*+(?:&\s*+)?+=\s*+(\w++)\s*+(?:>-|\.)")
# See `search.argument_places`. Two searches for one character each are faster than one for either.
_ARGUMENTS = tuple(regex(end + rb"\s*+(\w++)(?=[(, \t\n&])") for end in (rb",", rb"\)"))
_POINTER_CALL = regex(rb"\(\s*+\*\s*+([A-Za-z_][\w>.\-]*+)\s*+\)\s*+\(")
_DECLARED = regex(rb"struct(?<!\wstruct)\s++(\w++)([\w\s*,\[\]]++)")
_NAME = regex(rb"[A-Za-z_]\w*+")
_NO_CALL = frozenset(
    word[::-1]
    for word in KEYWORDS | {b"defined", b"__attribute__", b"__typeof__", b"typeof", b"sizeof", b"__alignof__"}
)
NO_FUNCTION = frozenset((b"true", b"false", b"jiffies", b"current"))
_row = tuple.__new__  # a named row in a third of the time its own constructor takes; there are millions of calls


class Place(Struct):
    """Where one function lies in its file.

    start, brace, end  offsets of its declaration, of its opening brace, and of what follows it
    last   number of its last line
    given  its parameters as text, in which every name of them stands
    names  those names; asked for when one of them may be called
    """

    start: int
    brace: int
    end: int
    last: int
    given: bytes
    names: Callable[[], frozenset[bytes]]
    declared: Mapping[bytes, bytes] | None = None
    owned: frozenset[bytes] | None = None

    def owns(self, word: bytes) -> bool:
        """Whether a parameter has that name."""
        return word in self.maybe and word in self.all_names()

    @property
    def maybe(self) -> bytes | frozenset[bytes]:
        """What to look into first: the text, unless that is long."""
        return self.given if len(self.given) < 4096 else self.all_names()

    def all_names(self) -> frozenset[bytes]:
        if self.owned is None:
            self.owned = self.names()
        return self.owned


class Backwards:
    """The masked code of a file."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        self._back = code[::-1]
        self._size = len(code)

    def calls(self, fn: Place) -> tuple[tuple[Called, ...], tuple[Through, ...]]:
        """Calls by name, and through fields and pointers, in the order of the text."""
        calls: list[Called] = []
        through: list[Through] = []
        line, at, given = fn.last, self._size - fn.end, fn.maybe
        count = self._back.count
        for found in _CALL.finditer(self._back, at, self._size - fn.brace):
            word, member = found.groups()
            if word in _NO_CALL:
                continue
            end = found.end(1)
            line -= count(b"\n", at, end)
            at = end
            word = word[::-1]
            name = word.decode()  # \w in bytes is ASCII
            if member is not None:
                through.append(Through(name, self._of(fn, end), line))
            elif word in given and fn.owns(word):
                through.append(Through(name, "*", line))
            else:
                calls.append(_row(Called, (name, line)))
        calls.reverse()
        through.reverse()
        if self.code.find(b"(*", fn.brace, fn.end) >= 0:
            through.extend(self._pointer_calls(fn))
        return tuple(calls), tuple(through)

    def _pointer_calls(self, fn: Place) -> Iterator[Through]:
        """``(*f)(..)`` and ``(*ops->f)(..)``."""
        line, at = fn.last - self.code.count(b"\n", fn.brace, fn.end), fn.brace
        for found in _POINTER_CALL.finditer(self.code, fn.brace, fn.end):
            expr = found.group(1)
            name = _NAME.findall(expr)[-1]
            of = "*" if expr == name else self._of(fn, self._size - found.end(1) + len(name))
            line += self.code.count(b"\n", at, found.start())
            at = found.start()
            yield Through(name.decode(), of, line)

    def stored(self, fn: Place, function: str) -> list[Assigned]:
        """``base->field = value;`` in order."""
        rows: list[Assigned] = []
        line, at = fn.last, self._size - fn.end
        for found in _STORED.finditer(self._back, self._size - fn.end, self._size - fn.brace):
            value = found.group(1)[::-1]
            if value.isupper() or value in NO_FUNCTION or fn.owns(value):
                continue
            end = found.end(2)
            name = found.group(2)[::-1].decode()
            line -= self._back.count(b"\n", at, end)
            at = end
            rows.append(Assigned(function, self._of(fn, end), name, value.decode(), line))
        rows.reverse()
        return rows

    def _of(self, fn: Place, end: int) -> str:
        """What kind of object a field belongs to, whose name ends at `end`; see `Through`."""
        found = _BASE.match(self._back, end, self._size - fn.start)
        if found is None:
            return ""
        base, member = found.groups()
        if member is not None:
            return "->" + base[::-1].decode()
        if fn.declared is None:
            fn.declared = _declared(self.code[fn.start : fn.end])
        tag = fn.declared.get(base[::-1])
        return f"struct {tag.decode()}" if tag is not None else ""

    def arguments(self) -> set[bytes]:
        """All words that stand somewhere like a whole argument."""
        return {word[::-1] for pattern in _ARGUMENTS for word in pattern.findall(self._back)}

    def argument_places(self, words: Sequence[bytes]) -> dict[bytes, list[int]]:
        """Where each of these words stands like a whole argument, in order: all that `search.argument_places` finds."""
        back = {word[::-1]: word for word in words}
        places: dict[bytes, list[int]] = {word: [] for word in words}
        for pattern in _ARGUMENTS:
            for found in pattern.finditer(self._back):
                word = back.get(found.group(1))
                if word is not None:
                    places[word].append(self._size - found.end(1))
        return {word: sorted(each) for word, each in places.items()}


def _declared(code: bytes) -> dict[bytes, bytes]:
    """Variables and parameters declared as, or as pointers to, a structure: name -> tag; the first one counts."""
    known: dict[bytes, bytes] = {}
    for found in _DECLARED.finditer(code):
        tag = found.group(1)
        for number, part in enumerate(found.group(2).split(b",")):
            names = _NAME.findall(part)
            if number and len(names) > 1:  # the next parameter
                tag = names[1] if names[0] == b"struct" and len(names) > 2 else b""
            if names and tag:
                known.setdefault(names[-1], tag)
    return known
