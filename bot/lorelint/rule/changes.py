"""What a patch changes, fact by fact: functions with renames followed, tables, structures, macros."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import cached_property

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.ir import Function
from lorelint.code.lex import mask
from lorelint.code.program import Key, Program
from lorelint.model.regex import regex

SIMILAR = 0.6  # of the lines: below it a function that went and one that came are two
_PAIRS = 400  # compared for renames
_LINES = 1500  # of a function compared for renames
_WORD = regex(rb"[A-Za-z_]\w*")
_WORDS = ("mentions", "define")  # kinds of keys that stand for a word anywhere in the tree
_CALLED = regex(rb"([A-Za-z_]\w*)\s*\(")
_NO_CALLS = frozenset((b"if", b"for", b"while", b"switch", b"return", b"sizeof", b"typeof", b"do", b"else", b"case"))


class Pair(Struct, frozen=True):
    """One function before and after; None where it is not. Both are there and equal for one that is untouched."""

    before: Function | None
    after: Function | None

    @property
    def touched(self) -> bool:
        return self.before is None or self.after is None or self.before.text != self.after.text

    @property
    def elsewhere(self) -> bool:
        """It goes by another name, or lies in another file."""
        return self.before is not None and self.after is not None and self.before.key != self.after.key

    def told(self) -> str:
        """The change in words."""
        if self.before is None and self.after is not None:
            return f"{self.after.name}() was added"
        if self.after is None and self.before is not None:
            return f"{self.before.name}() was removed"
        assert self.before is not None and self.after is not None
        if self.before.name != self.after.name:
            return f"{self.before.name}() became {self.after.name}()"
        if self.before.path != self.after.path:
            return f"{self.after.name}() moved from {self.before.path}"
        return f"{self.after.name}() changed"


class Changes:
    """The facts that differ between two trees, found in the files that do."""

    def __init__(self, before: Program, after: Program, paths: Iterable[str], renamed: Mapping[str, str]) -> None:
        """`paths` of both trees that may differ; `renamed`: path after -> path before."""
        self.before = before
        self.after = after
        self.paths = tuple(sorted(path for path in set(paths) if before.raw(path) != after.raw(path)))
        self.pairs = _paired(before, after, self.paths, renamed)
        self.touched = tuple(pair for pair in self.pairs if pair.touched or pair.elsewhere)
        self.facts: dict[Key, str] = {}
        for pair in self.touched:
            for fn in (pair.before, pair.after):
                if fn is not None:
                    self.facts[("function", fn.path, fn.name)] = pair.told()
        self.data = frozenset(key for path in self.paths for key in self._data(path))
        for path in self.paths:
            self._fields(path)

    def _data(self, path: str) -> Iterable[Key]:
        """Keys of the tables, structures and macros of a file that differ; they are told in `facts` too."""
        for kind, read in (("table", _tables), ("struct", _structs), ("macro", _macros)):
            old, new = read(self.before, path), read(self.after, path)
            for name in sorted({*old, *new}):
                if old.get(name) != new.get(name):
                    for key in ((kind, path, name), (kind, name)):
                        self.facts[key] = _told_data(kind, name, old.get(name), new.get(name))
                        yield key

    def _fields(self, path: str) -> None:
        """Keys of the questions which tables set a field: the answers that differ, those inside functions too."""
        old, new = _settings(self.before, path), _settings(self.after, path)
        for type_, field in sorted({*old, *new}):
            was, now = old.get((type_, field), {}), new.get((type_, field), {})
            for name in sorted({*was, *now}):
                if was.get(name) != now.get(name):
                    parts = [{field: each[name]} if name in each else {} for each in (was, now)]
                    self.facts.setdefault(("tables", type_, field), _told_data("table", name, *parts))

    def why(self, reads: Iterable[Key], function: Function | None = None, said: str = "") -> str:
        """The changed fact among those read, in words; "" where none of them changed.

        function  that it changed itself is no reason
        said      text of a proof: a fact whose name stands in it goes first
        Facts about single functions and tables go before facts about words.
        """
        own = () if function is None else ("function", function.path, function.name)
        words = frozenset(_WORD.findall(said.encode("utf-8", "surrogateescape")))
        rank = {"tables": 0, "table": 0, "struct": 1, "macro": 2, "function": 3}
        read = frozenset(reads)

        def spoken(key: Key) -> bool:
            return key[-1].encode("utf-8", "surrogateescape") in words

        strong = {key for key in read if key in self.facts and key != own}
        # A whole file was read: what it says of the tables in the proof was read with it.
        strong |= {key for key in self.data if len(key) == 3 and ("file", key[1]) in read and spoken(key)}
        if strong:
            return self.facts[min(strong, key=lambda key: (not spoken(key), rank.get(key[0], 4), key))]
        words_read = {key[1] for key in read if key[0] in _WORDS}
        return min((self._words[word] for word in words_read if word in self._words), default="")

    def differs(self, reads: frozenset[Key]) -> bool:
        """Whether the same question, asked of the tree before, may have another answer: anything read may differ."""
        return not self._differing.isdisjoint(reads)

    @cached_property
    def _differing(self) -> frozenset[Key]:
        """All keys of which the trees may tell otherwise."""
        files = (("file", path) for path in self.paths)
        return frozenset((*self.facts, *files, *((kind, word) for word in self._words for kind in _WORDS)))

    @cached_property
    def _words(self) -> dict[str, str]:
        """What is to be said of the words that stand in one version of a file and not in the other."""
        found: dict[str, str] = {}
        for path in self.paths:
            old, new = (frozenset(_WORD.findall(each.raw(path) or b"")) for each in (self.before, self.after))
            for word in old ^ new:
                found.setdefault(word.decode(), f"{word.decode()} is mentioned in {path} or no longer")
        return found

    def new_calls(self) -> tuple[tuple[str, Function], ...]:
        """Names that a touched function calls or takes now and did not before, with that function; sorted."""
        found = []
        for pair in self.touched:
            if pair.after is not None:
                old = frozenset() if pair.before is None else _called(pair.before)
                new = sorted(_called(pair.after) - old - _NO_CALLS)
                found += [(name.decode(), pair.after) for name in new if name.decode() != pair.after.name]
        return tuple(sorted(found, key=lambda each: (each[0], each[1].key)))

    def new_values(self) -> tuple[tuple[str, str, str], ...]:
        """Functions that stand in a table now and did not before: (name, the fact in words, path of the table)."""
        found = []
        for path in self.paths:
            old, new = _tables(self.before, path), _tables(self.after, path)
            for table, fields in sorted(new.items()):
                for field, value in sorted(fields.items()):
                    if value.isidentifier() and old.get(table, {}).get(field) != value:
                        found.append((value, f".{field} of {table} leads to it now", path))
        return tuple(found)

    def turned(self) -> tuple[tuple[str, str, str, frozenset[str]], ...]:
        """Macros and structures an unchanged function may read otherwise now: (kind, path, name, words in it).

        What is added is read by nobody yet; a macro is read by its name, a structure by fields that went or turned.
        """
        found = []
        for path in self.paths:
            for kind, read in (("macro", _macros), ("struct", _structs)):
                old, new = read(self.before, path), read(self.after, path)
                for name in sorted(old):
                    fields = old[name]
                    words = [each for each in fields if new.get(name, {}).get(each) != fields[each]]
                    if words:
                        found.append((kind, path, name, frozenset((name,) if kind == "macro" else words)))
        return tuple(found)

    def partner(self, fn: Function) -> Function | None:
        """The function before that this function after was; None for a new one."""
        for pair in self.pairs:
            if pair.after is fn or (pair.after == fn and pair.after is not None and pair.after.line == fn.line):
                return pair.before
        if fn.path in self.paths:
            return None
        return self.before.function(fn.path, fn.name)


# -- functions ---------------------------------------------------------------------------------


def _called(fn: Function) -> frozenset[bytes]:
    """Words before a parenthesis in the code of a function, not in what it says of itself."""
    return frozenset(_CALLED.findall(mask(fn.text)))


def _paired(before: Program, after: Program, paths: tuple[str, ...], renamed: Mapping[str, str]) -> tuple[Pair, ...]:
    """Functions of the changed files: by name in the file (or the file it was), the rest by likeness."""
    old = {path: list(before.functions(path)) for path in paths}
    pairs: list[Pair] = []
    came: list[Function] = []
    for path in paths:
        source = old.get(renamed.get(path, path), [])
        for fn in after.functions(path):
            same = _same(fn, source)
            if same is None:
                came.append(fn)
            else:
                source.remove(same)
                pairs.append(Pair(same, fn))
    gone = [fn for path in paths for fn in old[path]]
    for was, now in _renames(gone, came):
        gone.remove(was)
        came.remove(now)
        pairs.append(Pair(was, now))
    pairs += [Pair(None, fn) for fn in came] + [Pair(fn, None) for fn in gone]
    return tuple(sorted(pairs, key=_place))


def _place(pair: Pair) -> tuple[str, int, str, bool]:
    fn = pair.after or pair.before
    assert fn is not None
    return (fn.path, fn.line, fn.name, pair.after is None)


def _same(fn: Function, source: list[Function]) -> Function | None:
    """The function of that name; of several (one per configuration) that of the same text, else the first."""
    named = [each for each in source if each.name == fn.name]
    return next((each for each in named if each.text == fn.text), named[0] if named else None)


def _renames(gone: list[Function], came: list[Function]) -> list[tuple[Function, Function]]:
    """Pairs alike enough to be one function, best first, each function once."""
    if not gone or not came or len(gone) * len(came) > _PAIRS:
        return []
    scored = []
    for was in gone:
        for now in came:
            likeness = _likeness(was, now)
            if likeness >= (SIMILAR - 0.1 if was.name == now.name else SIMILAR):
                scored.append((-likeness, was.key, now.key, was, now))
    scored.sort(key=lambda each: each[:3])
    found: list[tuple[Function, Function]] = []
    for _, _, _, was, now in scored:
        if all(was is not one and now is not other for one, other in found):
            found.append((was, now))
    return found


def _likeness(was: Function, now: Function) -> float:
    one, other = _lines(was), _lines(now)
    if len(one) > _LINES or len(other) > _LINES:
        return 1.0 if one == other else 0.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= SIMILAR - 0.1 else 0.0


def _lines(fn: Function) -> list[bytes]:
    """Its lines without white space and its own name."""
    name = re.compile(rb"\b" + re.escape(fn.name.encode("utf-8", "surrogateescape")) + rb"\b")
    return [line for each in fn.text.splitlines() if len(line := b"".join(name.sub(b"@", each).split())) > 1]


def alike(pair: Pair) -> bool:
    """A pure move: nothing but the name and the place differs."""
    return pair.before is not None and pair.after is not None and _lines(pair.before) == _lines(pair.after)


# -- tables, structures, macros ----------------------------------------------------------------


Parts = dict[str, dict[str, str]]


def _tables(program: Program, path: str) -> Parts:
    """File-scope tables by name: field -> value. A table inside a function is part of that function's text."""
    found: Parts = {}
    for table in program.tables(path):
        if not table.function:
            found.setdefault(table.name, {}).update({field: ir.show(value) for field, value, _ in table.fields})
    return found


def _settings(program: Program, path: str) -> dict[tuple[str, str], dict[str, str]]:
    """(type, field) -> value by the name of each table that sets it."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for table in program.tables(path):
        for field, value, _ in table.fields:
            name = table.name or table.function
            found.setdefault((table.type, field.rpartition(".")[2]), {})[name] = ir.show(value)
    return found


def _structs(program: Program, path: str) -> Parts:
    found: Parts = {}
    for struct in program.structs(path):
        found.setdefault(struct.name, {}).update(struct.fields)
    return found


def _macros(program: Program, path: str) -> Parts:
    found: Parts = {}
    for macro in program.macros(path):
        known = found.setdefault(macro.name, {})
        known[f"body {len(known)}"] = " ".join((*macro.params, ")", *macro.body.split()))
    return found


def _told_data(kind: str, name: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> str:
    """One sentence about a table, structure or macro that differs."""
    shown = {"table": name, "struct": f"struct {name}", "macro": f"{name}()"}[kind]
    if old is None or new is None:
        return f"{shown} was {'added' if old is None else 'removed'}"
    came, went = sorted(set(new) - set(old)), sorted(set(old) - set(new))
    mark = "." if kind == "table" else ""
    if kind == "macro":
        return f"{shown} changed"
    if came:
        return f"{mark}{came[0]} was added to {shown}"
    if went:
        return f"{mark}{went[0]} was removed from {shown}"
    turned = sorted(each for each in new if new[each] != old[each])
    return f"{mark}{turned[0]} of {shown} changed"
