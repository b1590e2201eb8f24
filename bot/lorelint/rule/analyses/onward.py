"""The ways from one place of a function on, told apart by what calls returned, also where that lies in a field.

``buf->fd = dma_buf_fd(..); if (buf->fd < 0)`` is a test of that call as much as one of a local is. Field chains that
a function assigns are followed like variables here; a callee that changes one behind our back is not seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

from msgspec import structs

from lorelint.code import ir
from lorelint.code.codes import Codes
from lorelint.code.explore import Explorer
from lorelint.code.summary import plain
from lorelint.code.worlds import Explored, Site, World
from lorelint.rule.analyses.scope import Scope

_DEEP = 24  # of an expression that is rewritten
_CHAIN = 6  # links of a chain

Marker = Callable[[ir.Node], Iterable[Hashable]]
Learner = Callable[[Site, Codes], Iterable[Hashable]]


def chained(cfg: ir.Cfg) -> ir.Cfg:
    """The graph in which each field chain that is assigned somewhere is a variable of that text."""

    def compute() -> ir.Cfg:
        wanted = {text for node in cfg.nodes if node.expr is not None for text in _assigned(node.expr)}
        nodes = cfg.nodes
        if wanted:
            nodes = tuple(
                node if node.expr is None else structs.replace(node, expr=_named(node.expr, wanted, 0))
                for node in cfg.nodes
            )
        return ir.Cfg(nodes, cfg.kinds, cfg.opaque, cfg.preds)

    return cfg.once("chained", compute)


def is_chain(expr: ir.Expr) -> bool:
    """A name and fields of it, nothing computed between."""
    for _ in range(_CHAIN):
        match expr:
            case ir.Name():
                return True
            case ir.Member(base=base):
                expr = base
            case _:
                return False
    return False


def _assigned(expr: ir.Expr) -> Iterable[str]:
    for each in ir.walk(expr):
        if isinstance(each, ir.Assign) and isinstance(each.target, ir.Member) and is_chain(each.target):
            yield ir.show(each.target)


def _named(expr: ir.Expr, wanted: Collection[str], depth: int) -> ir.Expr:
    if isinstance(expr, ir.Member) and is_chain(expr) and ir.show(expr) in wanted:
        return ir.Name(expr.line, ir.show(expr))
    if depth > _DEEP or isinstance(expr, ir.Name):
        return expr
    changed: dict[str, Any] = {}
    for name in (each.name for each in dataclasses.fields(expr)):
        value = getattr(expr, name)
        after = _part(value, wanted, depth + 1)
        if after is not value:
            changed[name] = after
    return dataclasses.replace(expr, **changed) if changed else expr


def _part(value: Any, wanted: Collection[str], depth: int) -> Any:
    if isinstance(value, ir.Expr):
        return _named(value, wanted, depth)
    if isinstance(value, tuple):
        parts = tuple(_part(each, wanted, depth) for each in value)
        return value if all(one is other for one, other in zip(parts, value, strict=True)) else parts
    return value


def onward(
    scope: Scope,
    start: int = 0,
    *,
    marker: Marker | None = None,
    learner: Learner | None = None,
    stop: Collection[int] = (),
    errnos: frozenset[str] = frozenset(),
) -> Explored:
    """All worlds from a node on, until it is come to again.

    marker   marks of executing a node
    learner  marks of knowing what a call returned
    stop     nodes that are not entered again: where the object is made anew
    errnos   callees that return 0 or an error, so that their bare truth is a failure
    """
    cfg = chained(scope.cfg)
    shut = frozenset(stop) - {start}
    inside = frozenset(node.id for node in cfg.nodes) - shut

    def mark(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
        return marker(scope.cfg.nodes[node.id]) if edge is None and marker is not None else ()

    explorer = Explorer(
        cfg,
        mark,
        learner=learner or (lambda site, codes: ()),
        inside=inside,
        plain=plain(scope.fn, scope.cfg),
        errnos=errnos,
        trail=0,
    )
    again = [(before, start) for before in cfg.preds[start]] if start else []
    return explorer.run(start, again)


def worlds(explored: Explored, node: int) -> tuple[World, ...]:
    """The worlds before a node, () where no way leads there."""
    return explored.at.get(node, ())


__all__ = ["chained", "is_chain", "onward", "worlds"]
