"""How many: what a function reads of the number of pages it got, and how many pages a release is told to release."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import TreeView, ir, regex
from lorelint.rule.analyses import nearby
from lorelint.rule.analyses.places import Place, place, places, within
from lorelint.rule.analyses.scope import Scope, peel
from lorelint.rule.analyses.typestate import HELD, Story

#: Releases that are told how many: argument (from 0).
COUNTED = {
    "unpin_user_pages": 1,
    "unpin_user_pages_dirty_lock": 1,
    "unpin_user_page_range_dirty_lock": 1,
    "unpin_folios": 1,
    "release_pages": 1,
}
_SAID = regex(
    r"^(?:pr_|dev_|drm_|DRM_|trace_|netdev_|ibdev_|v?s?n?printk|print|WARN|\w*(?:dbg|debug|err|warn|info)\w*$)"
)


def released(scope: Scope, node: int, line: int, gives: frozenset[str]) -> Iterator[ir.Expr]:
    """What says how many pages a release releases: its argument, the bound of the loop around it."""
    for each in (node, *_inside(scope, node)):
        for call in ir.calls(scope.cfg.nodes[each].expr):
            if call.line != line:
                continue
            at = COUNTED.get(call.name)
            if at is not None:
                yield from call.args[at : at + 1]
            elif call.name in gives:
                yield from _bounds(scope, each)
            else:
                yield from call.args  # a helper: one of them


def _inside(scope: Scope, head: int) -> tuple[int, ...]:
    return next((tuple(sorted(loop.body)) for loop in scope.program.loops(scope.fn) if loop.head == head), ())


def _bounds(scope: Scope, node: int) -> Iterator[ir.Expr]:
    """The bound of the innermost loop around a node: ``i < n``; ``n--``."""
    around = [loop for loop in scope.program.loops(scope.fn) if node in loop.body]
    for loop in sorted(around, key=lambda loop: len(loop.body))[:1]:
        expr = scope.cfg.nodes[loop.head].expr
        match expr:
            case ir.Binary(op="<" | "<=" | "!=", right=right):
                yield right
            case ir.Binary(op=">" | ">=", left=left):
                yield left
            case ir.Update(target=target):
                yield target


def looked_at(scope: Scope, node: int, story: Story) -> bool:
    """Whether the loop around a release asks each element whether it is there."""
    around = [loop for loop in scope.program.loops(scope.fn) if node in loop.body or node == loop.head]
    tests = [(loop, scope.cfg.nodes[id]) for loop in around for id in loop.body if id != loop.head]
    return any(
        within(each, name)
        for _, test in tests
        if test.at is ir.At.TEST and test.expr is not None
        for each in places(test.expr)
        for name in story.thing.names
    )


def result(scope: Scope, story: Story) -> str:
    """The variable that gets the number of pages; "" where none does."""
    match scope.cfg.nodes[story.acquired.node].expr:
        case ir.Assign(op="=", target=ir.Name(name=name)) | ir.Declare(name=name):
            return name
        case ir.Assign(target=target):
            return ir.show(target)
    return ""


def tested_in_place(scope: Scope, story: Story) -> bool | None:
    """For a call inside a condition: whether it is compared with the number asked for; None for another call."""
    node = scope.cfg.nodes[story.acquired.node]
    if node.at is not ir.At.TEST or node.expr is None:
        return None
    match node.expr:
        case ir.Binary(left=left, right=right):
            other = right if peel(left) is story.acquired.call else left
            return not _sign(other)
    return False


def _sign(expr: ir.Expr) -> bool:
    """A constant that says no more than whether there was an error."""
    match peel(expr):
        case ir.Number(value=0 | 1):
            return True
        case ir.Unary(op="-"):
            return True
    return False


def counted(scope: Scope, story: Story, name: str) -> bool:
    """Whether the number of pages is read for more than its sign where pages may be held.

    To release as many is no more than that where the function goes on with the number that it asked for.
    """
    behind = _before_overwritten(scope, story.acquired.node, name) & story.alive
    nodes = [node for node in scope.cfg.nodes if node.id in behind and node.expr is not None]
    reading = {node.id for node in nodes if _reads(node, name, story)}
    if not reading or not reading <= (releasing := _releasing(scope, story)):
        return bool(reading)
    asked = story.acquired.asked
    return asked == (name,) or not any(
        within(each, asked)
        for node in nodes
        if node.expr is not None and node.id not in releasing and not _says(node.expr)
        for each in places(node.expr)
    )


def _says(expr: ir.Expr) -> bool:
    return isinstance(expr, ir.Call) and _SAID.match(expr.name) is not None


def _releasing(scope: Scope, story: Story) -> frozenset[int]:
    """Nodes that release pages, those of loops that do nothing else with them among them."""
    gives = story.thing.resource.gives.keys()
    nodes = scope.cfg.nodes
    own = {node.id for node in nodes if any(call.name in gives for call in ir.calls(node.expr))}
    around = [loop.body for loop in scope.program.loops(scope.fn) if loop.body & own]
    return frozenset(own.union(*(body for body in around if story.acquired.node not in body)))


def _before_overwritten(scope: Scope, start: int, name: str) -> frozenset[int]:
    seen: set[int] = set()
    todo = [edge.to for edge in scope.cfg.nodes[start].out]
    while todo:
        here = todo.pop()
        if here in seen or here == start:
            continue
        seen.add(here)
        match scope.cfg.nodes[here].expr:
            case ir.Assign(op="=", target=target) if ir.show(target) == name:
                continue
        todo.extend(edge.to for edge in scope.cfg.nodes[here].out)
    return frozenset(seen)


def _reads(node: ir.Node, name: str, story: Story) -> bool:
    assert node.expr is not None
    expr: ir.Expr = node.expr
    match expr:
        case ir.Assign(op="=", value=value):
            expr = value
        case ir.Declare(value=ir.Expr() as value):
            expr = value
    if not any(ir.show(each) == name for each in ir.walk(expr)):
        return False
    if node.at is ir.At.TEST:
        match expr:
            case ir.Binary(left=left, right=right):
                return not (_sign(right) if ir.show(peel(left)) == name else _sign(left))
            case ir.Call():
                return not expr.name.startswith("IS_ERR")
        return ir.show(peel(expr)) != name
    if isinstance(expr, ir.Call) and _SAID.match(expr.name):
        return False
    if node.at is ir.At.RETURN:  # what is returned once the call has failed is an error
        return any(end.node == node.id and end.hold == HELD for end in story.ends) or "ERR_PTR" not in ir.show(expr)
    return True


def counters(view: TreeView, fn: ir.Function, field: Place, gives: frozenset[str]) -> Iterator[tuple[ir.Function, int]]:
    """Functions of the same file that release as many pages as a field says: (function, line)."""
    for other in view.program.functions(fn.path):
        if other.name == fn.name or not any(name.encode() in other.text for name in gives):
            continue
        scope = Scope(view.program, other)
        for node in scope.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in gives and any(
                    place(each)[1:] == field for each in released(scope, node.id, call.line, gives)
                ):
                    yield other, call.line


def trusting(view: TreeView, fn: ir.Function) -> Iterator[tuple[ir.Function, int]]:
    """Callers that compare what the function returns with zero by ``<`` and by nothing else: (caller, line)."""
    for site in nearby.callers(view.program, fn):
        scope = Scope(view.program, site.fn)
        for node in scope.cfg.nodes:
            match node.expr:
                case ir.Assign(op="=", target=ir.Name(name=name), value=value) if _calls(value, fn.name):
                    tests = list(_tests(scope, node.id, name))
                    if tests and all(_below_zero(each.expr, name) for each in tests):
                        yield site.fn, tests[0].line


def _calls(value: ir.Expr, name: str) -> bool:
    value = peel(value)
    return isinstance(value, ir.Call) and value.name == name


def _tests(scope: Scope, start: int, name: str) -> Iterator[ir.Node]:
    for id in sorted(_before_overwritten(scope, start, name)):
        node = scope.cfg.nodes[id]
        parts = ir.walk(node.expr) if node.at is ir.At.TEST and node.expr is not None else ()
        if any(isinstance(each, ir.Name) and each.name == name for each in parts):
            yield node


def _below_zero(expr: ir.Expr | None, name: str) -> bool:
    match expr:
        case ir.Binary(op="<" | ">=", left=ir.Name(name=left), right=ir.Number(value=0)):
            return left == name
    return False
