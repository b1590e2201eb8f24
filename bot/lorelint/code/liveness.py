"""Which variables may still be read from a node on."""

from __future__ import annotations

from collections import deque

from lorelint.code import ir


def used(node: ir.Node) -> frozenset[str]:
    """Variables a node reads (or hands on by address)."""
    if node.expr is None:
        return frozenset()
    targets = {id(e.target) for e in ir.walk(node.expr) if isinstance(e, ir.Assign) and e.op == "="}
    return frozenset(e.name for e in ir.walk(node.expr) if isinstance(e, ir.Name) and id(e) not in targets)


def written(node: ir.Node) -> frozenset[str]:
    """Variables a node overwrites whole."""
    if node.expr is None:
        return frozenset()
    found = set()
    for each in ir.walk(node.expr):
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name)) | ir.Declare(name=name):
                found.add(name)
    return frozenset(found)


def liveness(cfg: ir.Cfg) -> tuple[frozenset[str], ...]:
    """For each node the variables whose value may still be read from there on."""
    reads = [used(node) for node in cfg.nodes]
    kills = [written(node) for node in cfg.nodes]
    # `again = ret == -EAGAIN` keeps ret alive as long as again is: the test is asked of ret later.
    live: list[frozenset[str]] = list(reads)
    before: list[list[int]] = [[] for _ in cfg.nodes]
    for node in cfg.nodes:
        for edge in node.out:
            before[edge.to].append(node.id)
    queue = deque(reversed(range(len(cfg.nodes))))
    waiting = set(queue)
    while queue:
        id_ = queue.popleft()
        waiting.discard(id_)
        node = cfg.nodes[id_]
        after: frozenset[str] = frozenset().union(*(live[edge.to] for edge in node.out)) if node.out else frozenset()
        fresh = reads[id_] | (after - kills[id_])
        if fresh != live[id_]:
            live[id_] = fresh
            for each in before[id_]:
                if each not in waiting:
                    waiting.add(each)
                    queue.append(each)
    held = _held_by_flags(cfg)
    if not held:
        return tuple(live)
    return tuple(each | frozenset(n for flag, names in held.items() if flag in each for n in names) for each in live)


def _held_by_flags(cfg: ir.Cfg) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for node in cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Name(name=name), value=(ir.Binary() | ir.Unary()) as value):
                names = frozenset(e.name for e in ir.walk(value) if isinstance(e, ir.Name))
                found[name] = found.get(name, frozenset()) | names
            case ir.Declare(name=name, value=(ir.Binary() | ir.Unary()) as value):
                names = frozenset(e.name for e in ir.walk(value) if isinstance(e, ir.Name))
                found[name] = found.get(name, frozenset()) | names
    return found
