"""Which functions a patch makes us judge again: those it changes, and those that may read what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.model.trouble import Unseen
from lorelint.rule.changes import Changes, Pair, alike
from lorelint.rule.door import Rule

DEPTH = 3  # calls above a changed function
WIDTH = 60  # callers of one function that are followed; beyond it the function is a hub
LIMIT = 400  # functions in all above one patch
NEAR = 200  # files that may read a changed table, structure or macro


@dataclass(frozen=True, slots=True)
class Subject:
    """A function to judge on both trees.

    touched   its own text, name or place differs
    because   the changed function below it, in words; "" when none was found by the call graph
    entered   a way into it that was not there before, in words
    """

    before: Function | None
    after: Function | None
    touched: bool
    because: str = ""
    entered: str = ""
    moved: bool = False  # other name or place, same text

    @property
    def place(self) -> tuple[str, int, str]:
        fn = self.after or self.before
        assert fn is not None
        return (fn.path, fn.line, fn.name)


def reach(changes: Changes, rules: Sequence[Rule]) -> tuple[tuple[Subject, ...], tuple[Unseen, ...]]:
    """All subjects of one patch that some rule may have a say about, sorted by place, and what was cut."""
    search = _Reach(changes, rules)
    search.files()
    search.callers()
    search.readers()
    search.entries()
    return tuple(sorted(search.subjects.values(), key=lambda each: each.place)), tuple(search.cut)


class _Reach:
    def __init__(self, changes: Changes, rules: Sequence[Rule]) -> None:
        self.changes = changes
        self.rules = rules
        self.subjects: dict[tuple[str, str, int], Subject] = {}
        self.cut: list[Unseen] = []

    def _admits(self, *functions: Function | None) -> bool:
        return any(rule.tokens.admit(fn.text) for fn in functions if fn is not None for rule in self.rules)

    def _key(self, fn: Function) -> tuple[str, str, int]:
        return (fn.path, fn.name, fn.line)

    def _add(self, fn: Function, because: str = "", entered: str = "") -> None:
        """An untouched function after; told once more, the first reason stays."""
        known = self.subjects.get(self._key(fn))
        if known is None:
            if not self._admits(fn):
                return
            known = Subject(self.changes.partner(fn), fn, touched=False)
        known = replace(known, because=known.because or because, entered=known.entered or entered)
        self.subjects[self._key(fn)] = known

    def files(self) -> None:
        """The functions of the changed files: touched ones always, others where a rule may speak."""
        for pair in self.changes.pairs:
            touched = pair.touched or pair.elsewhere
            fn = pair.after or pair.before
            if fn is not None and (touched or self._admits(pair.before, pair.after)):
                moved = pair.elsewhere and alike(pair)
                key = self._key(fn) if pair.after is not None else (fn.path, fn.name, -fn.line)
                self.subjects[key] = Subject(pair.before, pair.after, touched, moved=moved)

    def callers(self) -> None:
        """Callers of changed functions, some levels up; a hub is not climbed over."""
        level = [(fn, pair.told()) for pair in self.changes.touched if (fn := _climbs(pair)) is not None]
        seen = {self._key(fn) for fn, _ in level}
        for _ in range(DEPTH):
            above: list[tuple[Function, str]] = []
            for fn, told in level:
                for caller in self._above(fn):
                    if len(seen) >= LIMIT:
                        text = f"callers above {fn.name}(): the budget is spent"
                        self.cut.append(Unseen("cut", fn.path, fn.line, text))
                        return
                    if self._key(caller) not in seen:
                        seen.add(self._key(caller))
                        above.append((caller, told))
                        self._add(caller, because=told)
                    elif (known := self.subjects.get(self._key(caller))) is not None and caller.key != fn.key:
                        self.subjects[self._key(caller)] = replace(known, because=known.because or told)
            level = above

    def _above(self, fn: Function) -> tuple[Function, ...]:
        found = {self._key(site.fn): site.fn for site in self.changes.after.callers(fn)}
        if len(found) > WIDTH:
            text = f"{fn.name}() has {len(found)} callers: they were not judged again"
            self.cut.append(Unseen("cut", fn.path, fn.line, text))
            return ()
        return tuple(found[key] for key in sorted(found))

    def readers(self) -> None:
        """Functions that may read a table, structure or macro which differs: its folder, its users."""
        keys = sorted(self.changes.data)
        paths: dict[str, None] = {}
        for key in keys:
            if len(key) != 3:
                continue
            folder = key[1].rpartition("/")[0]
            paths.update(dict.fromkeys(each for each in self.changes.after.tree.files(folder) if _beside(each, folder)))
            if key[1].endswith(".h"):
                paths.update(dict.fromkeys(self.changes.after.mentions(key[2])))
        near = [path for path in paths if path not in self.changes.paths]
        if len(near) > NEAR:
            text = f"{len(near)} files may read what changed here: {NEAR} were looked at"
            self.cut.append(Unseen("cut", self.changes.paths[0], 0, text))
        for path in near[:NEAR]:
            for fn in self._admitted(self.changes.after, path):
                self._add(fn)

    def _admitted(self, program: Program, path: str) -> Iterator[Function]:
        raw = program.raw(path)
        if raw is not None and any(rule.tokens.admit(raw) for rule in self.rules):
            yield from program.functions(path)

    def entries(self) -> None:
        """Functions that were there and are called or put into a table for the first time from here."""
        for name, told, near in self._ways_in():
            for fn in self.changes.after.define(name, near):
                close = fn.path.rpartition("/")[0] == near.rpartition("/")[0]
                if close and self.changes.partner(fn) is not None:
                    self._add(fn, entered=told)

    def _ways_in(self) -> Iterable[tuple[str, str, str]]:
        for name, caller in self.changes.new_calls():
            yield name, f"{caller.name}() calls it now", caller.path
        yield from self.changes.new_values()


def _climbs(pair: Pair) -> Function | None:
    """The function whose callers are to be asked; none for a pure move and for what is gone."""
    return None if pair.after is None or alike(pair) else pair.after


def _beside(path: str, folder: str) -> bool:
    return path.rpartition("/")[0] == folder
