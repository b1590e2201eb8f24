"""What of a VMA's offset and length is in an expression, and what has been proven of them on the way to a place.

`OFFSET` is where in the object user space wants to begin (``vma->vm_pgoff`` and all that is reckoned from it), `SIZE`
how much it wants. A term has a sign: in ``len - off`` the offset is taken away, so ``size > len - off`` compares the
sum of both. A term of sign 0 is a fact that a call's result stands for: whoever tests the result has made that test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from lorelint.rule import TreeView, flow, ir, regex
from lorelint.rule.analyses.scope import Scope, peel

OFFSET, SIZE = "offset", "size"
#: Facts: both together are bounded; the offset is one of a few known values; the task is privileged; it was asked
#: whether the mapping is shared, or may be written.
SUM, EXACT, PRIVILEGE, SHARED = "sum", "exact", "privilege", "shared"

Term = tuple[str, int]
Terms = frozenset[Term]
NONE: Terms = frozenset()

#: Mapper -> (argument, from 0, of the page frame or address; of the size), -1 for none.
MAPPERS = {
    "remap_pfn_range": (2, 3),
    "io_remap_pfn_range": (2, 3),
    "vmf_insert_pfn": (2, -1),
    "vmf_insert_pfn_prot": (2, -1),
    "vmf_insert_mixed": (2, -1),
}
#: Mappers that compare the VMA with the size they are handed: -> (argument of the size).
CAREFUL = {
    "dma_mmap_coherent": 4,
    "dma_mmap_attrs": 4,
    "dma_mmap_wc": 4,
    "dma_mmap_pages": 2,
    "dma_mmap_noncontiguous": 2,
    "vm_iomap_memory": 2,
}

_VMA = regex(r"\bstruct (?:vm_area_struct|vm_area_desc)\b")
_LENGTHS = frozenset({"vma_pages", "vma_desc_pages", "vma_desc_size"})
_LESSER = regex(r"^(?:min|min_t|min3|clamp|clamp_t|clamp_val|array_index_nospec|umin)$")
_SAME = regex(
    r"^(?:[A-Z][A-Z0-9_]*|__pa|__va|max|max_t|\w*_to_\w+|round_?up|round_?down|\w*align\w*|array_size|size_add)$"
)
_PRIVILEGE = regex(r"^(?:ns_|sb_|perfmon_|bpf_)?capable\w*$")
_SMALLER = {"<": True, "<=": True, "==": True, ">": False, ">=": False, "!=": False}
_SHARING = frozenset({"VM_SHARED", "VM_MAYSHARE", "VM_MAYWRITE", "is_cow_mapping", "vma_desc_is_cow_mapping"})
_DEEP = 2


class State(Struct, frozen=True):
    """Terms of locals and fields by their text, and facts that hold on every way here."""

    terms: tuple[tuple[str, Terms], ...] = ()
    proven: frozenset[str] = frozenset()

    def of(self, place: str) -> Terms:
        return dict(self.terms).get(place, NONE)

    def put(self, place: str, terms: Terms) -> State:
        kept = {**dict(self.terms), place: terms}
        return State(tuple(sorted((key, value) for key, value in kept.items() if value)), self.proven)

    def knowing(self, facts: frozenset[str]) -> State:
        return self if facts <= self.proven else State(self.terms, self.proven | facts)


def join(one: State, other: State) -> State:
    """Either may be so: terms of both, facts of neither alone."""
    both = dict(one.terms)
    for place, terms in other.terms:
        both[place] = both.get(place, NONE) | terms
    return State(tuple(sorted(both.items())), one.proven & other.proven)


def vmas(scope: Scope) -> frozenset[str]:
    """Names of VMAs in a function."""
    return frozenset(name for name, type_ in scope.types.items() if _VMA.search(type_))


def entered(scope: Scope) -> State:
    """What a handler knows when it is entered: the offset is the user's."""
    state = State()
    for name in sorted(vmas(scope) & frozenset(scope.params)):
        for field in ("vm_pgoff", "pgoff"):
            state = state.put(f"{name}->{field}", frozenset({(OFFSET, 1)}))
    return state


class Extent:
    """One function, entered in one state: terms and facts at each of its nodes."""

    def __init__(self, view: TreeView, scope: Scope, start: State, goals: frozenset[int], depth: int = 0) -> None:
        """`goals` are the nodes facts are wanted for: a test is one only if it can keep the way from all of them."""
        self.view = view
        self.scope = scope
        self.vmas = vmas(scope)
        self.depth = depth
        self.unseen: dict[str, int] = {}  # callees that were handed the VMA and are not in sight, with their node
        self.tests: dict[int, frozenset[str]] = {}  # line of a test -> facts it gives
        self._goals = goals
        self._decides: dict[int, bool] = {}
        self._here = 0
        self.solution = flow.solve(scope.cfg, start, self._step, join)

    def at(self, node: int) -> State | None:
        return self.solution.before[node]

    def unseen_before(self, goal: int) -> str:
        """A callee on a way to this node that might have looked at the VMA and is not in sight, "" for none."""
        for name, node in sorted(self.unseen.items(), key=lambda each: each[1]):
            if node != goal and flow.reaches(self.scope.cfg, [node], [goal]) is not None:
                return name
        return ""

    # -- transfer

    def _step(self, node: ir.Node, edge: ir.Edge, state: State) -> State | None:
        if node.expr is None:
            return state
        self._here = node.id
        state = self._assign(node.expr, state)
        gained: frozenset[str] = frozenset()
        if node.at is ir.At.TEST and isinstance(edge.when, bool):
            gained = self._tested(node, peel(node.expr), edge.when, state)
        elif node.at is ir.At.SWITCH and edge.when and _parts(self.terms(node.expr, state)) == {OFFSET}:
            gained = frozenset({OFFSET, EXACT})
        elif node.at is ir.At.RETURN:  # ``return off < all && len <= all - off``: whoever asks has this told
            gained = frozenset(name for name, sign in self.terms(node.expr, state) if not sign)
        if gained:
            self.tests[node.line] = self.tests.get(node.line, frozenset()) | gained
        return state.knowing(gained)

    def _assign(self, expr: ir.Expr, state: State) -> State:
        for each in ir.walk(expr):
            match each:
                case ir.Declare(name=name, value=ir.Expr() as value):
                    state = state.put(name, self.terms(value, state))
                case ir.Assign(op="=", target=target, value=value):
                    state = state.put(ir.show(target), self.terms(value, state))
                case ir.Assign(op=op, target=target, value=value):
                    more = self.terms(value, state)
                    state = state.put(
                        ir.show(target), self.terms(target, state) | (_less(more) if op == "-=" else more)
                    )
                case ir.Call(args=args):
                    filled = [arg.operand for arg in args if isinstance(arg, ir.Unary) and arg.op == "&"]
                    sums = (
                        frozenset().union(*(self.terms(arg, state) for arg in args))
                        if "overflow" in each.name
                        else NONE
                    )
                    for target in filled:
                        if sums or state.of(ir.show(target)):
                            state = state.put(ir.show(target), sums)
        return state

    # -- terms

    def terms(self, expr: ir.Expr, state: State) -> Terms:
        """What of offset and size is in an expression."""
        expr = peel(expr)
        match expr:
            case ir.Member(base=ir.Name(name=base), field="vm_end" | "end") if base in self.vmas:
                return frozenset({(SIZE, 1)})
            case ir.Name() | ir.Member():
                return state.of(ir.show(expr))
            case ir.Call():
                return self._call(expr, state)
            case ir.Binary(op=op, left=left, right=right):
                one, two = self.terms(left, state), self.terms(right, state)
                if op in ("<", "<=", ">", ">=", "==", "!=", "&&", "||"):
                    return _asked(one | two)
                if op == "-":
                    return one | _less(two)
                return one | two if op in ("+", "|", "*", "&") else one  # shifted or divided it is still the same
            case ir.Unary(op="!" | "~", operand=operand):
                return frozenset(term for term in self.terms(operand, state) if not term[1])
            case ir.Unary(op=op, operand=operand):
                return _less(self.terms(operand, state)) if op == "-" else self.terms(operand, state)
            case ir.Ternary(then=then, other=other):
                return self.terms(other, state) | (self.terms(then, state) if then is not None else NONE)
            case ir.Assign(target=target):
                return self.terms(target, state)
        return NONE

    def _call(self, call: ir.Call, state: State) -> Terms:
        if _PRIVILEGE.match(call.name):
            return frozenset({(PRIVILEGE, 0)})
        if call.name in _SHARING:
            return frozenset({(SHARED, 0)})
        if any(isinstance(arg, ir.Name) and arg.name in self.vmas for arg in call.args):
            return frozenset({(SIZE, 1)}) if call.name in _LENGTHS else self._asked_of(call, state)
        each = [self.terms(arg, state) for arg in call.args]
        if _LESSER.match(call.name) and not all(each):
            return NONE
        whole: Terms = frozenset().union(*each)
        return whole if _LESSER.match(call.name) or _SAME.match(call.name) else _asked(whole)

    def _asked_of(self, call: ir.Call, state: State) -> Terms:
        """What a callee that is handed the VMA tests of it."""
        if call.name in MAPPERS or call.name in CAREFUL:
            return NONE
        callees = self.view.program.define(call.name, self.scope.fn.path) if call.name else ()
        if not callees or self.depth >= _DEEP:
            self.unseen.setdefault(call.name or ir.show(call.callee), self._here)
            return NONE
        facts: frozenset[str] | None = None
        for fn in callees[:4]:
            scope = Scope(self.view.program, fn)
            below = Extent(self.view, scope, self.handed(call, state, scope), frozenset(), self.depth + 1)
            found = frozenset().union(*below.tests.values())
            facts = found if facts is None else facts & found
        return frozenset((fact, 0) for fact in facts or ())

    def handed(self, call: ir.Call, state: State, callee: Scope) -> State:
        """The state in which a callee of this call is entered."""
        below = State(proven=state.proven)
        for arg, param in zip(call.args, callee.params, strict=False):
            if isinstance(arg, ir.Name) and arg.name in self.vmas:
                for field in ("vm_pgoff", "pgoff"):
                    below = below.put(f"{param}->{field}", state.of(f"{arg.name}->{field}"))
            elif terms := self.terms(arg, state):
                below = below.put(param, terms)
        return below

    # -- tests

    def _tested(self, node: ir.Node, expr: ir.Expr, outcome: bool, state: State) -> frozenset[str]:
        if names(expr) & _SHARING:
            return self._stands_for(node, frozenset({(SHARED, 0)}))
        match expr:
            case ir.Binary(op=op, left=left, right=right) if op in _SMALLER:
                terms = self.terms(left, state) | _less(self.terms(right, state))
                facts = self._stands_for(node, terms)
                small = _SMALLER[op] == outcome
                if op not in ("==", "!="):
                    return facts | _bounded(terms, 1 if small else -1, exact=False)
                return facts | _bounded(terms, 1, exact=True) if small else facts
        terms = self.terms(expr, state)
        facts = self._stands_for(node, terms)
        return facts if outcome or _parts(terms) != {OFFSET} else facts | {OFFSET, EXACT}

    def _stands_for(self, node: ir.Node, terms: Terms) -> frozenset[str]:
        facts = frozenset(name for name, sign in terms if not sign)
        return facts if facts and self._decisive(node) else frozenset()

    def _decisive(self, node: ir.Node) -> bool:
        """Whether one outcome of a test keeps the way from the goals."""
        if node.id not in self._decides:
            ways = [(node.id, edge.to) for edge in node.out]
            reached = [flow.reaches(self.scope.cfg, [way], self._goals) is not None for way in ways]
            self._decides[node.id] = not self._goals or not all(reached)
        return self._decides[node.id]


def _less(terms: Terms) -> Terms:
    return frozenset((name, -sign) for name, sign in terms)


def _parts(terms: Terms) -> set[str]:
    return {name for name, sign in terms if sign}


def _asked(terms: Terms) -> Terms:
    """The terms of a call's result: it stands for a test of what the call was handed."""
    facts = _both(frozenset(_parts(terms))) | {name for name, sign in terms if not sign}
    return frozenset((fact, 0) for fact in facts)


def _both(parts: frozenset[str]) -> frozenset[str]:
    return parts | {SUM} if {OFFSET, SIZE} <= parts else parts


def _bounded(terms: Terms, sign: int, *, exact: bool) -> frozenset[str]:
    """What a comparison bounds: terms that stand on the one side only."""
    found = frozenset(name for name, each in terms if each and (exact or (each == sign and (name, -sign) not in terms)))
    return _both(found) | ({EXACT} if exact and found == {OFFSET} else frozenset())


def names(expr: ir.Expr) -> frozenset[str]:
    """Names that stand in an expression."""
    return frozenset(each.name for each in ir.walk(expr) if isinstance(each, ir.Name))


def asks_sharing(expr: ir.Expr) -> bool:
    """Whether an expression looks at a mapping's being shared or writable."""
    return bool(names(expr) & _SHARING)


def calls(scope: Scope, wanted: Callable[[ir.Call], bool]) -> Iterator[tuple[int, ir.Call]]:
    """(node, call) of all calls that are wanted."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if wanted(call):
                yield node.id, call
