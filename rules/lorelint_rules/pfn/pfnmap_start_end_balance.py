"""pfnmap-start-end-balance: a page-table walk is left open, ended twice, or slept in

What it sees
    follow_pfnmap_start() returned 0 and a way leads to the end of the function, or to the next start, without
    follow_pfnmap_end(); follow_pfnmap_end() stands where the start failed, was not asked about, or was ended already;
    a call that may sleep, or gives mmap_lock back, stands between the two; a field of the arguments is read after
    the end.

Why it hurts
    The page-table spinlock and the RCU read section stay held: the next fault on that table spins for ever, and
    "scheduling while atomic" follows. An end without a start unlocks what nobody locked.

When it is silent
    One end on every way behind a start that returned 0; a start that fails and is tried again after
    fixup_user_fault(); several pairs; the arguments are those of the caller, who ends it.

Do this instead
    Read the fields, call follow_pfnmap_end() at once, and do the rest afterwards; jump to a label in front of
    the end on errors between the two.

References
    kernel-doc of follow_pfnmap_start() and follow_pfnmap_end() in mm/memory.c (6.12); arch/s390/pci/pci_mmio.c has
    labels for each step
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import (
    Finding,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    codes,
    flow,
    ir,
)
from lorelint_rules.pfn.lookups import END, START, pointed

NAME = "pfnmap-start-end-balance"
_OPEN, _CLOSED, _MAYBE, _ENDED = "open", "closed", "maybe", "ended"
_GIVES_UP = frozenset({"mmap_read_unlock", "mmap_write_unlock", "mmap_write_downgrade"})
_ATOMIC = ("GFP_ATOMIC", "GFP_NOWAIT")
_WHAT = {
    "left open": "a way out of the function keeps the walk open",
    "started twice": "follow_pfnmap_start() is reached again while the walk is open",
    "ended twice": "follow_pfnmap_end() is reached when no walk is open",
    "not asked": "follow_pfnmap_end() is reached and nobody asked whether the start succeeded",
    "slept in": "a call that may sleep stands inside the walk",
    "read after": "a field is read after the walk has ended",
}

#: (what holds, the variable whose value says so): one element for each class of ways.
State = frozenset[tuple[str, str]]


class Fault(Struct, frozen=True):
    """One thing that is wrong at a place."""

    kind: str
    line: int
    text: str


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        if fn.name in (START, END) or not view.know.has(START, "pfn_lookup"):
            continue
        for handle, line in _handles(view, fn).items():
            faults = tuple(_faults(view, fn, handle))
            first = Step(fn.path, line, f"{START}(&{handle}) takes the page-table lock when it returns 0")
            told: set[str] = set()
            for fault in sorted(faults, key=lambda each: each.line):
                if fault.kind not in told:
                    told.add(fault.kind)
                    yield _finding(fn, fault, first)
            if not faults:
                yield Silence(NAME, fn.path, fn.name, line, "one end on every way behind a start", (first,))


def _handles(view: TreeView, fn: ir.Function) -> dict[str, int]:
    """Objects that walks are made with, with the line of the first start."""
    found: dict[str, int] = {}
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            if call.name in (START, END) and call.args:
                found.setdefault(pointed(call.args[0]), call.line)
    return found


def _call(node: ir.Node, api: str, handle: str) -> ir.Call | None:
    for call in ir.calls(node.expr):
        if call.name == api and call.args and pointed(call.args[0]) == handle:
            return call
    return None


def _transfer(node: ir.Node, edge: ir.Edge, state: State, handle: str) -> State | None:
    if node.expr is None:
        return state
    if _call(node, END, handle) is not None:
        return frozenset({(_ENDED, "")})
    written = _written(node.expr)
    if _renewed(node, handle):
        state = frozenset((_CLOSED if what == _ENDED else what, name) for what, name in state)
    state = frozenset((what, "" if name in written else name) for what, name in state)
    if (start := _call(node, START, handle)) is not None:
        if node.at is ir.At.TEST and isinstance(edge.when, bool):
            return frozenset({(_OPEN if edge.when is not _truth(node.expr) else _CLOSED, "")})
        return frozenset({(_MAYBE, _result(node.expr, start))})
    if node.at is ir.At.TEST and isinstance(edge.when, bool):
        name, failed = _asks(node.expr, edge.when)
        return _learned(state, name, failed) if name else state
    return state


def _renewed(node: ir.Node, handle: str) -> bool:
    """Whether a walk may have begun anew by another function, or the handle be another one: ``args++``."""
    if node.expr is None or any(_call(node, api, handle) for api in (START, END)):
        return False
    handed = {pointed(arg) for call in ir.calls(node.expr) for arg in call.args}
    return handle in handed | _written(node.expr)


def _truth(expr: ir.Expr) -> bool:
    """What a test of the call itself is when the start failed."""
    return not (isinstance(expr, ir.Binary) and expr.op == "==")


def _written(expr: ir.Expr) -> frozenset[str]:
    names = set()
    for each in ir.walk(expr):
        match each:
            case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)) | ir.Declare(name=name):
                names.add(name)
            case ir.Unary(op="&", operand=ir.Name(name=name)):
                names.add(name)
    return frozenset(names)


def _result(expr: ir.Expr, start: ir.Call) -> str:
    for each in ir.walk(expr):
        match each:
            case ir.Assign(target=ir.Name(name=name), value=value) | ir.Declare(name=name, value=value):
                if value == start:
                    return name
    return ""


def _asks(expr: ir.Expr, truth: bool) -> tuple[str, bool]:
    """The variable that a test is about, and whether it is not 0 where the test came out so."""
    match expr:
        case ir.Name(name=name):
            return name, truth
        case ir.Binary(op="!=" | "<", left=ir.Name(name=name), right=right) if codes.const(right) == "0":
            return name, truth
        case ir.Binary(op="==" | ">=", left=ir.Name(name=name), right=right) if codes.const(right) == "0":
            return name, not truth
    return "", False


def _learned(state: State, name: str, failed: bool) -> State | None:
    """What holds when a variable is known to be an error, or to be none; None where no way comes here."""
    kept = set()
    for what, by in state:
        if by != name:
            kept.add((what, by))
        elif what == _MAYBE:
            kept.add((_CLOSED if failed else _OPEN, name))
        elif (what == _OPEN) is not failed:
            kept.add((what, by))
    return frozenset(kept) or None


def _faults(view: TreeView, fn: ir.Function, handle: str) -> Iterator[Fault]:
    cfg = view.program.cfg(fn)
    start: State = frozenset({(_CLOSED, "")})
    before = flow.solve(
        cfg, start, lambda node, edge, state: _transfer(node, edge, state, handle), lambda one, other: one | other
    ).before
    lent = any(param.name == handle for param in fn.params)
    for node in cfg.nodes:
        state = before[node.id]
        if state is None:
            continue
        held = {what for what, _ in state}
        starts, ends = _call(node, START, handle), _call(node, END, handle)
        if starts is not None and _OPEN in held:
            yield Fault("started twice", starts.line, f"{START}() again, with the page-table lock held")
        again = ends is not None and _ENDED in held and _straight(cfg, node.id, handle)
        if ends is not None and (again or (not lent and not held & {_OPEN, _MAYBE})):
            yield Fault("ended twice", ends.line, f"{END}() where no walk is open")
        if ends is not None and _MAYBE in held:
            yield Fault("not asked", ends.line, f"{END}() whatever {START}() returned")
        leaves = any(edge.to == 1 for edge in node.out)
        if leaves and _OPEN in held and not lent and ends is None:
            yield Fault("left open", node.line, f"the function is left without {END}()")
        if held == {_OPEN} and node.expr is not None:
            yield from _sleeps(view, node)
        if held == {_ENDED} and node.expr is not None and starts is None:
            yield from _reads(node, handle)


def _straight(cfg: ir.Cfg, end: int, handle: str) -> bool:
    """Whether another end leads to this one with nothing asked, and no start, between, nor by whoever is handed it."""
    stops = {
        node.id
        for node in cfg.nodes
        if node.at in (ir.At.TEST, ir.At.SWITCH) or _call(node, START, handle) or _renewed(node, handle)
    }
    others = [node.id for node in cfg.nodes if node.id != end and _call(node, END, handle) is not None]
    return flow.reaches(cfg, others, {end}, avoid=stops) is not None


def _sleeps(view: TreeView, node: ir.Node) -> Iterator[Fault]:
    sleeping = view.know.names("yield_unconditional", "yield_only_if_contended", "yield_slow_path_only", "user_access")
    for call in ir.calls(node.expr):
        atomic = any(flag in ir.show(arg) for arg in call.args for flag in _ATOMIC)
        if call.name in _GIVES_UP or (call.name in sleeping and not atomic):
            why = "gives mmap_lock back" if call.name in _GIVES_UP else "may sleep"
            yield Fault("slept in", call.line, f"{call.name}() {why} while the page-table lock is held")


def _reads(node: ir.Node, handle: str) -> Iterator[Fault]:
    for each in ir.walk(node.expr) if node.expr is not None else ():
        if isinstance(each, ir.Member) and each.field in ("pfn", "pgprot", "writable", "special", "addr_mask"):
            written = isinstance(node.expr, ir.Assign) and node.expr.target == each
            if ir.show(each.base) == handle and not written:
                yield Fault("read after", each.line, f"{ir.show(each)} is read after {END}()")


def _finding(fn: ir.Function, fault: Fault, first: Step) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=fault.line,
        anchor=fault.kind,
        message=f"{_WHAT[fault.kind]}: {fault.text}",
        severity=Severity.WARNING if fault.kind == "read after" else Severity.ERROR,
        confidence=0.8 if fault.kind in ("read after", "slept in") else 0.95,
        steps=(first, Step(fn.path, fault.line, fault.text)),
        need=Need.FILE,
        concern="follow_pfnmap",
        facts=(f"{START}() returns 0 with the page-table lock held and inside an RCU read section, until {END}()",),
        advice=f"call {END}() once on each way behind a {START}() that returned 0, right after the fields were read",
        evidence=(fault.kind,),
        ask=f"where does {fn.name}() end the walk that {START}() begins?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    tokens=Tokens(((START, END),)),
    need=Need.FILE,
    cause_rank=20,
)
