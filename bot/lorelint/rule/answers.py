"""Outcomes kept between runs: what a rule said of the functions of a file, on one tree that does not change.

An outcome knows what it read, so it also holds on the tree after a patch, for every function whose reads the patch
leaves alone: the second review of a file costs what the patch changes. Kept per rule and file under a key that names
the tree's state, the lists of the kernel version, and the version of the rules and of ourselves.
"""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from enum import Enum
from typing import Any

from msgspec import Struct, field

from lorelint.code.ir import Function
from lorelint.code.program import Key
from lorelint.model.finding import Doubt, Edit, Finding, Fix, Kind, Need, Severity, Sibling, Silence, Step, Verdict
from lorelint.model.knowledge import Knowledge
from lorelint.model.memory import Memory
from lorelint.model.tree import Tree
from lorelint.model.trouble import Unseen
from lorelint.rule.outcome import Outcome

Place = tuple[str, int]  # name of a function and the line of its name
Span = tuple[int, int]  # its first and last line


class Answer(Struct, frozen=True):
    """What was said of one function; `reads` are numbers in the file's table of keys."""

    span: Span
    verdicts: tuple[Verdict, ...]
    unseen: tuple[Unseen, ...]
    reads: tuple[int, ...]
    cost: int


class FileAnswers(Struct):
    """What one rule said of functions of one file.

    functions  how many the file holds, where the rule was asked about all of them that it has a say about; else -1
    """

    functions: int = -1
    answers: dict[Place, Answer] = field(default_factory=dict)
    _packed: bytes = b""  # the keys, as long as nobody has asked for one
    _keys: list[Key] = field(default_factory=list)  # by their numbers
    _numbers: dict[Key, int] = field(default_factory=dict)  # of the keys, as many as were there when last asked for

    def keep(self, fn: Function, outcome: Outcome) -> None:
        keys, numbers = self._all(), self._numbers
        for at in range(len(numbers), len(keys)):
            numbers[keys[at]] = at
        new = sorted(key for key in outcome.reads if key not in numbers)
        numbers.update(zip(new, range(len(keys), len(keys) + len(new)), strict=True))
        keys += new
        reads = tuple(sorted(numbers[key] for key in outcome.reads))
        self.answers[fn.name, fn.line] = Answer(_span(fn), outcome.verdicts, outcome.unseen, reads, outcome.cost)

    def outcome(self, fn: Function) -> Outcome | None:
        found = self.answers.get((fn.name, fn.line))
        if found is None or found.span != _span(fn):
            return None
        keys = self._all()
        return Outcome(found.verdicts, frozenset([keys[each] for each in found.reads]), found.unseen, cost=found.cost)

    def _all(self) -> list[Key]:
        if self._packed:
            text = self._packed.decode("utf-8", "surrogateescape")
            self._keys = [tuple(line.split("\0")) for line in text.split("\n")]
            self._packed = b""
        return self._keys

    def pack(self) -> bytes:
        """As bytes: a line of JSON, then the keys of reads (many and alike), one a line with NUL between its parts.

        Raises ValueError where a key holds one of those.
        """
        rows = [
            [
                *place,
                *each.span,
                [_plain(one) for one in each.verdicts],
                [_plain(one) for one in each.unseen],
                each.reads,
                each.cost,
            ]
            for place, each in self.answers.items()
        ]
        told = json.dumps([self.functions, rows], separators=(",", ":")).encode()
        keys = self._packed or "\n".join(map("\0".join, self._keys)).encode("utf-8", "surrogateescape")
        parts, lines = sum(map(len, self._keys)), len(self._keys)
        if lines and not keys:
            raise ValueError("a key without a word")
        if lines and (keys.count(b"\0"), keys.count(b"\n")) != (parts - lines, lines - 1):
            raise ValueError("a key holds what stands between keys")
        return zlib.compress(told + b"\n" + keys, 1)

    @classmethod
    def unpack(cls, data: bytes) -> FileAnswers | None:
        """The answers in these bytes; None where they are damaged."""
        try:
            told, _, keys = zlib.decompress(data).partition(b"\n")
            functions, rows = json.loads(told)
            found = cls(int(functions), {}, keys)
            for name, line, first, last, verdicts, unseen, reads, cost in rows:
                said, missed = tuple(map(_value, verdicts)), tuple(map(_value, unseen))
                found.answers[name, line] = Answer((first, last), said, missed, tuple(reads), int(cost))
            return found
        except (zlib.error, ValueError, TypeError, IndexError, KeyError, RecursionError):
            return None


def _span(fn: Function) -> Span:
    return (fn.first_line, fn.end_line)


class Answers:
    """The outcomes of one tree. Read when first asked for, written by `save`."""

    def __init__(self, memory: Memory | None = None, state: str = "") -> None:
        """`state` names the tree's content and all else that outcomes hang on; "" for a tree that may change."""
        self._memory = memory if state else None
        self._state = state
        self._files: dict[tuple[str, str], FileAnswers] = {}
        self._fresh: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()

    def of(self, rule: str, path: str) -> FileAnswers:
        """What is known of a file."""
        known = self._files.get((rule, path))
        if known is None:
            if self._memory is None:
                return FileAnswers()
            data = self._memory.recall_answer(self._key(rule, path))
            known = FileAnswers() if data is None else FileAnswers.unpack(data) or FileAnswers()
            self._files[rule, path] = known
        return known

    def outcome(self, rule: str, fn: Function) -> Outcome | None:
        """What the rule said of a function, if it was asked before."""
        return None if self._memory is None else self.of(rule, fn.path).outcome(fn)

    def learned(self, rule: str, fn: Function, outcome: Outcome) -> None:
        """Keep an outcome. What failed is tried again the next time."""
        if self._memory is None:
            return
        if outcome.failure is not None or outcome.again:
            self._failed.add((rule, fn.path))
            return
        self.of(rule, fn.path).keep(fn, outcome)
        self._fresh.add((rule, fn.path))

    def whole(self, rule: str, path: str, functions: int) -> None:
        """The rule has been asked about all functions of a file that it has a say about."""
        if self._memory is not None and (rule, path) not in self._failed:
            self.of(rule, path).functions = functions
            self._fresh.add((rule, path))

    def save(self) -> None:
        """Keep what was learned since, and have it in memory no more. A rule that puts into a verdict what is no text,
        number or tuple is asked anew each time: it cannot be kept."""
        if self._memory is not None and self._fresh:
            packed: dict[str, bytes] = {}
            for each in sorted(self._fresh):
                with suppress(TypeError, ValueError):
                    packed[self._key(*each)] = self._files[each].pack()
            self._memory.keep_answers(packed)
            self._fresh.clear()
        self._files.clear()

    def _key(self, rule: str, path: str) -> str:
        return f"{self._state}\0{rule}\0{path}"


def answers_of(tree: Tree, know: Knowledge, memory: Memory | None, stamp: str) -> Answers:
    """The outcomes of a tree that were kept, and will be; `stamp` stands for the code that works them out."""
    state = tree.state if memory is not None and stamp else ""
    return Answers(memory, f"{stamp}\0{know.version}\0{state}" if state else "")


# -- values as JSON: our own values by number, nothing else

_VALUES: tuple[type[Any], ...] = (Finding, Silence, Doubt, Step, Sibling, Unseen, Fix, Edit)
_FIELDS = tuple(kind.__struct_fields__ for kind in _VALUES)
_NUMBER = {kind: number for number, kind in enumerate(_VALUES)}
_ENUMS: dict[str, type[Enum]] = {"severity": Severity, "kind": Kind, "need": Need}


def _plain(value: Any) -> Any:
    """A value as its number and its fields, a tuple as a list."""
    number = _NUMBER.get(type(value))
    if number is not None:
        return {"": [number, *(_plain(getattr(value, name)) for name in _FIELDS[number])]}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _value(plain: Any) -> Any:
    if isinstance(plain, dict):
        number, *rest = plain[""]
        kind, names = _VALUES[number], _FIELDS[number]
        known = {name: _value(each) for name, each in zip(names, rest, strict=True)}
        if kind is Finding:
            known.update({name: enum(known[name]) for name, enum in _ENUMS.items()})
        return kind(**known)
    return tuple(_value(each) for each in plain) if isinstance(plain, list) else plain
