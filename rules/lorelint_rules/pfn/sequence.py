"""The sequence of an MMU notifier in one function: where it is read, what is got under it, where it is checked.

Reading ``mmu_interval_read_begin()`` or KVM's ``mmu_invalidate_seq`` opens it, a retry predicate checks it; the check
counts where the lock is held that the invalidation takes.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir, regex, tables
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.lockset import LOCKING, LOCKSETS, HeldLocks
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.pfn.lookups import Hands, Values, carried

_PREDICATES = regex(r"^mmu_(?:interval_read|invalidate|notifier)_retry(?:_\w+)?$")
_COMPARES = regex(rb"mmu_(?:invalidate|notifier)_seq\s*!=|!=\s*[\w>.-]*mmu_(?:invalidate|notifier)_seq")
_FIELDS = regex(r"^mmu_(?:invalidate|notifier)_seq$")
_PARAMETER = regex(r"^(?:mmu|notifier|mmu_notifier|mmu_invalidate)_seq$")
_PFNS = regex(rb"\bhmm_pfns\b")
_SEQUENCE = regex(rb"_seq\b|_retry")
_LOCKS = regex(r"(?:^|_)(?:lock|down_read|down_write)(?:_|$)")
_INSTALLS = regex(
    r"(?:^|_)(?:map|install|insert|bind|commit|program|write|enter)_(?:\w+_)?(?:[sh]?pte|tlbe?|gpu|entry|page|range)s?(?:_|$)"
    r"|(?:^|_)set_[sh]?pte(?:_|$)"
)
#: Leads to no mapping: gives back, looks, tells, tries again.
_LEAVES = regex(
    r"(?:^|_)(?:free|put|mmput|mmdrop|fput|unpin|unmap|release|kfree|kvfree|unlock|remove|drop|wait|wake|complete|sleep"
    r"|resched|warn|err|dbg|trace|read_begin|check_retry|signal_pending|time_after|time_before|unlikely|likely|pr_\w+)"
    r"(?:_|$)|^_?(?:pr|dev|drm|trace)_"
)
_NO_LOCK = regex(r"mmap_|rcu_")
_GUEST = regex(r"^_*(?:hva|gfn|gpa)_to_(?:h?pfn|page)")  # KVM's look-ups, by how they are all called
#: They keep no invalidation out.
_NO_LOCKS = frozenset("rcu srcu irq preempt bh migrate kmap pte_lock mmap_lock vma_lock seqlock page_lock".split())
_ASKED = 2  # calls followed in search of a comparison
_SMALL = 1500
_RESULT = Hands(result=True)


class Read(Struct, frozen=True):
    """The sequence is read; `kept` is where its value goes, `local` whether nobody else sees it."""

    node: int
    line: int
    api: str
    kept: str
    local: bool


class Got(Struct, frozen=True):
    """Pages or a PFN are got."""

    node: int
    line: int
    api: str


class Check(Struct, frozen=True):
    """The sequence is compared; `locks` are held there, `below` names a callee that makes the check."""

    node: int
    line: int
    api: str
    locks: frozenset[str]
    used: bool  # its result decides something


def reads(view: TreeView, scope: Scope) -> Iterator[Read]:
    for node in scope.cfg.nodes:
        if node.expr is None:
            continue
        for each in ir.walk(node.expr):
            match each:
                case ir.Assign(op="=", target=target, value=value) if api := _reads(value):
                    yield Read(node.id, each.line, api, ir.show(target), _is_local(scope, target))
                case ir.Declare(name=name, value=ir.Expr() as value) if api := _reads(value):
                    yield Read(node.id, each.line, api, name, True)
                case ir.Call() if each == node.expr and each.name == "mmu_interval_read_begin":
                    yield Read(node.id, each.line, f"{each.name}()", "", True)


def _reads(value: ir.Expr) -> str:
    while isinstance(value, ir.Cast | ir.Assign):
        value = value.value
    if isinstance(value, ir.Call) and value.name == "READ_ONCE" and value.args:
        value = value.args[0]
    match value:
        case ir.Call() if value.name == "mmu_interval_read_begin":
            return f"{value.name}()"
        case ir.Member(field=field) if _FIELDS.match(field):
            return field
    return ""


def _is_local(scope: Scope, target: ir.Expr) -> bool:
    """A variable, or a field of a struct that lies on the stack."""
    while isinstance(target, ir.Member) and not target.arrow:
        target = target.base
    return isinstance(target, ir.Name) and target.name in scope.types and target.name not in scope.params


def gots(view: TreeView, scope: Scope) -> Iterator[Got]:
    """Calls that get pages, and helpers of the file that do."""
    apis = view.know.names("gup_pin", "gup_get", "notified_pages", "kvm_pfn_lookup")
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in apis or _GUEST.match(call.name) or _helper(view, scope.fn.path, call.name, apis):
                yield Got(node.id, call.line, call.name)


def _helper(view: TreeView, path: str, name: str, apis: frozenset[str]) -> bool:
    fn = view.program.function(path, name) if name else None
    return fn is not None and any(
        call.name in apis for node in view.program.cfg(fn).nodes for call in ir.calls(node.expr)
    )


def checks(view: TreeView, scope: Scope) -> Iterator[Check]:
    fn = scope.fn
    held = view.of(LOCKSETS)
    hints = view.know.names("mmu_notifier_hint")
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if not call.name or call.name in hints:
                continue
            used = not (node.at is ir.At.DO and node.expr == call)
            locks = _names(held, fn, node.id)
            if _PREDICATES.match(call.name):
                yield Check(node.id, call.line, call.name, locks, used)
            elif (inner := _checks_below(view, fn, call.name)) is not None:
                yield Check(node.id, call.line, call.name, locks | inner, True)


def _names(held: HeldLocks, fn: ir.Function, node: int, asserted: bool = False) -> frozenset[str]:
    """Names of locks held at a node that keep an invalidation out; with `asserted` those of the callers too."""
    without = _NO_LOCKS if asserted else _NO_LOCKS | {"asserted"}
    return frozenset(lock.text for lock in held.at(fn, node) if lock.text and lock.kind not in without)


def held_at(view: TreeView, fn: ir.Function, node: int) -> frozenset[str]:
    """Names of locks held at a node."""
    return _names(view.of(LOCKSETS), fn, node)


def _checks_below(view: TreeView, fn: ir.Function, name: str) -> frozenset[str] | None:
    """Locks that a callee holds where it checks the sequence itself, None where it does not."""

    def look() -> frozenset[str] | None:
        for callee in resolve(view.program, name, fn.path, wide=False):
            if callee.key == fn.key or _reads_itself(callee):
                continue
            if len(callee.text) < _SMALL and _COMPARES.search(callee.text):
                return frozenset()
            held = view.of(LOCKSETS)
            for node in view.program.cfg(callee).nodes:
                if any(_PREDICATES.match(call.name) for call in ir.calls(node.expr)):
                    return _names(held, callee, node.id, True)
        return None

    return view.program.memo(("checks a sequence", fn.path, name), look)


def _reads_itself(fn: ir.Function) -> bool:
    return b"mmu_interval_read_begin" in fn.text


def locked_by_name(scope: Scope, got: int, check: int) -> bool:
    """Whether every way from the pages to a check passes a call that takes a lock by its name, still held there."""
    takes: set[int] = set()
    gives = {got}
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if LOCKING.search(call.name) and not _NO_LOCK.search(call.name):
                (gives if "unlock" in call.name else takes).add(node.id)
    return bool(takes) and flow.reaches(scope.cfg, gives, (check,), avoid=takes) is None


def stored(scope: Scope, name: str) -> str:
    """The object in which the value of a variable is kept for others, "" for none."""
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(target=ir.Member() as target, value=ir.Name(name=value)) if value == name:
                if not _is_local(scope, target):
                    return ir.show(target)
    return ""


def locks_behind(scope: Scope, node: int) -> tuple[int, str] | None:
    """(line, call) of a lock that is taken behind a node: what was checked before it is settled by it no more."""
    for id_ in sorted(flow.after(scope.cfg, node)):
        for call in ir.calls(scope.cfg.nodes[id_].expr):
            if call.name and _LOCKS.search(call.name) and "unlock" not in call.name and "mmap_" not in call.name:
                return call.line, call.name
    return None


def handed_on(view: TreeView, scope: Scope, name: str) -> tuple[int, str] | None:
    """(line, callee) of a call that is handed the value of the sequence, one that only gives a hint left out."""
    hints = view.know.names("mmu_notifier_hint")
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if (
                call.name
                and call.name not in hints
                and any(ir.show(arg) == name or f"{ir.show(arg)}." in name for arg in call.args)
            ):
                return call.line, call.name
    return None


def invalidating(view: TreeView, path: str) -> frozenset[str]:
    """Names of the locks that the invalidate callbacks of a file take."""

    def look() -> frozenset[str]:
        found: set[str] = set()
        for table in view.program.tables(path):
            value = table.get("invalidate") if "mmu_interval_notifier_ops" in table.type else None
            callback = view.program.function(path, tables.named(value)) if value is not None else None
            for node in view.program.cfg(callback).nodes if callback is not None else ():
                found |= _names(view.of(LOCKSETS), callback, node.id) if callback is not None else frozenset()
        return frozenset(found)

    return view.program.memo(("invalidating", path), look)


def under_their_lock(view: TreeView, scope: Scope, got: Got) -> tuple[int, str] | None:
    """(line, what) of a place behind the pages that holds a lock which the invalidate callback takes."""
    theirs = invalidating(view, scope.fn.path) - held_at(view, scope.fn, got.node)
    for id_ in sorted(flow.after(scope.cfg, got.node)) if theirs else ():
        held = theirs & held_at(view, scope.fn, id_)
        if held:
            return scope.cfg.nodes[id_].line, f"{min(held)}, which the invalidate callback takes, is held"
    return None


def used_under_their_lock(view: TreeView, scope: Scope, read: Read, got: Got) -> tuple[int, str] | None:
    """(line, callee) of a call that makes something of the pages of the object which has the sequence, behind them and
    under the lock of the invalidate callback; None too where a callee may ask for the sequence itself."""
    theirs = invalidating(view, scope.fn.path) - held_at(view, scope.fn, got.node)
    holder = regex(r"(?:->|\.)\w+$").sub("", read.kept)
    found = None
    for id_ in sorted(flow.after(scope.cfg, got.node)) if theirs and holder != read.kept else ():
        node = scope.cfg.nodes[id_]
        if node.expr is None or not theirs & held_at(view, scope.fn, id_):
            continue
        for call in ir.calls(node.expr):
            if any(holder in map(ir.show, ir.walk(arg)) for arg in call.args):
                bodies = resolve(view.program, call.name, scope.fn.path, wide=False) if call.name else ()
                if not bodies or any(_may_ask(view, body) for body in bodies):
                    return None
                if any(_PFNS.search(body.text) for body in bodies) or "hmm_pfns" in ir.show(call):
                    found = found or (call.line, call.name)
        if any(isinstance(each, ir.Assign) and ir.show(each.value) == holder for each in ir.walk(node.expr)):
            return None  # somebody else has it from here on
    return found


def _may_ask(view: TreeView, fn: ir.Function, depth: int = _ASKED) -> bool:
    """Whether a function asks for a sequence, itself or a few calls down, or may: by a macro, or out of sight."""
    if _SEQUENCE.search(fn.text):
        return True
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            body = view.program.function(fn.path, call.name) if call.name else None
            if call.name.isupper() or (body is not None and (depth == 0 or _may_ask(view, body, depth - 1))):
                return True
    return False


def unread(view: TreeView, scope: Scope) -> tuple[str, Step] | None:
    """A parameter that holds the sequence and is never looked at, where a page is installed under mmu_lock."""
    param = next((each.name for each in scope.fn.params if _PARAMETER.search(each.name)), "")
    if not param or b"mmu_lock" not in scope.fn.text:
        return None
    calls = [(node.id, call) for node in scope.cfg.nodes for call in ir.calls(node.expr)]
    spoken = (each for node in scope.cfg.nodes if node.expr is not None for each in ir.walk(node.expr))
    if any(call.name.isupper() for _, call in calls) or any(
        isinstance(each, ir.Name) and each.name == param for each in spoken
    ):
        return None
    for id_, call in calls:
        if _INSTALLS.search(call.name) and any("mmu_lock" in lock for lock in held_at(view, scope.fn, id_)):
            return param, Step(
                scope.fn.path, call.line, f"{call.name}() is called under mmu_lock, and it is not compared"
            )
    return None


def takes_behind(view: TreeView, scope: Scope, got: Got) -> tuple[int, str] | None:
    """(line, lock) of a place behind the pages where a lock is held that was not when they were got."""
    before = held_at(view, scope.fn, got.node)
    for id_ in sorted(flow.after(scope.cfg, got.node)):
        taken = {lock for lock in held_at(view, scope.fn, id_) - before if "mmap_lock" not in lock}
        if taken:
            return scope.cfg.nodes[id_].line, min(taken)
    return None


def given_back(view: TreeView, scope: Scope, got: Got, check: Check) -> tuple[int, str] | None:
    """(line, call) of what is done once the lock of a check is given back with nothing done under it.

    What the check has settled is so as long as the lock is held: a check for the sake of nothing settles nothing.
    Who installs first and asks then takes it back where the answer is yes.
    """
    locks = check.locks - held_at(view, scope.fn, got.node)
    if not _PREDICATES.match(check.api):
        return None  # made in a callee, which may well install too
    between = _onward(scope, {edge.to for edge in scope.cfg.nodes[got.node].out}, {got.node, check.node})
    if any(locks <= held_at(view, scope.fn, id_) and _does(scope, scope.cfg.nodes[id_]) for id_ in between):
        return None
    todo, seen, free = [edge.to for edge in scope.cfg.nodes[check.node].out], {check.node}, set[int]()
    while todo and locks:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        node = scope.cfg.nodes[here]
        if not locks <= held_at(view, scope.fn, here):
            free.add(here)
            continue
        if node.at is ir.At.RETURN or _does(scope, node):
            return None
        todo.extend(edge.to for edge in node.out)
    for id_ in sorted(_onward(scope, free, {got.node, check.node})):
        for call in ir.calls(scope.cfg.nodes[id_].expr):
            if call.name and not _LEAVES.search(call.name) and not call.name.isupper():
                return call.line, call.name
    return None


def _does(scope: Scope, node: ir.Node) -> bool:
    """Whether a node does more than to test, to set a variable, or to give a lock back."""
    for each in ir.walk(node.expr) if node.expr is not None else ():
        match each:
            case ir.Call() if "unlock" not in each.name and each.name not in ("up_read", "up_write"):
                return True
            case ir.Assign(target=target) | ir.Update(target=target) if not _is_local(scope, target):
                return True
    return False


def _onward(scope: Scope, starts: set[int], avoid: set[int]) -> set[int]:
    seen, todo = set(avoid), list(starts)
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(edge.to for edge in scope.cfg.nodes[here].out)
    return seen - avoid


def installs(view: TreeView, scope: Scope) -> tuple[int, str] | None:
    """(line, what) of a place where a PFN that was got is written into tables of a secondary MMU."""
    apis = view.know.names("kvm_pfn_lookup")
    results = dict.fromkeys(apis, _RESULT)
    found = Values(scope, frozenset(), results)
    for node in scope.cfg.nodes:
        state = found.at(node.id)
        if not state or node.expr is None:
            continue
        for each in ir.walk(node.expr):
            match each:
                case ir.Assign(op="=", target=ir.Index() | ir.Unary(op="*") as target, value=value):
                    if carried(value, state):
                        return each.line, f"{ir.show(target)} is written"
                case ir.Call(args=args) if each.name and _INSTALLS.search(each.name):
                    if any(carried(arg, state) for arg in args):
                        return each.line, f"{each.name}() is handed the PFN"
    return None
