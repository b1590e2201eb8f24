"""One tree as a program: functions, tables, macros and calls, looked up on demand.

Nothing is parsed before it is asked for; the same question has the same answer whatever the kind of
tree and whatever was asked before. See `reads` for what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field

from lorelint.code.facts import Facts, Role, decode, roles
from lorelint.code.lex import mask
from lorelint.code.reads import READ, Key, Sources
from lorelint.code.search import (
    CallSite,
    Use,
    by_callee,
    calls_in,
    declares,
    entries_in,
    may_define,
    rank,
    seen_from,
    uses_in,
    visible,
)
from lorelint.code.work import metered
from lorelint.model.knowledge import Knowledge
from lorelint.model.tree import Tree
from lorelint.model.trouble import Unseen

if TYPE_CHECKING:  # a question about calls needs facts alone: what reads C is loaded when C is read
    from lorelint.code.ir import Cfg, Function, Loop
    from lorelint.code.macros import Include, Macro
    from lorelint.code.structs import Record
    from lorelint.code.tables import Setting, Table

__all__ = ["Cache", "CallSite", "Key", "Program", "Use"]

T = TypeVar("T")


class Cache(Struct):
    """Answers that depend on content alone; programs of several trees may share one.

    A graph holds line numbers and two functions are equal wherever they stand, so the place is part of its key.
    """

    functions: dict[tuple[str, bytes], tuple[Function, ...]] = field(default_factory=dict)
    cfgs: dict[tuple[int, Function], Cfg] = field(default_factory=dict)
    loops: dict[tuple[int, Function], tuple[Loop, ...]] = field(default_factory=dict)
    other: dict[tuple[str, str, bytes], Any] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Cache:
        return cls()


class Program(Sources):
    """The functions, tables, macros and calls of one tree."""

    def __init__(self, tree: Tree, know: Knowledge, cache: Cache | None = None) -> None:
        super().__init__(tree)
        self.know = know
        self.cache = cache if cache is not None else Cache()
        self._facts: dict[str, Facts] = {}
        self._roles: dict[str, Mapping[str, int]] = {}
        self._mask: tuple[bytes, bytes] = b"", b""

    # -- what a file holds

    def functions(self, path: str) -> tuple[Function, ...]:
        """All functions of a file, in order."""
        self.note(("file", path))
        return self._functions(path)

    def _functions(self, path: str) -> tuple[Function, ...]:
        raw = self._read(path)
        if raw is None:
            return ()
        key = (path, raw)
        found = self.cache.functions.get(key)
        if found is None:
            from lorelint.code.functions import functions

            found = self.cache.functions[key] = functions(path, raw)
        return found

    def _of_file(self, kind: str, path: str, read: Callable[[str, bytes], tuple[T, ...]]) -> tuple[T, ...]:
        raw = self._read(path)
        if raw is None:
            return ()
        key = (kind, path, raw)
        if key not in self.cache.other:
            self.cache.other[key] = read(path, raw)
        found: tuple[T, ...] = self.cache.other[key]
        return found

    def tables(self, path: str) -> tuple[Table, ...]:
        """Designated initialisers of a file, those inside functions too."""
        self.note(("file", path))
        return self._tables(path)

    def _tables(self, path: str) -> tuple[Table, ...]:
        from lorelint.code.tables import data

        return self._of_file("tables", path, data)

    def structs(self, path: str) -> tuple[Record, ...]:
        """Structures and unions that a file defines."""
        self.note(("file", path))
        from lorelint.code.structs import structs

        return self._of_file("structs", path, structs)

    def macros(self, path: str) -> tuple[Macro, ...]:
        """Function-like macros that a file defines."""
        self.note(("file", path))
        return self._macros(path)

    def _macros(self, path: str) -> tuple[Macro, ...]:
        from lorelint.code.macros import macros

        return self._of_file("macros", path, macros)

    def includes(self, path: str) -> tuple[Include, ...]:
        """What a file includes, as written."""
        self.note(("file", path))
        from lorelint.code.macros import includes

        return self._of_file("includes", path, lambda _, raw: includes(raw))

    def settings(self, fn: Function) -> tuple[Setting, ...]:
        """``x->field = name;`` in a function."""
        self.note(("function", fn.path, fn.name))
        from lorelint.code.tables import settings

        return settings(fn)

    # -- facts

    def facts(self, path: str) -> Facts:
        """The rows of a file: out of the tree's index where it keeps them, else read anew; the same either way."""
        self.note(("file", path))
        known = self._facts.get(path)
        if known is None:
            known = self._facts[path] = self._kept(path) or self._harvest(path)
        return known

    def _kept(self, path: str) -> Facts | None:
        kept = self.tree.kept(path)
        try:
            return None if kept is None else decode(kept)
        except ValueError:  # damaged: made anew
            return None

    def _harvest(self, path: str) -> Facts:
        raw = self._read(path)
        if raw is None:
            return Facts()
        key = ("facts", "", raw)
        if key not in self.cache.other:
            from lorelint.code.harvest import harvest

            self.cache.other[key] = harvest(raw)
        found: Facts = self.cache.other[key]
        return found

    def playing(self, word: str, role: Role) -> tuple[str, ...]:
        """Files in which an identifier has one of these roles, sorted."""
        self.note(("mentions", word))
        return tuple(path for path in self.tree.holding(word, role) if self._roles_in(path).get(word, 0) & role)

    def _roles_in(self, path: str) -> Mapping[str, int]:
        known = self._roles.get(path)
        if known is None:
            known = self._roles[path] = roles(self.facts(path))
        return known

    # -- names

    def function(self, path: str, name: str) -> Function | None:
        """The first function of that name in a file."""
        found = self.named(path, name)
        return found[0] if found else None

    def named(self, path: str, name: str) -> tuple[Function, ...]:
        """All functions of that name in a file: one for each configuration that has its own."""
        self.note(("function", path, name))
        raw = self._read(path)
        if raw is None or name.encode("utf-8", "surrogateescape") not in raw:
            return ()
        return tuple(fn for fn in self._functions(path) if fn.name == name)

    def define(self, name: str, near: str) -> tuple[Function, ...]:
        """The definitions that a call of `name` in file `near` means, sorted by path.

        C's rules, then nearness: the same file; a header it includes; the same directory; anywhere it
        could be linked from. The first level that has one answers, with all it has (several
        architectures, several configurations; a stub in a header that also declares the real one).
        """
        return self.memo(("define", name, near), lambda: self._define(name, near))

    def _define(self, name: str, near: str) -> tuple[Function, ...]:
        self.note(("define", name))
        here = self.named(near, name)
        if here:
            return here
        found: list[Function] = []
        paths = self.candidates((name,), near, "", READ)
        defining = frozenset(self.tree.holding(name, Role.DEFINED))
        for path in paths:
            if path == near or path not in defining:
                continue
            raw = self._read(path)
            if raw is not None and may_define(raw, name):
                found.extend(fn for fn in self.named(path, name) if visible(fn, near))
        if not found and len(self.mentions(name)) > READ:
            self.cut(f"definitions of {name}()", near, READ, len(self.mentions(name)))
        included = self.includes(near) if any(fn.path.endswith(".h") for fn in found) else ()
        best = min((rank(fn, near, included) for fn in found), default=0)
        chosen = [fn for fn in found if rank(fn, near, included) == best]
        if any(fn.path.endswith(".h") and declares(self._read(fn.path) or b"", name) for fn in chosen):
            # a stub beside a declaration: which of the two it is, the configuration says
            chosen = [fn for fn in found if fn in chosen or not fn.path.endswith(".h")]
        return tuple(sorted(chosen, key=lambda fn: (fn.path, fn.line)))

    def macro(self, name: str, near: str) -> tuple[Macro, ...]:
        """Function-like macros that `name(..)` in file `near` can mean: the same file, else headers seen from there."""
        return self.memo(("macro", name, near), lambda: self._macro(name, near))

    def _macro(self, name: str, near: str) -> tuple[Macro, ...]:
        self.note(("macro", name), ("macro", near, name))
        here = tuple(each for each in self._macros(near) if each.name == name)
        if here:
            return here
        found: list[Macro] = []
        word = name.encode("utf-8", "surrogateescape") + b"("
        paths = self.candidates((name,), near, f"macros {name}()", READ)
        defining = frozenset(self.tree.holding(name, Role.MACRO))
        for path in paths:
            if path not in defining or not path.endswith(".h") or not seen_from(path, near):
                continue
            raw = self._read(path)
            if raw is None or word not in raw:
                continue
            self.note(("macro", path, name))
            found.extend(each for each in self._macros(path) if each.name == name)
        return tuple(sorted(found, key=lambda each: (each.path, each.line)))

    # -- control flow

    def cfg(self, fn: Function) -> Cfg:
        """The control flow graph of a function."""
        self.note(("function", fn.path, fn.name))
        cfg = self.cache.cfgs.get((fn.first_line, fn))
        if cfg is None:
            from lorelint.code.lower import lower

            with metered():  # what other trees have too is at nobody's cost
                cfg = self.cache.cfgs[fn.first_line, fn] = lower(fn)
        for line in cfg.opaque:
            self.miss(Unseen("degraded", fn.path, line, f"text in {fn.name} that could not be parsed"))
        return cfg

    def loops(self, fn: Function) -> tuple[Loop, ...]:
        """Its loops, outermost first."""
        self.note(("function", fn.path, fn.name))
        found = self.cache.loops.get((fn.first_line, fn))
        if found is None:
            from lorelint.code.loops import loops

            with metered():
                found = self.cache.loops[fn.first_line, fn] = loops(self.cfg(fn))
        return found

    # -- who names what

    def callers(self, fn: Function) -> tuple[CallSite, ...]:
        """Direct calls of a function, sorted by place: of a static one in its file (a header's: wherever named)."""
        return self.memo(("callers", fn.path, fn.name), lambda: self._callers(fn))

    def _callers(self, fn: Function) -> tuple[CallSite, ...]:
        paths = self._seen_in(fn, "callers")
        calling = frozenset(self.tree.holding(fn.name, Role.CALLED)) if len(paths) > 1 else frozenset(paths)
        found: list[CallSite] = []
        for path in paths:
            self.note(("file", path))
            if path not in calling:
                continue
            if path != fn.path and (not visible(fn, path) or self.named(path, fn.name)):
                continue  # calls its own
            for each in self._may_call(path, fn.name) if path == fn.path else self._functions(path):
                found.extend(calls_in(each, fn.name))
        return tuple(sorted(found, key=lambda site: (site.fn.path, site.line)))

    def _seen_in(self, fn: Function, what: str) -> tuple[str, ...]:
        """Files in which a function's name may mean it."""
        if fn.static and not fn.path.endswith(".h"):
            return (fn.path,)
        return self.candidates((fn.name,), fn.path, f"{what} of {fn.name}()")

    def _may_call(self, path: str, name: str) -> tuple[Function, ...]:
        """Those of a file's functions that may call a name: of its own file each function of it is asked about."""
        raw = self._read(path) or b""
        key = ("by callee", path, raw)
        if key not in self.cache.other:
            self.cache.other[key] = by_callee(self._functions(path))
        found: tuple[Function, ...] = self.cache.other[key].get(name.encode("utf-8", "surrogateescape"), ())
        return found

    def _masked(self, raw: bytes) -> bytes:
        """Masked text; of the file that was asked for last it is kept, since its functions follow one another."""
        if self._mask[0] is not raw:
            self._mask = raw, mask(raw)
        return self._mask[1]

    def uses(self, fn: Function) -> tuple[Use, ...]:
        """Where a function's name stands as a value: in tables, set to fields, as an argument; sorted by place."""
        return self.memo(("uses", fn.path, fn.name), lambda: self._uses(fn))

    def _uses(self, fn: Function) -> tuple[Use, ...]:
        found: list[Use] = []
        word = fn.name.encode("utf-8", "surrogateescape")
        for path in self._seen_in(fn, "uses"):
            self.note(("file", path))
            raw = self._read(path)
            if (
                raw is None
                or word not in raw
                or (path != fn.path and (not visible(fn, path) or self.named(path, fn.name)))
            ):
                continue
            found.extend(uses_in(path, self._masked(raw), fn.name, self._tables(path), self._functions(path)))
        return tuple(sorted(found, key=lambda use: (use.path, use.line, use.kind, use.type, use.field)))

    def entries(self, fn: Function) -> tuple[Use, ...]:
        """Where a function stands in tables: those of its `uses`, at a fraction of the cost."""
        return self.memo(("entries", fn.path, fn.name), lambda: self._entries(fn))

    def _entries(self, fn: Function) -> tuple[Use, ...]:
        paths = self._seen_in(fn, "uses")
        holding = frozenset(self.tree.holding(fn.name, Role.VALUE)) if len(paths) > 1 else frozenset(paths)
        found: list[Use] = []
        for path in paths:
            self.note(("file", path))
            if path in holding and (path == fn.path or (visible(fn, path) and not self.named(path, fn.name))):
                found.extend(entries_in(path, fn.name, self._tables(path)))
        return tuple(sorted(found, key=lambda use: (use.path, use.line, use.kind, use.type, use.field)))

    def tables_of(self, type: str, field: str, near: str = "") -> tuple[Table, ...]:
        """Tables of a type (``struct vm_operations_struct``) that set a field, anywhere; sorted by place."""
        return self.memo(("tables of", type, field, near), lambda: self._tables_of(type, field, near))

    def _tables_of(self, type: str, field: str, near: str) -> tuple[Table, ...]:
        self.note(("tables", type, field))
        tag, last = type.rsplit(maxsplit=1)[-1], field.rpartition(".")[2]
        found: list[Table] = []
        for path in self.candidates((tag, last), near, f"tables of {type} with .{field}"):
            for table in self._tables(path):
                if table.type == type:
                    self.note(("table", path, table.name))
                    if table.get(field) is not None:
                        found.append(table)
        return tuple(sorted(found, key=lambda table: (table.path, table.line)))
