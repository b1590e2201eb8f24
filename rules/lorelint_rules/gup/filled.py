"""Which fields hold pages from GUP, and by which kind of call they got them: by file, for the files of a folder.

A field that is also filled by something else (pages of a file, pages that the driver allocates) says nothing: whoever
releases it must know by other means which it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, ir, regex
from lorelint.rule.analyses import nearby
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.hints import Hints
from lorelint.rule.analyses.places import Place, place, within
from lorelint.rule.analyses.scope import Scope, peel
from lorelint.rule.analyses.thing import Thing
from lorelint_rules.gup.pins import PINS, TAKES, is_pin

PIN, GET, OTHER = "pin", "get", "other"
Field = tuple[str, str]  # (struct, field)

_hint = Hints((rb"\b(?:pin|get)_user_page", (b"pin_user_page", b"get_user_page")), rb"memfd_pin_folios")
_ARRAY = regex(r"^(?:devm_)?(?:k|kv|v)[mzc]?alloc|^__?get_free_page|^get_zeroed_page|kmemdup")


class Filling(Struct, frozen=True):
    """One way a field gets its pages: PIN, GET, or OTHER."""

    kind: str
    api: str
    path: str
    function: str
    line: int


def filled(view: TreeView, path: str) -> dict[Field, tuple[Filling, ...]]:
    """All fields that are filled by GUP in the folder of a file, with all that fills them."""
    return view.program.memo(("gup filled", folder_of(path)), lambda: _filled(view, folder_of(path)))


def has_gup(view: TreeView, path: str) -> bool:
    """Whether a file takes pages by GUP at all."""
    return view.program.memo(("has gup", path), lambda: _hint(view.program.raw(path) or b""))


def _filled(view: TreeView, folder: str) -> dict[Field, tuple[Filling, ...]]:
    found: dict[Field, dict[Filling, None]] = {}
    paths = [path for path in beside(view.program, folder) if has_gup(view, path)]
    for path in paths:
        for fn in view.program.functions(path):
            if fn.name not in TAKES and _hint(fn.text) and any(name.encode() in fn.text for name in TAKES):
                for thing in view.of(PINS).things(fn):
                    for field, filling in _by(view, thing):
                        found.setdefault(field, {})[filling] = None
    names = {field for _, field in found}
    for path in paths:
        for fn in view.program.functions(path):
            if any(f"{name}".encode() in fn.text for name in names):
                for field, filling in _otherwise(view, fn, found):
                    found[field][filling] = None
    return {field: tuple(many) for field, many in found.items()}


def _by(view: TreeView, thing: Thing) -> Iterator[tuple[Field, Filling]]:
    """Fields that pages are put into, also by the callers of a function that fills its parameter."""
    scope, api = thing.scope, thing.acquired.call.name
    kind = PIN if is_pin(view, api) else GET
    filling = Filling(kind, api, scope.fn.path, scope.fn.name, thing.acquired.line)
    for name in sorted(thing.names):
        if field := field_of(scope, name):
            yield field, filling
        elif name[0] in scope.params and len(name) == 1:
            yield from _by_callers(view, scope, scope.params.index(name[0]), filling)


def _by_callers(view: TreeView, scope: Scope, at: int, filling: Filling) -> Iterator[tuple[Field, Filling]]:
    for site in nearby.callers(view.program, scope.fn)[:8]:
        caller = Scope(view.program, site.fn)
        for node in caller.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name == scope.fn.name and at < len(call.args):
                    for where in _meant(caller, call.args[at]):
                        if field := field_of(caller, where):
                            yield field, filling


def _meant(scope: Scope, arg: ir.Expr) -> Iterator[Place]:
    """The place of an argument, and the fields it is assigned to or from."""
    where = place(arg)
    if where:
        yield where
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Member() as target, value=value) if where and place(value) == where:
                yield place(target)
    resolved = place(scope.resolve(arg))
    if resolved:
        yield resolved


def field_of(scope: Scope, where: Place) -> Field | None:
    """(struct, field) of a place; None for a variable."""
    if len(where) < 2 or "*" in where:
        return None
    base: ir.Expr = ir.Name(0, where[0])
    for name in where[1:-1]:
        base = ir.Member(0, base, name, True)
    owner = scope.tag_of(base)
    return (owner, where[-1]) if owner else None


def _otherwise(
    view: TreeView, fn: ir.Function, found: dict[Field, dict[Filling, None]]
) -> Iterator[tuple[Field, Filling]]:
    """Stores to such a field of what does not come from GUP."""
    scope = Scope(view.program, fn)
    things = view.of(PINS).things(fn)
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=target, value=value):
                where = place(target)
                field = field_of(scope, where) if len(where) > 1 else None
                if field in found and field is not None and not _same(scope, value, things, field):
                    yield field, Filling(OTHER, ir.show(value), fn.path, fn.name, node.line)


def _same(scope: Scope, value: ir.Expr, things: tuple[Thing, ...], field: Field) -> bool:
    """Whether a stored value is the array for the pages, nothing, or pages of GUP."""
    value = peel(scope.resolve(value))
    if isinstance(value, ir.Number) or (isinstance(value, ir.Name) and value.name == "NULL"):
        return True
    if isinstance(value, ir.Call):
        return _ARRAY.search(value.name) is not None
    where = place(value)
    if where and (where[-1] == field[1] or where[0] in scope.params):
        return True
    return any(within(where, name) for thing in things for name in thing.names)
