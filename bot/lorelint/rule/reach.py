"""Which functions a patch makes us judge again: those it changes, and those that may read what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code.ir import Function
from lorelint.code.search import order, visible
from lorelint.model.trouble import Unseen
from lorelint.rule.admission import Admission
from lorelint.rule.changes import Changes, Pair, alike

DEPTH = 3  # calls above a changed function
WIDTH = 60  # callers of one function that are followed; beyond it the function is a hub
LIMIT = 400  # functions in all above one patch
USERLAND = ("tools/", "scripts/", "usr/", "Documentation/")
NEAR = 200  # files that may read a changed table, structure or macro


class Subject(Struct, frozen=True):
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


def reach(changes: Changes, admission: Admission) -> tuple[tuple[Subject, ...], tuple[Unseen, ...]]:
    """All subjects of one patch that some rule may have a say about, sorted by place, and what was cut."""
    search = _Reach(changes, admission)
    search.files()
    search.callers()
    search.readers()
    search.entries()
    return tuple(sorted(search.subjects.values(), key=lambda each: each.place)), tuple(search.cut)


class _Reach:
    def __init__(self, changes: Changes, admission: Admission) -> None:
        self.changes = changes
        self.admission = admission
        self.subjects: dict[tuple[str, str, int], Subject] = {}
        self.cut: list[Unseen] = []
        self._near: dict[str, tuple[Function, ...]] = {}

    def _admits(self, *functions: Function | None) -> bool:
        return any(self.admission.of(fn.text) for fn in functions if fn is not None)

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
            if _userland(pair):
                self._skip(pair)
                continue
            touched = pair.touched or pair.elsewhere
            fn = pair.after or pair.before
            if fn is not None and (touched or self._admits(pair.before, pair.after)):
                moved = pair.elsewhere and alike(pair)
                key = self._key(fn) if pair.after is not None else (fn.path, fn.name, -fn.line)
                self.subjects[key] = Subject(pair.before, pair.after, touched, moved=moved)

    def _skip(self, pair: Pair) -> None:
        fn = pair.after or pair.before
        unseen = Unseen("skipped", fn.path if fn else "", 0, "a program beside the kernel: no rule is about it")
        if unseen not in self.cut:
            self.cut.append(unseen)

    def callers(self) -> None:
        """Callers of changed functions, some levels up; a hub is not climbed over.

        Above the first level only static functions are climbed: their callers are in the same file. An exported
        caller whose own text did not change would have to pass the change on twice, and each one asked about
        costs a search of the tree.
        """
        level = [(fn, pair.told()) for pair in self.changes.touched if (fn := _climbs(pair)) is not None]
        seen = {self._key(fn) for fn, _ in level}
        for number in range(DEPTH):
            above: list[tuple[Function, str]] = []
            # One search of the tree for all names of a level: a search costs the same for one as for many.
            self.changes.after.tree.mentions([fn.name for fn, _ in level if not fn.static])
            for fn, told in level:
                if number and not fn.static:
                    continue
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
        """Functions that may read a table, structure or macro which differs: its folder, users of a header."""
        tables = sorted({key[1:] for key in self.changes.data if len(key) == 3 and key[0] == "table"}, reverse=True)
        # Its readers are the same for every table of a file, and the first reason stays.
        for place, name in sorted(dict(tables).items()):
            self._read_by(self._beside(place), place, self.changes.facts[("table", place, name)])
        for kind, place, name, words in self.changes.turned():
            if place.endswith(".h"):  # in a .c file it is for that file alone
                paths = order(self.changes.after.mentions(name), place)
                self._read_by(paths, place, self.changes.facts[(kind, place, name)], words)

    def _read_by(self, paths: Sequence[str], place: str, told: str, words: frozenset[str] = frozenset()) -> None:
        """Functions of the files nearest to a place, those that hold one of the words if there are any."""
        near = [path for path in paths if path not in self.changes.paths]
        if len(near) > NEAR:
            text = f"{len(near)} files may read what changed here: the nearest {NEAR} were looked at"
            self.cut.append(Unseen("cut", place, 0, text))
        sought = tuple(word.encode("utf-8", "surrogateescape") for word in sorted(words))
        for path in near[:NEAR]:
            for fn in self._admitted(path):
                if not sought or any(word in fn.text for word in sought):
                    self._add(fn, because=told)

    def _beside(self, path: str) -> tuple[str, ...]:
        """Files of the same folder."""
        folder = path.rpartition("/")[0]
        return tuple(each for each in self.changes.after.tree.files(folder) if each.rpartition("/")[0] == folder)

    def _admitted(self, path: str) -> tuple[Function, ...]:
        """The functions of a file after that some rule may have a say about; asked again for each macro of a header."""
        known = self._near.get(path)
        if known is None:
            raw = self.changes.after.raw(path)
            worth = raw is not None and self.admission.of(raw)
            every = self.changes.after.functions(path) if worth else ()
            known = self._near[path] = tuple(fn for fn in every if self._admits(fn))
        return known

    def entries(self) -> None:
        """Functions here or beside that are called, or put into a table, for the first time from a changed place."""
        ways = sorted({(near, name, told) for name, told, near in self._ways_in()})
        for near, name, told in ways:
            for fn in self._named(name, near):
                if self.changes.partner(fn) is not None:
                    self._add(fn, entered=told)

    def _named(self, name: str, near: str) -> Iterator[Function]:
        """A definition in the same file, else those in the same folder that can be called from it."""
        here = self.changes.after.function(near, name)
        if here is not None:
            yield here
            return
        word = name.encode("utf-8", "surrogateescape")
        for path in self._beside(near):
            raw = self.changes.after.raw(path)
            if path != near and raw is not None and word in raw and self.admission.of(raw):
                fn = self.changes.after.function(path, name)
                if fn is not None and visible(fn, near):
                    yield fn

    def _ways_in(self) -> Iterable[tuple[str, str, str]]:
        for name, caller in self.changes.new_calls():
            yield name, f"{caller.name}() calls it now", caller.path
        yield from self.changes.new_values()


def _userland(pair: Pair) -> bool:
    """Programs that come with the kernel and do not run in it: no rule is about them."""
    fn = pair.after or pair.before
    return fn is not None and fn.path.startswith(USERLAND)


def _climbs(pair: Pair) -> Function | None:
    """The function whose callers are to be asked; none for a pure move, for what is gone, and for what is
    new: whoever calls that was changed himself."""
    known = pair.before is not None and pair.after is not None
    return None if not known or alike(pair) or _userland(pair) else pair.after
