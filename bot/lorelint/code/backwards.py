"""Code of a function read from its end: its calls, and the fields it sets to names.

Forwards, a search for names before a parenthesis begins at every letter. Backwards it begins at the parentheses, of
which there are few, and what a field belongs to follows the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from lorelint.code.facts import Assigned, Called, Through
from lorelint.code.words import KEYWORDS

_CALL = re.compile(rb"\(\s*+(\w++)(?<![0-9])(\s*+>-|\.)?+")
_BASE = re.compile(rb"\s*+(?:>-|\.)\s*+(?:\][^\[\]\n]*+\[\s*+)*+(\w++)(?<![0-9])\s*+(>-|\.)?+")
_STORED = re.compile(rb";\s*+(\w++)(?<![0-9])\s*+(?:&\s*+)?+=\s*+(\w++)\s*+(?:>-|\.)")
_POINTER_CALL = re.compile(rb"\(\s*+\*\s*+([A-Za-z_][\w>.\-]*+)\s*+\)\s*+\(")
_DECLARED = re.compile(rb"struct(?<!\wstruct)\s++(\w++)([\w\s*,\[\]]++)")
_NAME = re.compile(rb"[A-Za-z_]\w*+")
_NO_CALL = frozenset(
    word[::-1]
    for word in KEYWORDS | {b"defined", b"__attribute__", b"__typeof__", b"typeof", b"sizeof", b"__alignof__"}
)
NO_FUNCTION = frozenset((b"true", b"false", b"jiffies", b"current"))
_row = tuple.__new__  # a named row in a third of the time its own constructor takes; there are millions of calls


class Backwards:
    """One function's masked code.

    body  where its brace is
    end   number of its last line
    own   names of its parameters, asked for when one of them may be called
    """

    def __init__(self, code: bytes, body: int, end: int, own: Callable[[bytes], bool]) -> None:
        self._code = code
        self._back = code[::-1]
        self._body = body
        self._end = end
        self._own = own
        self._known: Mapping[bytes, bytes] | None = None

    def calls(self) -> tuple[tuple[Called, ...], tuple[Through, ...]]:
        """Calls by name, and through fields and pointers, in the order of the text."""
        calls: list[Called] = []
        through: list[Through] = []
        back, own, line, at = self._back, self._own, self._end, 0
        count = back.count
        for found in _CALL.finditer(back, 0, len(back) - self._body):
            word, member = found.groups()
            if word in _NO_CALL:
                continue
            end = found.end(1)
            line -= count(b"\n", at, end)
            at = end
            word = word[::-1]
            name = word.decode()  # \w in bytes is ASCII
            if member is not None:
                through.append(Through(name, self._of(end), line))
            elif own(word):
                through.append(Through(name, "*", line))
            else:
                calls.append(_row(Called, (name, line)))
        calls.reverse()
        through.reverse()
        if b"(*" in self._code:
            through.extend(self._pointer_calls())
        return tuple(calls), tuple(through)

    def _pointer_calls(self) -> Iterator[Through]:
        """``(*f)(..)`` and ``(*ops->f)(..)``."""
        for found in _POINTER_CALL.finditer(self._code, self._body):
            expr = found.group(1)
            field = _NAME.findall(expr)[-1]
            of = "*" if expr == field else self._of(len(self._code) - found.end(1) + len(field))
            yield Through(field.decode(), of, self._line(len(self._code) - found.start()))

    def stored(self, function: str) -> list[Assigned]:
        """``base->field = value;`` in order."""
        rows: list[Assigned] = []
        for found in _STORED.finditer(self._back, 0, len(self._back) - self._body):
            value = found.group(1)[::-1]
            if value.isupper() or value in NO_FUNCTION or self._own(value):
                continue
            end = found.end(2)
            field = found.group(2)[::-1].decode()
            rows.append(Assigned(function, self._of(end), field, value.decode(), self._line(end)))
        rows.reverse()
        return rows

    def _line(self, end: int) -> int:
        """Of what begins in the text where `end` is backwards."""
        return self._end - self._back.count(b"\n", 0, end)

    def _of(self, end: int) -> str:
        """What kind of object a field belongs to, whose name ends at `end`; see `Through`."""
        found = _BASE.match(self._back, end)
        if found is None:
            return ""
        base, member = found.groups()
        if member is not None:
            return "->" + base[::-1].decode()
        if self._known is None:
            self._known = _declared(self._code)
        tag = self._known.get(base[::-1])
        return f"struct {tag.decode()}" if tag is not None else ""


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
