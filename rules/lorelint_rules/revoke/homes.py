"""Where VMAs are linked: in which address_space the mappings of an object are, and which one an unmap acts on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir, regex
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import folder_of
from lorelint.rule.analyses.scope import Scope, peel
from lorelint_rules.revoke import markers

_SAVES = regex(rb"(?:i_mapping|f_mapping|inode|file_inode\([^;]*\))\s*;")
_ALONE = regex(r"busy|_open(?:ers|ed|_count)?$|open_count|users|exclusive|in_use", re.IGNORECASE)
_CLAIMS = frozenset({"test_and_set_bit", "test_and_set_bit_lock", "atomic_dec_and_test", "atomic_cmpxchg", "cmpxchg"})
_UP = 2  # callers climbed from a helper to .open


class Saved(Struct, frozen=True):
    """A field that keeps the address_space, or the inode, of the file that somebody opened.

    shared  the object was there before: several files are opened on it, and the last one is kept
    """

    tag: str
    field: str
    step: Step
    shared: bool
    why: str  # what makes one enough, where it is not shared


def saved(view: TreeView, folder: str) -> tuple[Saved, ...]:
    """All such fields of a folder."""

    def compute() -> tuple[Saved, ...]:
        return tuple(
            each
            for _, raw in mapping.files(view.program, folder)
            if _SAVES.search(raw)
            for fn in view.program.functions(_)
            if _SAVES.search(fn.text)
            for each in _saved(view, Scope(view.program, fn))
        )

    return view.program.memo(("saved mappings", folder), compute)


def _saved(view: TreeView, scope: Scope) -> Iterator[Saved]:
    if not _opens(view, scope.fn):
        return
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Member(base=base, field=field), value=value) if _is_own(scope, value):
                if (owner := scope.tag_of(base)) and owner not in mapping.GENERIC:
                    why = _why_one(scope, node.id, base, field)
                    step = Step(scope.fn.path, node.line, f"{ir.show(node.expr)} in {scope.fn.name}()")
                    yield Saved(owner, field, step, not why, why)


def _opens(view: TreeView, fn: ir.Function) -> bool:
    """Whether it is .open of a file, for itself or for a driver below: it is handed inode or file of who opens."""
    if not any(re.search(r"struct (?:inode|file) \*", param.type) for param in fn.params):
        return False
    level = [fn]
    for _ in range(_UP):
        for each in level:
            if any(use.field.rpartition(".")[2] == "open" for use in view.program.uses(each)):
                return True
        level = [site.fn for each in level for site in view.program.callers(each)]
    return False


def _is_own(scope: Scope, value: ir.Expr) -> bool:
    """The inode or address_space of the file that is opened: a parameter, or what hangs on it."""
    value = scope.resolve(value)
    if isinstance(value, ir.Call) and value.name == "file_inode" and value.args:
        value = peel(value.args[0])
        return isinstance(value, ir.Name) and value.name in scope.params
    while isinstance(value, ir.Member) and value.field in ("i_mapping", "f_mapping", "f_inode"):
        value = peel(value.base)
    return isinstance(value, ir.Name) and value.name in scope.params and _is_file(scope.types.get(value.name, ""))


def _is_file(type_: str) -> bool:
    return re.search(r"struct (?:inode|file|address_space) \*", type_) is not None


def _why_one(scope: Scope, node: int, base: ir.Expr, field: str) -> str:
    """What makes one address_space enough for the object, "" for nothing."""
    if markers.fresh(scope, base):
        return "the object is made for this very file"
    for each in scope.cfg.nodes:
        if each.expr is None or not flow.reaches(scope.cfg, [each.id], {node}):
            continue
        for part in ir.walk(each.expr):
            if isinstance(part, ir.Call) and part.name in _CLAIMS:
                return f"one file at a time: {part.name}()"
            if (
                each.at is ir.At.TEST
                and isinstance(part, ir.Member)
                and (_ALONE.search(part.field) or part.field == field)
            ):
                return f"{ir.show(each.expr)} decides whether it is kept"
    return ""


def fields(scope: Scope, expr: ir.Expr) -> frozenset[tuple[str, str]]:
    """(struct, field) of every link of the chains an expression is made of; "" for a struct that is not known."""
    found: set[tuple[str, str]] = set()
    todo, seen = [expr], set[str]()
    while todo:
        for each in ir.walk(todo.pop()):
            match each:
                case ir.Member(base=base, field=field):
                    found.add((scope.tag_of(base), field))
                case ir.Name(name=name) if name not in seen:
                    seen.add(name)
                    todo.extend(scope.values(name))
    return frozenset(found)


def redirected(view: TreeView, path: str, links: frozenset[tuple[str, str]]) -> Step | None:
    """An open that links the VMAs of its file there: ``file->f_mapping = device->inode->i_mapping``."""
    found = {field for _, field in links} - {"i_mapping", "f_mapping", "host"}
    folder = folder_of(path)
    for where in dict.fromkeys((folder, folder_of(folder))):
        for each, raw in mapping.files(view.program, where):
            if b"f_mapping = " not in raw:
                continue
            for fn in view.program.functions(each):
                for node in view.program.cfg(fn).nodes if b"f_mapping = " in fn.text else ():
                    match node.expr:
                        case ir.Assign(op="=", target=ir.Member(field="f_mapping"), value=value):
                            if found & {part.field for part in ir.walk(value) if isinstance(part, ir.Member)}:
                                return Step(each, node.line, f"{ir.show(node.expr)} in {fn.name}()")
    return None
