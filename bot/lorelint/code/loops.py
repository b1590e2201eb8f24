"""Dominators and natural loops, goto loops included."""

from __future__ import annotations

from lorelint.code.ir import At, Cfg, Loop, LoopKind

MEMBER_LIMIT = 1_000_000  # sum of all bodies; thousands of nested loops are nobody's code

MANY = 8  # ways into one node


def postorder(cfg: Cfg) -> list[int]:
    """Nodes that can be reached, each after its successors (but for edges that go round). The entry is last."""
    order: list[int] = []
    nodes = cfg.nodes
    seen = bytearray(len(nodes))
    seen[0] = 1
    stack = [(0, iter(nodes[0].out))]
    while stack:
        here, edges = stack[-1]
        for edge in edges:
            to = edge.to
            if not seen[to]:
                seen[to] = 1
                stack.append((to, iter(nodes[to].out)))
                break
        else:
            order.append(here)
            stack.pop()
    return order


def dominators(cfg: Cfg) -> tuple[int, ...]:
    """The immediate dominator of every node; 0 for the entry, -1 for what cannot be reached (an EXIT nobody gets to).

    Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm, 2001.
    """
    return _dominators(cfg, postorder(cfg))


def _dominators(cfg: Cfg, order: list[int]) -> tuple[int, ...]:
    rank = [-1] * len(cfg.nodes)
    for number, id in enumerate(order):
        rank[id] = number
    idom = [-1] * len(cfg.nodes)
    idom[0] = 0
    preds = cfg.preds
    changed = True
    while changed:
        changed = False
        for here in reversed(order[:-1]):
            best = -1
            passed: set[int] = set()  # on the way up to `best`: whoever comes there gets to it too
            many = len(preds[here]) > MANY
            for pred in preds[here]:
                if idom[pred] < 0:
                    continue
                if best < 0:
                    best = pred
                    continue
                while best != pred:
                    if rank[best] < rank[pred]:
                        best = idom[best]
                    else:
                        if many:
                            if pred in passed:
                                break
                            passed.add(pred)
                        pred = idom[pred]
            if idom[here] != best:
                idom[here] = best
                changed = True
    return tuple(idom)


def loops(cfg: Cfg) -> tuple[Loop, ...]:
    """The loops, outermost first, then by line. One for each head; nested ones are inside the body of the outer.

    A loop that is entered beside its head (`tangled`) has the whole knot as its body. Where the bodies
    together exceed `MEMBER_LIMIT` nodes, loops nested deeper are left out.
    """
    order = postorder(cfg)
    rank = {id: number for number, id in enumerate(order)}
    around: dict[int, list[int]] = {}
    for id in order:
        for edge in cfg.nodes[id].out:
            if rank[edge.to] >= rank[id]:
                backs = around.setdefault(edge.to, [])
                if not backs or backs[-1] != id:
                    backs.append(id)
    if not around:
        return ()
    idom = _dominators(cfg, order)
    depth = _depths(order, idom)
    kinds = dict(cfg.kinds)
    found: list[Loop] = []
    members = 0
    for head in sorted(around, key=lambda id: -rank[id]):
        backs = sorted(around[head])
        true = [back for back in backs if _dominates(idom, depth, head, back)]
        body = _body(cfg, head, backs) if len(true) == len(backs) else _knot(cfg, head)
        members += len(body)
        if members > MEMBER_LIMIT:
            break
        found.append(_loop(cfg, head, body, kinds, len(true) < len(backs)))
    depth_of = _nesting(cfg, found)
    return tuple(sorted(found, key=lambda loop: (depth_of[loop.head], loop.line, loop.head)))


def _nesting(cfg: Cfg, found: list[Loop]) -> dict[int, int]:
    """How many loops each loop, told by its head, is inside of."""
    if any(loop.tangled for loop in found):
        return {loop.head: sum(loop.body < other.body for other in found) for loop in found}
    around = [0] * len(cfg.nodes)
    for loop in found:
        for id in loop.body:
            around[id] += 1
    return {loop.head: around[loop.head] for loop in found}


def _loop(cfg: Cfg, head: int, body: frozenset[int], kinds: dict[int, LoopKind], tangled: bool) -> Loop:
    inside = sorted(body)
    node = cfg.nodes[head]
    edges = [(id, edge.to) for id in inside for edge in cfg.nodes[id].out]
    return Loop(
        head=head,
        kind=kinds.get(head, LoopKind.GOTO),
        line=node.line,
        body=body,
        back=tuple(dict.fromkeys(edge for edge in edges if edge[1] == head)),
        leave=tuple(dict.fromkeys(edge for edge in edges if edge[1] not in body)),
        label=node.label if node.at is At.LABEL else "",
        tangled=tangled,
    )


def _depths(order: list[int], idom: tuple[int, ...]) -> dict[int, int]:
    """Depth of every node in the tree of dominators."""
    depth = {0: 0}
    for id in reversed(order):
        if id:
            depth[id] = depth[idom[id]] + 1
    return depth


def _dominates(idom: tuple[int, ...], depth: dict[int, int], head: int, id: int) -> bool:
    while depth[id] > depth[head]:
        id = idom[id]
    return id == head


def _body(cfg: Cfg, head: int, backs: list[int]) -> frozenset[int]:
    body = {head}
    todo = list(backs)
    while todo:
        here = todo.pop()
        if here not in body:
            body.add(here)
            todo.extend(cfg.preds[here])
    return frozenset(body)


def _knot(cfg: Cfg, head: int) -> frozenset[int]:
    """All that the head reaches and that reaches the head."""
    forward = {head}
    todo = [head]
    while todo:
        for edge in cfg.nodes[todo.pop()].out:
            if edge.to not in forward:
                forward.add(edge.to)
                todo.append(edge.to)
    back = {head}
    todo = [head]
    while todo:
        for pred in cfg.preds[todo.pop()]:
            if pred in forward and pred not in back:
                back.add(pred)
                todo.append(pred)
    return frozenset(back)
