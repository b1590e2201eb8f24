"""What reads a PFN out of page tables, what ends the look-up, and how a value goes on from there.

A `Fact` is a name that may hold a PFN (or an address made of one). It is *fresh* while the page-table lock that it
was read under is held, and *stale* from then on; comparing it with what a second look-up gave makes it fresh again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from lorelint.rule import flow, ir, regex
from lorelint.rule.analyses.scope import Scope

START, END = "follow_pfnmap_start", "follow_pfnmap_end"
#: Look-ups that have dropped the lock when they return: 0-based argument that takes the PFN or address.
OUT = {"follow_pfn": 2, "unsafe_follow_pfn": 2, "follow_phys": 4}
#: Look-ups that return with the lock held: 0-based argument that takes the PTE; the calls that drop the lock.
LOCKED = {"follow_pte": -2}
UNLOCK = frozenset({"pte_unmap_unlock", "spin_unlock"})
_MADE = regex(
    r"^_*(?:pfn|phys|page|hpa|hfn)_to_\w+$|^p(?:te|md|ud)_pfn$|^p(?:te|md|ud)p_get$|^ioremap\w*$|^memremap$|^__va$"
    r"|^pfn_to_kaddr$|^(?:min|max)(?:_t)?$|^[A-Z_]+$"
)
_ARITHMETIC = frozenset({"+", "-", "*", "/", "<<", ">>", "|", "&", "^", "%"})


class Fact(Struct, frozen=True, order=True):
    """`name` (C text) may hold a PFN of the look-up `section`."""

    name: str
    section: str
    fresh: bool


class Hands(Struct, frozen=True):
    """What a function hands to its caller: through which arguments (0-based), and as its result."""

    out: frozenset[int] = frozenset()
    result: bool = False

    @property
    def any(self) -> bool:
        return bool(self.out) or self.result


State = frozenset[Fact]
Carriers = Mapping[str, Hands]  # functions that hand out a PFN, by name


class Values:
    """Where in a function names may hold a PFN.

    given     names that hold a stale one when the function is entered
    carriers  callees that hand out a stale one
    apis      the look-ups that this kernel version has
    """

    def __init__(
        self, scope: Scope, apis: frozenset[str], carriers: Carriers, given: frozenset[str] = frozenset()
    ) -> None:
        self.scope = scope
        self.apis = apis
        self.carriers = carriers
        start = frozenset(Fact(name, "", False) for name in given)
        self.before = flow.solve(scope.cfg, start, self._transfer, lambda one, other: one | other).before

    def at(self, node: int) -> State:
        return self.before[node] or frozenset()

    def sources(self) -> Iterator[tuple[int, ir.Call]]:
        """Calls that give a PFN, with their nodes."""
        for node in self.scope.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in self.apis or call.name in self.carriers:
                    yield node.id, call

    def _transfer(self, node: ir.Node, edge: ir.Edge, state: State) -> State:
        if node.expr is None:
            return state
        for call in ir.calls(node.expr):
            state = self._call(call, state)
        for each in ir.walk(node.expr):
            match each:
                case ir.Assign(op=op, target=target, value=value):
                    state = self._assign(target, carried(value, state) | self._result(value), state, op == "=")
                case ir.Declare(name=name, value=value, line=line):
                    got = carried(value, state) | self._result(value) if value is not None else frozenset()
                    state = self._assign(ir.Name(line, name), got, state, True)
        return _compared(node, edge, state)

    def _call(self, call: ir.Call, state: State) -> State:
        name, args = call.name, call.args
        if name == START and name in self.apis and args:
            section = pointed(args[0])
            field = Fact(f"{section}.pfn" if _is_address(args[0]) else f"{section}->pfn", section, True)
            return frozenset(each for each in state if each.name != field.name) | {field}
        if name == END and args:
            return _ended(state, pointed(args[0]))
        if name in LOCKED and name in self.apis and len(args) >= 2:
            pte = pointed(args[LOCKED[name]])
            return frozenset(each for each in state if each.name != pte) | {Fact(pte, pte, True)}
        if name in UNLOCK:
            return _unlocked(state, args)
        if name in OUT and name in self.apis and len(args) > OUT[name]:
            return state | {Fact(stored(args[OUT[name]]), "", False)}
        if name in self.carriers:
            outs = (args[at] for at in sorted(self.carriers[name].out) if at < len(args))
            return state | {Fact(stored(each), "", False) for each in outs}
        return state

    def _result(self, value: ir.Expr) -> State:
        while isinstance(value, ir.Cast):
            value = value.value
        if isinstance(value, ir.Call) and value.name in self.carriers and self.carriers[value.name].result:
            return frozenset({Fact(f"{value.name}()", "", False)})
        return frozenset()

    @staticmethod
    def _assign(target: ir.Expr, got: State, state: State, plain: bool) -> State:
        name = ir.show(target)
        if plain and isinstance(target, ir.Name):
            state = frozenset(each for each in state if each.name != name)
        return state | {Fact(name, each.section, each.fresh) for each in got}

    def handed(self) -> Hands:
        """What the function hands out, through its own parameters or as its result."""
        params = {f"*{param.name}": at for at, param in enumerate(self.scope.fn.params) if "*" in param.type}
        out: set[int] = set()
        result = False
        for node in self.scope.cfg.nodes:
            state = self.before[node.id]
            if state is None:
                continue
            out |= {params[each.name] for each in state if each.name in params}
            if node.at is ir.At.RETURN and node.expr is not None and carried(node.expr, state):
                result = True
        return Hands(frozenset(out), result and _holds(self.scope.fn.returns))


def _holds(type_: str) -> bool:
    """Whether a PFN fits a result of this type; an int is an error code."""
    return not re.search(r"\b(?:int|bool|void|vm_fault_t)\b", type_.replace("unsigned int", "")) or "*" in type_


def _is_address(expr: ir.Expr) -> bool:
    return isinstance(expr, ir.Unary) and expr.op == "&"


def pointed(expr: ir.Expr) -> str:
    """The object that an argument points to, as C text: ``&args`` and ``args`` are ``args``."""
    return ir.show(expr.operand if isinstance(expr, ir.Unary) and expr.op == "&" else expr)


def stored(expr: ir.Expr) -> str:
    """What a callee sets through an argument: ``&pfn`` sets ``pfn``, ``pfn`` sets ``*pfn``."""
    return pointed(expr) if _is_address(expr) else f"*{ir.show(expr)}"


def _ended(state: State, section: str) -> State:
    return frozenset(Fact(each.name, each.section, each.fresh and each.section != section) for each in state)


def _unlocked(state: State, args: tuple[ir.Expr, ...]) -> State:
    texts = {pointed(arg) for arg in args}
    ptes = {each.section for each in state if each.section in texts}
    if not ptes and len(args) == 1 and any(each.section and each.name == each.section for each in state):
        ptes = {each.section for each in state if "ptl" in ir.show(args[0]) or "lock" in ir.show(args[0])}
    return frozenset(Fact(each.name, each.section, each.fresh and each.section not in ptes) for each in state)


def _compared(node: ir.Node, edge: ir.Edge, state: State) -> State:
    """Behind a test that found an older value equal to a fresh one, all of that look-up are fresh."""
    match node.expr:
        case ir.Binary(op="==" | "!=" as op, left=left, right=right) if isinstance(edge.when, bool):
            if edge.when is not (op == "=="):
                return state
            sides = carried(left, state), carried(right, state)
            for one, other in (sides, sides[::-1]):
                live = {each.section for each in one if each.fresh}
                if live and any(not each.fresh for each in other):
                    return frozenset(Fact(e.name, e.section, e.fresh or e.section in live) for e in state)
    return state


def makes(api: str) -> bool:
    """Whether a call only gives the same memory another name: ``PFN_PHYS()``, ``pfn_to_page()``, ``ioremap()``."""
    return _MADE.match(api) is not None


def carried(expr: ir.Expr | None, state: State) -> State:
    """Facts whose value goes on in the value of an expression."""
    found: set[Fact] = set()
    names = {each.name for each in state}
    todo = [expr] if expr is not None else []
    while todo:
        here = todo.pop()
        if isinstance(here, ir.Name | ir.Member | ir.Index | ir.Unary) and ir.show(here) in names:
            found |= {each for each in state if each.name == ir.show(here)}
            continue
        match here:
            case ir.Call(args=args) if makes(here.name):
                todo.extend(args)
            case ir.Binary(op=op, left=left, right=right) if op in _ARITHMETIC:
                todo.extend((left, right))
            case ir.Cast(value=inner) | ir.Assign(value=inner):
                todo.append(inner)
            case ir.Unary(op="-" | "~" | "*", operand=inner):
                todo.append(inner)
            case ir.Ternary(then=then, other=other):
                todo.extend((other,) if then is None else (then, other))
            case ir.Init(items=items):
                todo.extend(value for _, value in items)
    return frozenset(found)


def dropped(scope: Scope, node: int) -> int:
    """Line at which mmap_lock is given back behind a node, 0 for none."""
    seen: set[int] = set()
    todo = [edge.to for edge in scope.cfg.nodes[node].out]
    lines = []
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        expr = scope.cfg.nodes[here].expr
        lines += [call.line for call in ir.calls(expr) if _gives_back(call)]
        if isinstance(expr, ir.Guard) and expr.leave and _of_the_mm(expr):
            lines.append(scope.cfg.nodes[here].line)
        todo.extend(edge.to for edge in scope.cfg.nodes[here].out)
    return min(lines, default=0)


def _of_the_mm(guard: ir.Guard) -> bool:
    """``guard(mmap_read_lock)(mm)``, and ``guard(rwsem_read)(&mm->mmap_lock)`` where there is none of that name."""
    return guard.kind.startswith("mmap_") or any("mmap_lock" in ir.show(arg) for arg in guard.args)


def _gives_back(call: ir.Call) -> bool:
    if call.name in ("mmap_read_unlock", "mmap_write_unlock"):
        return True
    return call.name in ("up_read", "up_write") and any("mmap_" in ir.show(arg) for arg in call.args)
