"""A VMA looked up by one address: what is decided by it, what proves its end, who holds a length.

Three questions about one lookup, each answered with the places that prove the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses.scope import Scope, peel

#: Argument (from 0) that is the one address asked about.
LOOKUPS = {"find_vma": 1, "vma_lookup": 1, "find_extend_vma": 1, "find_extend_vma_locked": 1, "find_vma_prev": 1}
_INTERSECTION = "find_vma_intersection"  # (mm, start, start + 1) asks about one address

_DECISIVE = frozenset({"vm_flags", "vm_file", "vm_ops", "vm_page_prot"})
_PREDICATE = regex(r"^(vma_is_|is_vm_hugetlb_page$|is_cow_mapping$|vma_is|is_vma_|is_file_hugepages$)")
_ENDS = frozenset({"range_in_vma", "vma_pages", "vma_next", "vma_iter_next", "vma_find"})
_LOOKS_AT_END = regex(rb"\bvm_end\b|\bvma_pages\b|\brange_in_vma\b|\bvm_next\b")
_PAGE = regex(r"\bPAGE_SIZE\b|\bPAGE_MASK\b|\boffset_in_page\b|\bPAGE_SHIFT\b")
_LENGTH = regex(
    r"(?:^|_)(?:len|length|size|sz|bytes|nbytes|count|cnt|num|range|npages|npgs|n?pgnr|pgcnt|nents|nr)$"
    r"|(?:^|_)(?:nr|num|n|no|total)_?(?:of_)?(?:user_)?(?:pages|bytes|pgs|vecs|frames|pfns)$|^pages_?nr$|^page_?(?:count|cnt|nr)$"
)
_END = regex(r"(?:^|_)(?:end|last|stop)(?:_addr|_va)?$")
_TALK = regex(
    r"^(?:pr_|dev_|trace_|drm_(?:dbg|err|info|warn)|netdev_|ibdev_|v?s?n?printk?|print_|DRM_|WARN|BUG|pr_debug|access_ok|_?dbg)"
)


class Lookup(Struct, frozen=True):
    """``vma = api(mm, address)``"""

    node: int
    line: int
    api: str
    vma: str
    address: ir.Expr


class Held(Struct, frozen=True):
    """Somebody who holds a length of the range that begins at the address."""

    fn: ir.Function
    line: int
    length: str  # as C text
    how: str  # what is done with it, lower case


def lookups(scope: Scope) -> Iterator[Lookup]:
    """All single-address lookups of a function whose result is kept in a local."""
    for node in scope.cfg.nodes:
        match node.expr:
            case (
                ir.Assign(op="=", target=ir.Name(name=name), value=value)
                | ir.Declare(name=name, value=ir.Expr() as value)
            ):
                call = peel(value)
                if isinstance(call, ir.Call) and (address := _address(scope, call)) is not None:
                    yield Lookup(node.id, call.line, call.name, name, address)


def _address(scope: Scope, call: ir.Call) -> ir.Expr | None:
    at = LOOKUPS.get(call.name)
    if at is not None:
        return call.args[at] if len(call.args) > at else None
    if call.name == _INTERSECTION and len(call.args) == 3:
        start, end = call.args[1:]
        match end:
            case ir.Binary(op="+", left=left, right=ir.Number(value=1)) if left == start:
                return start
    return None


def decisions(scope: Scope, lookup: Lookup) -> tuple[tuple[int, str], ...]:
    """(node, what is looked at) where flags, file or operations of this VMA decide."""
    found: dict[int, str] = {}
    kept: dict[str, str] = {}  # locals that hold such a fact
    for node in scope.cfg.nodes:
        if node.expr is None or node.id == lookup.node:
            continue
        what = _decisive(node.expr, lookup.vma)
        match node.expr:
            case ir.Assign(target=ir.Name(name=name)) | ir.Declare(name=name) if what:
                kept[name] = what
        if what and node.at in (ir.At.TEST, ir.At.SWITCH, ir.At.RETURN):
            found[node.id] = what
    for node in scope.cfg.nodes:
        if node.at in (ir.At.TEST, ir.At.SWITCH, ir.At.RETURN) and node.expr is not None and node.id not in found:
            names = [each.name for each in ir.walk(node.expr) if isinstance(each, ir.Name) and each.name in kept]
            if names:
                found[node.id] = kept[names[0]]
    after = _after(scope, lookup)
    return tuple((id, what) for id, what in sorted(found.items()) if id in after)


def _decisive(expr: ir.Expr, vma: str) -> str:
    for each in ir.walk(expr):
        match each:
            case ir.Member(base=ir.Name(name=name), field=field) if name == vma and field in _DECISIVE:
                return field
            case ir.Call(args=args) if _PREDICATE.match(each.name):
                if any(isinstance(arg, ir.Name) and arg.name == vma for arg in args):
                    return each.name + "()"
    return ""


def _after(scope: Scope, lookup: Lookup) -> frozenset[int]:
    """Nodes that the value of this lookup can get to: no other value is put in its place on the way."""
    other = {
        node.id
        for node in scope.cfg.nodes
        if node.id != lookup.node
        and isinstance(node.expr, ir.Assign)
        and isinstance(node.expr.target, ir.Name)
        and node.expr.target.name == lookup.vma
    }
    seen: set[int] = set()
    todo = [edge.to for edge in scope.cfg.nodes[lookup.node].out]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        if here not in other:
            todo.extend(edge.to for edge in scope.cfg.nodes[here].out)
    return frozenset(seen)


# -- proofs -----------------------------------------------------------------------------------


def proof(view: TreeView, scope: Scope, lookup: Lookup) -> Step | None:
    """The place that shows that the end of the range, or each step of it, was thought of."""
    for loop in view.program.loops(scope.fn):
        if lookup.node in loop.body and _moves(scope, loop, lookup):
            line = scope.cfg.nodes[loop.head].line
            return Step(
                scope.fn.path, line, f"a loop moves the address and looks the VMA up again for each step ({lookup.api})"
            )
    found = walk(scope)
    if found is not None:
        return found
    for node in scope.cfg.nodes:
        if node.expr is None:
            continue
        for each in ir.walk(node.expr):
            step = _ends(view, scope, lookup, each)
            if step is not None:
                return step
    return None


def walk(scope: Scope) -> Step | None:
    """A walk over all VMAs of a range: an iterator, or the first one behind an address, and on from there."""
    for node in scope.cfg.nodes:
        if node.expr is not None:
            if node.at is ir.At.EACH and "vma" in (name := ir.show(node.expr).partition("(")[0]):
                return Step(scope.fn.path, node.line, f"{name}() walks all VMAs")
            for call in ir.calls(node.expr):
                if call.name == _INTERSECTION and _address(scope, call) is None:
                    return Step(scope.fn.path, call.line, f"{call.name}() is asked about the whole range")
    return None


def _moves(scope: Scope, loop: ir.Loop, lookup: Lookup) -> bool:
    names = {each.name for each in ir.walk(lookup.address) if isinstance(each, ir.Name)}
    names |= {atom for atom in scope.atoms(lookup.address) if atom.isidentifier()}
    for id in loop.body:
        for each in ir.walk(expr) if (expr := scope.cfg.nodes[id].expr) is not None else ():
            match each:
                case ir.Update(target=ir.Name(name=name)) if name in names:
                    return True
                case ir.Assign(op=op, target=ir.Name(name=name), value=value) if name in names:
                    if op != "=" or any(isinstance(part, ir.Binary) for part in ir.walk(value)):
                        return True
    return False


def _ends(view: TreeView, scope: Scope, lookup: Lookup, expr: ir.Expr) -> Step | None:
    match expr:
        case ir.Binary(op="<" | "<=" | ">" | ">=", left=left, right=right):
            for end, other in ((left, right), (right, left)):
                if _is_field(end, lookup.vma, "vm_end"):
                    if _only_the_address(scope, other, lookup):
                        return None
                    return Step(scope.fn.path, expr.line, f"compares the end of the VMA: {ir.show(expr)}")
        case ir.Binary(left=left, right=right):
            if any(_is_field(part, lookup.vma, "vm_end") for part in (left, right)):
                return Step(scope.fn.path, expr.line, f"reckons with the end of the VMA: {ir.show(expr)}")
        case ir.Assign(value=value) | ir.Declare(value=ir.Expr() as value):
            if _is_field(peel(value), lookup.vma, "vm_end", "vm_next"):
                return Step(scope.fn.path, expr.line, f"keeps the end of the VMA: {ir.show(expr)}")
        case ir.Call(args=args):
            return _handed(view, scope, lookup, expr, args)
    return None


def _handed(view: TreeView, scope: Scope, lookup: Lookup, call: ir.Call, args: tuple[ir.Expr, ...]) -> Step | None:
    if any(_is_field(each, lookup.vma, "vm_end") for arg in args for each in ir.walk(arg)) and not _TALK.match(
        call.name
    ):
        return Step(scope.fn.path, call.line, f"hands the end of the VMA to {call.name or ir.show(call.callee)}()")
    if not any(isinstance(arg, ir.Name) and arg.name == lookup.vma for arg in args):
        return None
    if call.name in _ENDS:
        return Step(scope.fn.path, call.line, f"{call.name}() looks at the end of the VMA")
    for fn in view.program.define(call.name, scope.fn.path) if call.name else ():
        if _LOOKS_AT_END.search(fn.text):
            return Step(scope.fn.path, call.line, f"{call.name}() ({fn.path}:{fn.line}) looks at the end of the VMA")
    return None


def unseen_callee(view: TreeView, scope: Scope, lookup: Lookup) -> str:
    """A callee that is handed the VMA and whose body is not in sight, "" for none."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if not any(isinstance(arg, ir.Name) and arg.name == lookup.vma for arg in call.args):
                continue
            plain = _PREDICATE.match(call.name) or call.name in ("likely", "unlikely", "IS_ERR", "IS_ERR_OR_NULL")
            if not plain and (not call.name or not view.program.define(call.name, scope.fn.path)):
                return call.name or ir.show(call.callee)
    return ""


def _is_field(expr: ir.Expr, vma: str, *fields: str) -> bool:
    match expr:
        case ir.Member(base=ir.Name(name=name), field=field):
            return name == vma and field in fields
    return False


def _only_the_address(scope: Scope, expr: ir.Expr, lookup: Lookup) -> bool:
    """Whether a comparison with this says no more than that the VMA holds the address itself."""
    return expr == lookup.address or (
        not any(isinstance(each, ir.Binary) for each in ir.walk(expr))
        and scope.atoms(expr, 1) <= scope.atoms(lookup.address)
    )


# -- lengths ----------------------------------------------------------------------------------


def address_atoms(scope: Scope, address: ir.Expr) -> frozenset[str]:
    """What the address is made of, objects left out: integers, user pointers and fields."""
    kept = set()
    for atom in scope.atoms(address):
        type_ = scope.types.get(atom, "")
        if atom.isidentifier() and ("struct " in type_ or not type_):
            continue
        if _named(atom, _LENGTH):
            continue
        kept.add(atom)
    return frozenset(kept)


def _named(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.search(re.split(r"->|\.", text)[-1].lower().split("[")[0]) is not None


def length_in(scope: Scope, expr: ir.Expr, atoms: frozenset[str]) -> str:
    """The length or end of a range in an argument, as C text; "" for none."""
    for each in sorted(scope.atoms(expr, 1) - atoms):
        if _named(each, _LENGTH) or _named(each, _END):
            return each
    return ""


def used_in_calls(
    scope: Scope, address: ir.Expr, know: frozenset[str], nodes: frozenset[int] | None = None
) -> Iterator[Held]:
    """Calls that are handed the address and a length of the range that begins there."""
    atoms = address_atoms(scope, address)
    if not atoms:
        return
    for node in scope.cfg.nodes:
        if node.expr is None or (nodes is not None and node.id not in nodes):
            continue
        for call in ir.calls(node.expr):
            if not call.name or call.name in LOOKUPS or call.name == _INTERSECTION or _TALK.match(call.name):
                continue
            held = _handed_range(scope, call, atoms, know)
            if held:
                yield Held(scope.fn, call.line, held, f"{call.name}() is handed the address and {held}")


def _handed_range(scope: Scope, call: ir.Call, atoms: frozenset[str], gup: frozenset[str]) -> str:
    where = [at for at, arg in enumerate(call.args) if scope.atoms(arg) & atoms]
    if not where:
        return ""
    if call.name in gup and where[0] + 1 < len(call.args):
        count = peel(call.args[where[0] + 1])
        return "" if isinstance(scope.resolve(count), ir.Number) else ir.show(count)
    for at, arg in enumerate(call.args):
        if at > where[0] and not isinstance(scope.resolve(arg), ir.Number):
            held = length_in(scope, arg, atoms)
            if held:
                return held
    return ""


def _within_page(expr: ir.Expr) -> bool:
    """``len > PAGE_SIZE - off``, ``a & PAGE_MASK != b & PAGE_MASK``: not a multiple of pages, nor their alignment."""
    match expr:
        case ir.Binary(op="==" | "!=", left=left, right=right):
            return all(_PAGE.search(ir.show(side)) for side in (left, right))
        case ir.Binary(op="<" | "<=" | ">" | ">="):
            many = any(
                isinstance(each, ir.Binary) and each.op in ("*", "<<", ">>") and _PAGE.search(ir.show(each))
                for each in ir.walk(expr)
            )
            return not many and _PAGE.search(ir.show(expr)) is not None
    return False


def one_page(scope: Scope, lengths: frozenset[str]) -> Step | None:
    """A test that keeps the length within a page."""
    for node in scope.cfg.nodes:
        test = node.at is ir.At.TEST and node.expr is not None and _within_page(node.expr)
        if test and node.expr is not None and scope.atoms(node.expr, 1) & lengths:
            return Step(scope.fn.path, node.line, f"the range is kept within one page: {ir.show(node.expr)}")
    return None


def length_parameters(scope: Scope) -> tuple[str, ...]:
    """Parameters that are a length or the end of a range, by name and type."""
    return tuple(
        param.name
        for param in scope.fn.params
        if "*" not in param.type
        and "struct" not in param.type
        and (_LENGTH.search(param.name) or _END.search(param.name))
    )


def is_length(name: str) -> bool:
    """Whether a field's name says that it is a length."""
    return _LENGTH.search(name) is not None
