"""VMA pointers of a function: where each comes from, what makes it stale, where it is used.

A VMA is protected by mmap_lock (or its own lock, when it came from lock_vma_under_rcu()). When that is given back, or
a callee may have done so, the pointer may be one to freed memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, ir, regex
from lorelint.rule.analyses.scope import Scope, peel

_UNLOCKS = frozenset({"mmap_read_unlock", "mmap_write_unlock", "mmap_read_unlock_non_owner"})
_LOCKS = frozenset({"mmap_read_lock", "mmap_write_lock", "mmap_read_trylock", "mmap_read_lock_killable"})
_LOCKED = frozenset({"lock_vma_under_rcu", "vma_start_read", "vma_start_read_locked", "vma_start_read_locked_nested"})
_OLD = frozenset({"up_read", "up_write"})  # of a field mmap_lock or mmap_sem
_TYPE = regex(r"^(?:const )?struct vm_area_struct \*$")
_LOOKS = regex(
    r"^(?:likely|unlikely|IS_ERR\w*|PTR_ERR\w*|WARN\w*|BUG_ON|pr_\w+|dev_\w+|printk|vma_end_read|trace_\w+)$"
)
_MM = regex(r"^(?:&)?(.*?)(?:->|\.)mmap_(?:lock|sem)$")


class Pointer(Struct, frozen=True):
    """A VMA pointer that a variable holds from a node on; node 0 for a parameter."""

    node: int
    line: int
    name: str
    source: str  # the call, or what it is
    mm: str  # C text of the address space it was looked up in, "" where that is not known
    own_lock: bool  # protected by the VMA's lock, not by mmap_lock


class Event(Struct, frozen=True):
    """What makes a VMA pointer stale, or may.

    told    C text of the variable by which a callee tells that it did, "" where it is certain
    if_set  the callee tells so by setting that variable (else by clearing it)
    """

    node: int
    line: int
    api: str
    mm: str
    own_lock: bool = False
    told: str = ""
    if_set: bool = True
    by_result: bool = False


def variables(scope: Scope) -> frozenset[str]:
    """Names of pointers to VMAs."""
    return frozenset(name for name, type_ in scope.types.items() if _TYPE.match(type_))


def pointers(view: TreeView, scope: Scope) -> Iterator[Pointer]:
    """All VMA pointers a function gets by a look-up, a walk, or as a parameter."""
    names = variables(scope)
    if not names:
        return
    lookups = view.know.names("vma_lookup")
    kept = frozenset(
        ir.show(call.args[0]) for _, call in _calls(scope) if call.name in _LOCKED and call.args
    )  # their own lock is taken after the look-up
    for param in scope.fn.params:
        if param.name in names:
            yield Pointer(0, scope.fn.line, param.name, f"parameter {param.name}", f"{param.name}->vm_mm", False)
    for node in scope.cfg.nodes:
        for name, value, line in sets(node):
            if name in names and value is not None and name not in kept:
                source = _source(view, scope, peel(value), lookups)
                if source is not None:
                    yield Pointer(node.id, line, name, *source)


def sets(node: ir.Node) -> Iterator[tuple[str, ir.Expr | None, int]]:
    """Variables that a node gives a value, with it; None for one that an iterator gives."""
    if node.expr is None:
        return
    if node.at is ir.At.EACH:
        for call in ir.calls(node.expr):
            for arg in call.args:
                if isinstance(arg, ir.Name):
                    yield arg.name, call, call.line
        return
    for each in ir.walk(node.expr):
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                yield name, value, each.line
            case ir.Declare(name=name, value=value) if value is not None:
                yield name, value, each.line
            case ir.Call(args=args):
                for arg in args:
                    if isinstance(arg, ir.Unary) and arg.op == "&" and isinstance(arg.operand, ir.Name):
                        yield arg.operand.name, None, each.line


def _source(view: TreeView, scope: Scope, value: ir.Expr, lookups: frozenset[str]) -> tuple[str, str, bool] | None:
    """(what it is, its address space, whether its own lock protects it) of a value that is a VMA under a lock."""
    match value:
        case ir.Call(args=args) if value.name in lookups:
            first = ir.show(scope.resolve(args[0])) if args else ""
            own = value.name == "lock_vma_under_rcu"
            plain = value.name.startswith(("find_", "vma_lookup", "lock_vma"))
            return f"{value.name}()", first if plain else "", own
        case ir.Call() if value.name and _finds(view, scope.fn.path, value.name, lookups):
            return f"{value.name}()", "", False
        case ir.Member(field="vma", base=base) if "vm_fault" in scope.type_of(base):
            return ir.show(value), "", False
        case ir.Member(field="vm_next"):
            return ir.show(value), "", False
        case ir.Member(field="mmap", base=base):
            return ir.show(value), ir.show(base), False
    return None


def _finds(view: TreeView, path: str, name: str, lookups: frozenset[str]) -> bool:
    """Whether a function of the file looks a VMA up for its caller, under the caller's mmap_lock."""
    fn = view.program.function(path, name)
    if fn is None or not _TYPE.match(fn.returns.replace("static ", "").replace("inline ", "").strip()):
        return False
    locks = (*_LOCKS, *_LOCKED, "mmap_lock", "mmap_sem")
    return any(each.encode() in fn.text for each in lookups) and not any(each.encode() in fn.text for each in locks)


def _calls(scope: Scope) -> Iterator[tuple[ir.Node, ir.Call]]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            yield node, call


def events(view: TreeView, scope: Scope) -> Iterator[Event]:
    """All places at which mmap_lock or a VMA's own lock is given back, or may be."""
    for node, call in _calls(scope):
        yield from _by_call(view, scope, node, call)
    for node in scope.cfg.nodes:
        if isinstance(node.expr, ir.Guard) and node.expr.leave and node.expr.kind.startswith("mmap_"):
            mm = ir.show(scope.resolve(node.expr.args[0])) if node.expr.args else ""
            yield Event(node.id, node.line, f"the end of guard({node.expr.kind})", mm)


def _by_call(view: TreeView, scope: Scope, node: ir.Node, call: ir.Call) -> Iterator[Event]:
    if call.name in _UNLOCKS and call.args:
        yield Event(node.id, call.line, f"{call.name}()", ir.show(scope.resolve(call.args[0])))
    elif call.name in _OLD and call.args and (found := _MM.match(ir.show(call.args[0]))):
        yield Event(node.id, call.line, f"{call.name}()", found.group(1))
    elif call.name == "vma_end_read" and call.args:
        yield Event(node.id, call.line, "vma_end_read()", ir.show(call.args[0]), own_lock=True)
    elif (fact := view.know.calls.get(call.name)) is not None and fact.drops_mmap_lock:
        when = fact.drops_when
        place = None if when is None else when.place(len(call.args))
        if when is None or place is None:
            return
        arg = call.args[place]
        if when.test == "not-null" and ir.show(peel(arg)) not in ("NULL", "0"):
            told = ir.show(arg.operand) if isinstance(arg, ir.Unary) and arg.op == "&" else f"*{ir.show(arg)}"
            yield Event(node.id, call.line, f"{call.name}()", "", told=told, if_set=fact.holds_on_return)
        elif when.test == "flag" and _mentions(scope, arg, frozenset(when.flags)):
            yield Event(node.id, call.line, f"{call.name}()", "", by_result=True)
    elif call.name and (dropper := _drops(view, scope, call)):
        yield Event(node.id, call.line, f"{call.name}()", dropper)


def _mentions(scope: Scope, arg: ir.Expr, flags: frozenset[str]) -> bool:
    todo, seen = [arg], set[str]()
    while todo:
        for each in ir.walk(todo.pop()):
            if isinstance(each, ir.Name) and each.name in flags:
                return True
            if isinstance(each, ir.Name) and each.name not in seen:
                seen.add(each.name)
                todo.extend(scope.values(each.name))
    return False


def _drops(view: TreeView, scope: Scope, call: ir.Call) -> str:
    """The address space whose lock a helper of the same file gives back on every path, "" for none."""
    callee = view.program.function(scope.fn.path, call.name)
    if callee is None or callee.name == scope.fn.name:
        return ""
    unlocked = view.program.memo(("gives mmap_lock back", callee.path, callee.name), lambda: _always(view, callee))
    for at, param in enumerate(callee.params):
        if unlocked == param.name and at < len(call.args):
            return ir.show(scope.resolve(call.args[at]))
    return ""


def _always(view: TreeView, fn: ir.Function) -> str:
    """The parameter whose mmap_lock a function gives back, whatever way it goes; it takes none."""
    from lorelint.rule import flow

    if not any(name.encode() in fn.text for name in _UNLOCKS) or any(name.encode() in fn.text for name in _LOCKS):
        return ""
    cfg = view.program.cfg(fn)
    ends = {
        node.id: ir.show(call.args[0])
        for node in cfg.nodes
        for call in ir.calls(node.expr)
        if call.name in _UNLOCKS and call.args
    }
    if not ends or flow.reaches(cfg, (0,), (1,), avoid=frozenset(ends)) is not None:
        return ""
    return next(iter(ends.values())) if len(set(ends.values())) == 1 else ""


def concerns(pointer: Pointer, event: Event, spaces: frozenset[str]) -> bool:
    """Whether an event is about the lock that protects a pointer; `spaces` are all that the function unlocks."""
    if pointer.own_lock or event.own_lock:
        return pointer.own_lock and event.own_lock and event.mm == pointer.name
    if not event.mm or not pointer.mm:
        return len(spaces) < 2
    same = event.mm == pointer.mm or event.mm == f"{pointer.name}->vm_mm"
    return same or (len(spaces) == 1 and "vm_mm" in pointer.mm + event.mm)


#: Structs that are handed to calls which go to the VMA in them.
_ARGUMENTS = ("struct follow_pfnmap_args", "struct vm_fault", "struct page_vma_mapped_walk")


def aliases(scope: Scope, name: str) -> frozenset[str]:
    """Local structs of arguments that hold the pointer: handing them to a call is a use."""
    found: set[str] = set()
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Declare(name=held, value=ir.Init(items=items)):
                    if any(isinstance(value, ir.Name) and value.name == name for _, value in items):
                        found.add(held)
                case ir.Assign(target=ir.Member(base=ir.Name(name=held), arrow=False), value=ir.Name(name=value)):
                    if value == name:
                        found.add(held)
    return frozenset(each for each in found if scope.types.get(each, "") in _ARGUMENTS)


def use_in(node: ir.Node, name: str, held: frozenset[str] = frozenset()) -> tuple[int, str] | None:
    """(line, text) of a use of what a pointer points to; `held` are local structs that hold the pointer."""
    if node.expr is None or node.at is ir.At.EACH:
        return None
    for each in ir.walk(node.expr):
        match each:
            case ir.Member(base=ir.Name(name=base), arrow=True) if base == name:
                return each.line, ir.show(each)
            case ir.Call(args=args) if each.name and not _LOOKS.match(each.name) and not each.name.isupper():
                for arg in map(peel, args):
                    inner = arg.operand if isinstance(arg, ir.Unary) and arg.op == "&" else None
                    if isinstance(arg, ir.Name) and arg.name == name:
                        return each.line, f"{each.name}({name})"
                    if isinstance(inner, ir.Name) and inner.name in held:
                        return each.line, f"{name} in {each.name}(&{inner.name})"
    return None


def told_by(node: ir.Node, edge: ir.Edge, event: Event) -> bool | None:
    """What a test says of an event: True, the lock was given back; False, it was not; None, nothing."""
    if node.at is not ir.At.TEST or node.expr is None or not isinstance(edge.when, bool):
        return None
    if event.by_result:
        names = {each.name for each in ir.walk(node.expr) if isinstance(each, ir.Name)}
        if names & {"VM_FAULT_RETRY", "VM_FAULT_COMPLETED"}:
            return edge.when
        return False if "FAULT_FLAG_ALLOW_RETRY" in names and not edge.when else None
    match node.expr:
        case ir.Binary(op="==" | "!=" as op, left=left, right=right) if ir.show(right) in ("0", "false"):
            text, truth = ir.show(left), edge.when is (op == "!=")
        case _:
            text, truth = ir.show(node.expr), edge.when
    return truth is event.if_set if text == event.told else None


def is_null(node: ir.Node, edge: ir.Edge, name: str) -> bool:
    """Whether a test came out so that there is no VMA behind a pointer."""
    if node.at is not ir.At.TEST or not isinstance(edge.when, bool):
        return False
    match node.expr:
        case ir.Name(name=held):
            return held == name and not edge.when
        case ir.Binary(op="==" | "!=" as op, left=ir.Name(name=held), right=right) if ir.show(right) in ("NULL", "0"):
            return held == name and edge.when is (op == "==")
        case ir.Call(args=(ir.Name(name=held),)) if node.expr.name in ("IS_ERR", "IS_ERR_OR_NULL"):
            return held == name and edge.when
    return False
