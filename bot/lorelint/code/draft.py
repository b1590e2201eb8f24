"""A control-flow graph under construction: nodes, and the loose ends that lead to the next one."""

from __future__ import annotations

from lorelint.code import ir
from lorelint.code.ir import At

When = bool | tuple[ir.Expr, ...] | None
End = tuple[int, When]  # a node, and the outcome under which control leaves it

NODE_LIMIT = 20_000


class TooLarge(Exception):
    """The function has more than `NODE_LIMIT` nodes; `lower` answers with an unread graph."""


class Draft:
    """Nodes are emitted in order; `ends` are the loose ends that the next node will take up.

    No ends: the place cannot be reached, and what is emitted there is dropped by `finish`, unless a
    label or a case leads to it.
    """

    def __init__(self) -> None:
        self.at: list[At] = [At.ENTRY, At.EXIT]
        self.lines: list[int] = [0, 0]
        self.exprs: list[ir.Expr | None] = [None, None]
        self.names: list[str] = ["", ""]
        self.out: list[list[tuple[int, When]]] = [[], []]
        self.ends: list[End] = [(0, None)]
        self.kinds: list[tuple[int, ir.LoopKind]] = []

    def emit(self, at: At, line: int, expr: ir.Expr | None = None, name: str = "") -> int:
        """A node that all loose ends lead to, and its number; the only loose end is now its own."""
        number = self.branch(at, line, expr, name)
        self.ends = [(number, None)]
        return number

    def branch(self, at: At, line: int, expr: ir.Expr | None, name: str = "") -> int:
        """A node that all loose ends lead to; the caller says how control leaves it."""
        number = len(self.at)
        if number >= NODE_LIMIT:
            raise TooLarge
        self.at.append(at)
        self.lines.append(line)
        self.exprs.append(expr)
        self.names.append(name)
        self.out.append([])
        self.join(number)
        return number

    def join(self, number: int) -> None:
        """Lead all loose ends to a node that is there already."""
        for end, when in self.ends:
            self.out[end].append((number, when))
        self.ends = []

    def finish(self, opaque: tuple[int, ...]) -> ir.Cfg:
        """The graph of what can be reached, renumbered densely in the order of emission."""
        seen = bytearray(len(self.at))
        seen[0] = seen[1] = 1
        todo = [0]
        while todo:
            for to, _ in self.out[todo.pop()]:
                if not seen[to]:
                    seen[to] = 1
                    todo.append(to)
        kept = [old for old in range(len(seen)) if seen[old]]
        new = list(range(len(seen)))
        for number, old in enumerate(kept):
            new[old] = number
        preds: list[list[int]] = [[] for _ in kept]
        nodes: list[ir.Node] = []
        for number, old in enumerate(kept):
            pairs = self.out[old]
            if len(pairs) > 1:
                if self.at[old] is At.SWITCH:
                    pairs = _gathered(pairs)
                elif pairs[0][1] is False:  # gotos land last; True comes first
                    pairs.reverse()
            edges = tuple([ir.Edge(new[to], when) for to, when in pairs])
            nodes.append(ir.Node(number, self.at[old], self.lines[old], self.exprs[old], edges, self.names[old]))
            for edge in edges:
                if not preds[edge.to] or preds[edge.to][-1] != number:  # two outcomes may lead to one place
                    preds[edge.to].append(number)
        kinds = tuple([(new[head], kind) for head, kind in self.kinds if seen[head]])
        return ir.Cfg(ir.Nodes(nodes), kinds, opaque, tuple([tuple(each) for each in preds]))


def _gathered(pairs: list[tuple[int, When]]) -> list[tuple[int, When]]:
    """Edges of a SWITCH with the case labels of one place on one edge; the default keeps its own."""
    cases: dict[int, list[ir.Expr]] = {}
    for to, when in pairs:
        if isinstance(when, tuple) and when:
            cases.setdefault(to, []).extend(when)
    gathered: list[tuple[int, When]] = []
    for to, when in pairs:
        if isinstance(when, tuple) and when:
            labels = cases.pop(to, None)
            if labels is not None:
                gathered.append((to, tuple(labels)))
        else:
            gathered.append((to, when))
    return gathered
