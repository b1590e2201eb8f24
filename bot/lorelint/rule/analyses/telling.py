"""Tests that tell whether something is held, without asking the call that acquired it.

``if (pinned) unpin(pages, pinned)``: a count, a flag or the array itself stands for the acquisition. Such a test is not
decided by the values that are followed, so the arm that does not release is no proof of a leak: it is excused.
"""

from __future__ import annotations

from lorelint.code import flow, ir
from lorelint.model.regex import regex
from lorelint.rule.analyses.places import places, within
from lorelint.rule.analyses.thing import Thing

_NEAR = 12  # nodes followed from a test's arm to the release
_WORD = regex(r"[A-Za-z_]\w*")


def named(expr: ir.Expr) -> ir.Expr:
    """The expression with plain chains of fields as names: ``umem->npgs`` is a variable like any other."""
    match expr:
        case ir.Member() if _chain(expr):
            return ir.Name(expr.line, ir.show(expr))
        case ir.Binary(line=line, op=op, left=left, right=right):
            return ir.Binary(line, op, named(left), named(right))
        case ir.Unary(line=line, op="!" | "-" as op, operand=inner):
            return ir.Unary(line, op, named(inner))
        case ir.Cast(line=line, type=type_, value=value):
            return ir.Cast(line, type_, named(value))
        case ir.Assign(line=line, op=op, target=target, value=value):
            return ir.Assign(line, op, named(target), named(value))
        case ir.Update(line=line, op=op, target=target, prefix=prefix):
            return ir.Update(line, op, named(target), prefix)
        case ir.Declare(line=line, name=name, type=type_, value=ir.Expr() as value):
            return ir.Declare(line, name, type_, named(value))
        case ir.Call(line=line, callee=callee, args=(arg,)) if isinstance(arg, ir.Member):
            return ir.Call(line, callee, (named(arg),))
    return expr


def _chain(expr: ir.Expr) -> bool:
    while isinstance(expr, ir.Member):
        expr = expr.base
    return isinstance(expr, ir.Name)


def pure(expr: ir.Expr) -> bool:
    """A test that calls nothing."""
    return not any(call.name not in ("likely", "unlikely", "READ_ONCE") for call in ir.calls(expr))


class Telling:
    """The telling tests of one function, for one thing."""

    def __init__(self, thing: Thing) -> None:
        self.thing, self.cfg = thing, thing.scope.cfg
        seen: dict[str, int] = {}
        for node in self.cfg.nodes:
            if node.at is ir.At.TEST and node.expr is not None and pure(node.expr):
                text = ir.show(named(node.expr))
                seen[text] = seen.get(text, 0) + 1
        self.twice = frozenset(text for text, many in seen.items() if many > 1)
        loops = thing.scope.program.loops(thing.scope.fn)
        self.around = tuple(loop.body for loop in loops if thing.acquired.node in loop.body)
        self.rounds = frozenset(loop.head for loop in loops if thing.acquired.node in loop.body)
        self.words = self._telling()
        self._excuses: dict[tuple[int, int], str] = {}
        self._written: dict[int, frozenset[str]] = {}

    def written(self, node: ir.Node) -> frozenset[str]:
        """Words of what a node writes."""
        found = self._written.get(node.id)
        if found is None:
            words: set[str] = set()
            for each in ir.walk(node.expr) if node.expr is not None else ():
                match each:
                    case ir.Assign(target=target) | ir.Update(target=target):
                        words.update(_WORD.findall(ir.show(target))[-1:])
                    case ir.Declare(name=name):
                        words.add(name)
            found = self._written[node.id] = frozenset(words)
        return found

    @staticmethod
    def reads(text: str) -> frozenset[str]:
        return frozenset(_WORD.findall(text))

    def _telling(self) -> frozenset[str]:
        """Variables and fields that count what was acquired, or are set to constants after it."""
        taken = self.thing.acquired
        after = flow.after(self.cfg, taken.node)
        results = set(self._results())
        found = set(results)
        for _ in range(2):
            for node in self.cfg.nodes:
                for each in ir.walk(node.expr) if node.expr is not None else ():
                    if isinstance(each, ir.Assign):
                        target, value = ir.show(each.target), each.value
                        from_it = any(".".join(p) in found or p[-1:] == () for p in places(value)) and isinstance(
                            each, ir.Assign
                        )
                        flag = (
                            node.id in after
                            and isinstance(value, (ir.Number, ir.Name))
                            and ir.show(value) in ("1", "true")
                        )
                        if from_it or flag:
                            found.add(target.replace("->", "."))
        for loop in self.thing.scope.program.loops(self.thing.scope.fn):
            if taken.node in loop.body:
                for id in loop.body:
                    match self.cfg.nodes[id].expr:
                        case ir.Update(target=counted) | ir.Assign(op="+=" | "-=", target=counted):
                            found.add(ir.show(counted).replace("->", "."))
        return frozenset(found)

    def _results(self) -> list[str]:
        match self.cfg.nodes[self.thing.acquired.node].expr:
            case ir.Assign(target=target):
                return [ir.show(target).replace("->", ".")]
            case ir.Declare(name=name):
                return [name]
        return []

    def excuse(self, node: ir.Node, edge: ir.Edge) -> str:
        """Why this edge of a telling test is no proof: its other arm releases. "" where it is one."""
        key = (node.id, edge.to)
        if key not in self._excuses:
            self._excuses[key] = self._excuse(node, edge)
        return self._excuses[key]

    def _excuse(self, node: ir.Node, edge: ir.Edge) -> str:
        if node.expr is None or node.id in self.rounds or not self._tells(node.expr) or self._releases(edge.to):
            return ""
        for other in node.out:
            if other.to != edge.to and (line := self._releases(other.to)):
                return f"the release in line {line} stands under {ir.show(node.expr)}"
        return ""

    def _tells(self, expr: ir.Expr) -> bool:
        spoken = list(places(expr))
        if any(".".join(each) in self.words for each in spoken):
            return True
        return any(within(each, name) for each in spoken for name in self.thing.names)

    def _releases(self, start: int) -> int:
        """Line of a release that an arm comes to without another decision, 0 for none."""
        here, left = start, _NEAR
        while left:
            left -= 1
            node = self.cfg.nodes[here]
            for effect in self.thing.on(node):
                if effect.kind == "released":
                    return effect.line
            inside = [edge.to for edge in node.out]
            if node.at in (ir.At.TEST, ir.At.EACH) and (line := self._loop_releases(here)):
                return line
            if len(inside) != 1:
                return 0
            here = inside[0]
        return 0

    def _loop_releases(self, head: int) -> int:
        for loop in self.thing.scope.program.loops(self.thing.scope.fn):
            if loop.head == head:
                for id in sorted(loop.body):
                    for effect in self.thing.on(self.cfg.nodes[id]):
                        if effect.kind == "released":
                            return effect.line
        return 0
