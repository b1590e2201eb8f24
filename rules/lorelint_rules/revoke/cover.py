"""Who unmaps: in the function that revokes, below it, or around it in every caller.

`Cover` answers for one place in one function: is there a call that takes the user mappings away on the
same way through the function (before the place or behind it, on a way that is no failure)? If there is
none, the question goes up to the callers, and where nobody calls, to what the function is entered for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir, regex
from lorelint.rule.analyses import entry, unmaps
from lorelint.rule.analyses.folder import beside, folder_of, prefetch
from lorelint.rule.analyses.mapping import Way
from lorelint.rule.analyses.scope import Scope, peel
from lorelint_rules.revoke.drained import drained
from lorelint_rules.revoke.markers import Kind, Marker

DEPTH = 4
WIDTH = 12  # callers of one function that are looked at
_RESET = regex(r"reset|error_detected")
_AWAKE = frozenset({"PCI_D0", "false", "0"})


_INTEGERS = frozenset({"int", "long", "ssize_t", "s32", "s64", "signed int"})


class Fate(StrEnum):
    """What becomes of the mappings on one way to the marker."""

    COVERED = "covered"  # somebody unmaps
    EXEMPT = "exempt"  # nothing can be mapped at that time
    EXPOSED = "exposed"  # entered from outside, and nobody on the way unmaps
    UNKNOWN = "unknown"


class Leaf(Struct, frozen=True):
    """One way in, from the top: its fate, and the place that decides it."""

    fate: Fate
    step: Step
    chain: tuple[Step, ...] = ()  # calls from there down to the marker
    top: ir.Function | None = None


class Caller(Struct, frozen=True):
    """A direct caller of the function that revokes, and the ways in through it."""

    fn: ir.Function
    line: int
    node: int
    leaves: tuple[Leaf, ...]

    @property
    def good(self) -> bool:
        return bool(self.leaves) and all(leaf.fate in (Fate.COVERED, Fate.EXEMPT) for leaf in self.leaves)

    @property
    def bad(self) -> bool:
        return any(leaf.fate is Fate.EXPOSED for leaf in self.leaves)


class Cover:
    """The question for the object of some ways."""

    def __init__(self, view: TreeView, ways: tuple[Way, ...], marker: Marker) -> None:
        self.view = view
        self.program = view.program
        self.marker = marker
        # a reset while the driver is unbound is no surprise to it; a marker that handlers test was meant for that
        self.unbinding = marker.kind not in (Kind.CALL, Kind.FREE) or marker.api == "kill_dax"
        # who claims a resource when it is probed claims it from those who have mapped it before
        self.beginning = bool(marker.names & view.know.names("revoke_marker_flags_set"))
        self.ways = ways
        self.dmabuf = bool(ways) and all(way.dmabuf for way in ways)

    def fits(self, unmap: unmaps.Unmap) -> bool:
        """Whether an unmap reaches these VMAs: those of a dma-buf are linked in the dma-buf's own file."""
        if not self.dmabuf:
            return True
        text = unmap.mapping
        foreign = any(word in text for word in ("inode->i_mapping", "i_mapping", "anon_inode"))
        return not foreign or "f_mapping" in text or "dmabuf" in text or unmap.api.startswith(("drm_", "ttm_"))

    def undoing(self, scope: Scope, node: int) -> bool:
        """Whether a place is only come to when something has failed: the function undoes what it has begun."""
        failed = _decided(scope, node)

        def may(at: ir.Node, edge: ir.Edge) -> bool:
            return not failure(scope, at, edge)

        if flow.reaches(scope.cfg, [0], {node}, avoid=failed, may=may) is not None:
            return False
        return all(_fails(scope, each) for each in _returns(scope, node))

    def here(self, scope: Scope, node: int, *, around: bool = False) -> unmaps.Unmap | None:
        """An unmap on the same way through the function as this node.

        around  the node calls the function that revokes: what happens in there has been looked at
        """
        found = [
            each
            for each in (*unmaps.unmaps(self.program, scope), *self._unregistering(scope))
            if self.fits(each) and not (around and each.node == node)
        ]
        if not found:
            return None
        for each in found:
            may = self._straight(scope, node, each.node)
            if each.node == node or flow.reaches(scope.cfg, [each.node], {node}, may=may):
                return each
            if flow.reaches(scope.cfg, [node], {each.node}, may=may):
                return each
        return None

    def _unregistering(self, scope: Scope) -> Iterator[unmaps.Unmap]:
        """Calls by which a core lets go of the device and of its mappings."""
        known = self.view.know.names("unregisters_unmapping")
        if any(name.encode() in scope.fn.text for name in known):
            for node in scope.cfg.nodes:
                for call in ir.calls(node.expr):
                    if call.name in known:
                        step = Step(scope.fn.path, call.line, f"{call.name}() in {scope.fn.name}()")
                        yield unmaps.Unmap(node.id, step, call.name, "")

    def _straight(self, scope: Scope, one: int, other: int) -> Callable[[ir.Node, ir.Edge], bool]:
        """Edges of one way through the function: no failure, and no new pass of a loop that both places are in."""
        loops = [loop for loop in self.program.loops(scope.fn) if one in loop.body and other in loop.body]
        back = {edge for loop in loops for edge in loop.back}

        def may(at: ir.Node, edge: ir.Edge) -> bool:
            return (at.id, edge.to) not in back and not failure(scope, at, edge)

        return may

    def always(self, scope: Scope, node: int, unmap: unmaps.Unmap) -> bool:
        """Whether every path through this node passes the unmap, before or behind it."""
        before = flow.reaches(scope.cfg, [0], {node}, avoid={unmap.node})
        behind = flow.reaches(scope.cfg, [node], {1}, avoid={unmap.node})
        return unmap.node == node or before is None or behind is None

    def callers(self, fn: ir.Function, variable: str) -> tuple[Caller, ...]:
        """Direct callers with the fate of each; `variable` is the parameter that says whether it revokes at all."""
        return tuple(self._callers(fn, variable))

    def _callers(self, fn: ir.Function, variable: str) -> Iterator[Caller]:
        folder = folder_of(fn.path)
        sites = sorted(self.program.callers(fn), key=lambda site: folder_of(site.fn.path) != folder)[:WIDTH]
        prefetch(self.program, (site.fn.name for site in sites if not site.fn.static))
        exposed = False
        for site in sites:
            if exposed and folder_of(site.fn.path) != folder:
                return  # callers elsewhere are only asked whether there is a way in at all
            scope = Scope(self.program, site.fn)
            for node, call in _sites(scope, fn.name, site.line):
                if not _idle(fn, call, variable):
                    caller = Caller(
                        site.fn,
                        site.line,
                        node,
                        _until_exposed(self._fates(scope, node, call.line, {fn.key, site.fn.key}, 1)),
                    )
                    exposed = exposed or caller.bad
                    yield caller

    def fates(self, fn: ir.Function, callers: tuple[Caller, ...]) -> tuple[Leaf, ...]:
        """The ways in to a function in which nothing unmaps; behind the first that is exposed, some may be left out."""
        found = [*self._entries(fn, ()), *(leaf for caller in callers for leaf in caller.leaves)]
        if not found:
            found.append(self._unentered(fn, ()))
        return tuple(found)

    def _fates(self, scope: Scope, node: int, line: int, seen: set[tuple[str, str]], depth: int) -> Iterator[Leaf]:
        fn = scope.fn
        here = Step(fn.path, line, f"{fn.name}() comes here")
        if node and self.undoing(scope, node):
            yield Leaf(Fate.EXEMPT, Step(fn.path, line, f"{fn.name}() undoes what it has begun"), (here,), fn)
            return
        covered = self.here(scope, node, around=True)
        if covered is not None:
            yield Leaf(Fate.COVERED, covered.step, (here,), fn)
            return
        waits = drained(self.view, scope, node, self.ways)
        if waits is not None:
            yield Leaf(Fate.COVERED, waits, (here,), fn)
            return
        entries = self._entries(fn, (here,), frozenset(seen), depth)
        yield from entries
        if self._is_exported(fn):
            yield self._unentered(fn, (here,))
        sites = [site for site in self.program.callers(fn) if site.fn.key not in seen]
        if not sites and not entries:
            yield from self._named(fn, here, seen, depth)
            return
        if depth >= DEPTH:
            yield Leaf(Fate.UNKNOWN, Step(fn.path, fn.line, f"callers of {fn.name}() were not looked at"), (here,), fn)
            return
        prefetch(self.program, (site.fn.name for site in sites[:WIDTH] if not site.fn.static))
        for site in sites[:WIDTH]:
            above = Scope(self.program, site.fn)
            for at, call in _sites(above, fn.name, site.line):
                for leaf in self._fates(above, at, call.line, {*seen, site.fn.key}, depth + 1):
                    yield Leaf(leaf.fate, leaf.step, (*leaf.chain, here), leaf.top)

    def _named(self, fn: ir.Function, here: Step, seen: set[tuple[str, str]], depth: int) -> Iterator[Leaf]:
        """Functions of the same file that hold its name as a value, in a table of their own or by a pointer."""
        word = re.compile(rb"(?<![\w.>])" + re.escape(fn.name.encode()) + rb"\b(?!\s*\()")
        holders = [each for each in self.program.functions(fn.path) if each.key not in seen and word.search(each.text)]
        if not holders or depth >= DEPTH:
            yield self._unentered(fn, (here,))
        for each in holders[:2] if depth < DEPTH else ():
            for leaf in self._fates(Scope(self.program, each), 0, each.line, {*seen, each.key}, depth + 1):
                yield Leaf(leaf.fate, leaf.step, (*leaf.chain, here), leaf.top)

    def _entries(
        self, fn: ir.Function, chain: tuple[Step, ...], seen: frozenset[tuple[str, str]] = frozenset(), depth: int = 0
    ) -> tuple[Leaf, ...]:
        found: list[Leaf] = []
        for each in entry.entries(self.program, fn):
            inside = self._by_table(fn, each, chain, seen | {fn.key}, depth)
            found.extend(inside or (Leaf(self._fate(fn, each), each.step, chain, fn),))
        return tuple(found)

    def _by_table(
        self, fn: ir.Function, at: entry.Entry, chain: tuple[Step, ...], seen: frozenset[tuple[str, str]], depth: int
    ) -> tuple[Leaf, ...]:
        """The ways in by calls through a table of the driver's own; () where it is none, or nobody is seen to call."""
        if at.kind is not entry.Kind.UNKNOWN or not at.field or depth >= DEPTH:
            return ()
        leaves: list[Leaf] = []
        for above, node, line in table_calls(self.view, folder_of(fn.path), at.table, at.field)[:WIDTH]:
            if above.key not in seen:
                for leaf in self._fates(Scope(self.program, above), node, line, {*seen, above.key}, depth + 1):
                    fate, step = leaf.fate, leaf.step
                    if fate is Fate.EXPOSED:  # maybe for objects that nobody can have mapped
                        told = f"{above.name}() calls it through struct {at.table}: for which objects is not followed"
                        fate, step = Fate.UNKNOWN, Step(above.path, line, told)
                    leaves.append(Leaf(fate, step, (*leaf.chain, *chain), leaf.top))
        return tuple(leaves)

    def _fate(self, fn: ir.Function, each: entry.Entry) -> Fate:
        resets = _RESET.search(each.field) is not None
        match each.kind:
            case entry.Kind.UNKNOWN if resets and not own_table(self.view, folder_of(fn.path), each.table):
                return Fate.EXPOSED  # by a table of others, who reset the device
            case entry.Kind.REMOVE | entry.Kind.USER | entry.Kind.ASYNC if self.marker.kind is Kind.ROLE:
                return Fate.EXPOSED if resets else Fate.UNKNOWN
            case entry.Kind.CLOSE | entry.Kind.FREE:
                # the last user of one file says nothing about a dma-buf, which has a file of its own
                other = self.dmabuf and each.table != "dma_buf_ops"
                return Fate.EXPOSED if other else Fate.EXEMPT
            case entry.Kind.BEGIN if self.beginning and each.table:
                return Fate.EXPOSED
            case entry.Kind.BEGIN | entry.Kind.END | entry.Kind.FROZEN:
                return Fate.EXEMPT
            case entry.Kind.MOVE:
                return Fate.COVERED
            case entry.Kind.UNKNOWN:
                return Fate.UNKNOWN
            case entry.Kind.REMOVE if not self.unbinding:
                return Fate.UNKNOWN
        return Fate.EXPOSED

    def _is_exported(self, fn: ir.Function) -> bool:
        """A hub that modules may call, whoever they are: more callers than are looked at, or none in this tree."""
        raw = self.program.raw(fn.path) or b""
        if not re.search(rb"EXPORT_SYMBOL\w*\(\s*" + re.escape(fn.name.encode()) + rb"\s*[,)]", raw):
            return False
        return not 0 < len(self.program.callers(fn)) <= WIDTH

    def _unentered(self, fn: ir.Function, chain: tuple[Step, ...]) -> Leaf:
        """Nobody calls it by name and no table holds it."""
        step = Step(fn.path, fn.line, f"{fn.name}() is called from outside this tree")
        raw = self.program.raw(fn.path) or b""
        if self.marker.kind is Kind.ROLE:
            return Leaf(Fate.UNKNOWN, Step(fn.path, fn.line, f"no reset was found that calls {fn.name}()"), chain, fn)
        if self._is_exported(fn):
            return Leaf(Fate.EXPOSED, step, chain, fn)
        if fn.name.endswith("_store") and b"ATTR" in raw:
            return Leaf(Fate.EXPOSED, Step(fn.path, fn.line, f"{fn.name}() is a sysfs attribute"), chain, fn)
        if fn.text.lstrip().startswith((b"SYSCALL_DEFINE", b"COMPAT_SYSCALL_DEFINE")):
            return Leaf(Fate.EXPOSED, Step(fn.path, fn.line, f"{fn.name}() is a system call"), chain, fn)
        return Leaf(Fate.UNKNOWN, Step(fn.path, fn.line, f"nobody was found who calls {fn.name}()"), chain, fn)


def own_table(view: TreeView, folder: str, struct: str) -> bool:
    """Whether a folder defines the struct of a table itself; by any other, somebody else comes in."""
    head = re.compile(rb"struct\s+" + re.escape(struct.encode("utf-8", "surrogateescape")) + rb"\s*\{")

    def compute() -> bool:
        return any(head.search(view.program.raw(path) or b"") for path in beside(view.program, folder))

    return view.program.memo(("own table", folder, struct), compute)


def table_calls(view: TreeView, folder: str, struct: str, field: str) -> tuple[tuple[ir.Function, int, int], ...]:
    """(function, node, line) of the calls of a field of a struct that a folder defines for itself."""
    program = view.program

    def compute() -> tuple[tuple[ir.Function, int, int], ...]:
        if not own_table(view, folder, struct):
            return ()
        word = re.compile(rb"[.>]" + re.escape(field.encode("utf-8", "surrogateescape")) + rb"\s*\(")
        return tuple(
            (fn, node.id, call.line)
            for path in beside(program, folder)
            if path.endswith(".c") and word.search(program.raw(path) or b"")
            for fn in program.functions(path)
            if word.search(fn.text)
            for node, call in _calls_of(Scope(program, fn), struct, field)
        )

    return program.memo(("calls of a table", folder, struct, field), compute)


def _calls_of(scope: Scope, struct: str, field: str) -> Iterator[tuple[ir.Node, ir.Call]]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            callee = call.callee
            if isinstance(callee, ir.Member) and callee.field == field and scope.tag_of(callee.base) == struct:
                yield node, call


def _until_exposed(leaves: Iterator[Leaf]) -> tuple[Leaf, ...]:
    found: list[Leaf] = []
    for leaf in leaves:
        found.append(leaf)
        if leaf.fate is Fate.EXPOSED:
            break
    return tuple(found)


def _sites(scope: Scope, name: str, line: int) -> Iterator[tuple[int, ir.Call]]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name == name and call.line == line:
                yield node.id, call


def _idle(fn: ir.Function, call: ir.Call, variable: str) -> bool:
    """Whether this call hands over the value that means: do not revoke."""
    for at, param in enumerate(fn.params):
        if variable and param.name == variable and at < len(call.args):
            return ir.show(peel(call.args[at])) in _AWAKE
    return False


def _returns(scope: Scope, node: int) -> Iterator[ir.Node]:
    """Where control can leave the function behind this node."""
    seen: set[int] = set()
    todo = [node]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        if scope.cfg.nodes[here].at is ir.At.RETURN:
            yield scope.cfg.nodes[here]
        todo.extend(edge.to for edge in scope.cfg.nodes[here].out)


def _decided(scope: Scope, node: int) -> frozenset[int]:
    """Statements ``ret = -EIO`` after which this node is come to with that value still in the variable."""
    stores: dict[str, set[int]] = {}
    errors: list[tuple[str, int]] = []
    for each in scope.cfg.nodes:
        match each.expr:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                stores.setdefault(name, set()).add(each.id)
                error = peel(value)
                if isinstance(error, ir.Unary) and error.op == "-" and isinstance(peel(error.operand), ir.Name):
                    errors.append((name, each.id))
    return frozenset(
        at
        for name, at in errors
        if name not in scope.params and flow.reaches(scope.cfg, [at], {node}, avoid=stores[name])
    )


def _fails(scope: Scope, node: ir.Node) -> bool:
    """Whether a return hands an error out (a bare one may)."""
    if node.expr is None:
        return True
    match peel(node.expr):
        case ir.Name(name=name):
            return name in ("NULL", "false") or _status(scope, name)
        case ir.Number(value=int(number)):
            return number < 0
        case ir.Unary(op="-"):
            return True
        case ir.Call() as call:
            return call.name in ("ERR_PTR", "PTR_ERR", "ERR_CAST", "dev_err_probe")
    return False


def failure(scope: Scope, node: ir.Node, edge: ir.Edge) -> bool:
    """Whether an edge is taken because a call failed."""
    if node.at is not ir.At.TEST or node.expr is None:
        return False
    expr = peel(node.expr)
    if edge.when is False:
        return isinstance(expr, ir.Name | ir.Member | ir.Index) and _allocated(scope, expr)
    if edge.when is not True:
        return False
    match expr:
        case ir.Binary(op="<" | "!=", left=ir.Name(name=name), right=ir.Number(value=0)):
            return _status(scope, name)
        case ir.Name(name=name):
            return _status(scope, name)
        case ir.Call():
            return expr.name in ("IS_ERR", "IS_ERR_OR_NULL")
    return False


def _allocated(scope: Scope, target: ir.Expr) -> bool:
    """Whether this place was filled by an allocation in this function: that it is NULL means there is no memory."""
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=to, value=value) if to == target:
                if isinstance(call := peel(value), ir.Call) and "alloc" in call.name:
                    return True
            case ir.Declare(name=name, value=ir.Call() as call) if isinstance(target, ir.Name) and target.name == name:
                if "alloc" in call.name:
                    return True
    return False


def _status(scope: Scope, name: str) -> bool:
    """Whether a local holds what calls have answered: zero for success, else an error. Its name does not matter."""
    if scope.types.get(name, "") not in _INTEGERS or name in scope.params:
        return False
    values = [peel(value) for value in scope.values(name)]
    return bool(values) and all(_answer(value) for value in values)


def _answer(value: ir.Expr) -> bool:
    match value:
        case ir.Call() | ir.Unary(op="-"):
            return True
        case ir.Number(value=int(number)):
            return number <= 0
        case ir.Ternary(then=then, other=other):
            return all(_answer(peel(each)) for each in (then, other) if each is not None)
    return False
