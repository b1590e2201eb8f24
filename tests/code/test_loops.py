"""Dominators against their definition, loops against theirs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.ir import At, Cfg, Edge, LoopKind, Node
from lorelint.code.loops import dominators, loops
from lorelint.code.lower import lower


def function(body: str) -> ir.Function:
    text = "int f(void)\n{\n" + "".join(f"\t{row.strip()}\n" for row in body.strip().splitlines()) + "}"
    return ir.Function("f", "x.c", 1, 1 + text.count("\n"), (), "int", True, text.encode(), 1)


def cfg_of(ways: dict[int, list[int]]) -> Cfg:
    """A graph with these edges; nodes without any lead nowhere."""
    count = 1 + max([1, *ways, *(to for many in ways.values() for to in many)])
    nodes = []
    preds: list[list[int]] = [[] for _ in range(count)]
    for id in range(count):
        at = At.ENTRY if id == 0 else At.EXIT if id == 1 else At.MAYBE
        nodes.append(Node(id, at, id, None, tuple(Edge(to) for to in ways.get(id, []))))
        for to in sorted(set(ways.get(id, []))):
            preds[to].append(id)
    return Cfg(tuple(nodes), (), (), tuple(tuple(each) for each in preds))


def reached(cfg: Cfg, without: int = -1, start: int = 0) -> set[int]:
    seen = {start} - {without}
    todo = list(seen)
    while todo:
        for edge in cfg.nodes[todo.pop()].out:
            if edge.to not in seen and edge.to != without:
                seen.add(edge.to)
                todo.append(edge.to)
    return seen


@st.composite
def graphs(draw: st.DrawFn) -> Cfg:
    """Any graph of up to 14 nodes, those that cannot be reached left out (but for the EXIT)."""
    chance: random.Random = draw(st.randoms(use_true_random=False))
    count = draw(st.integers(3, 14))
    ways = {id: [chance.randrange(1, count) for _ in range(chance.choice((1, 1, 2, 2, 3)))] for id in range(count)}
    ways[1] = []
    keep = sorted(reached(cfg_of(ways)) | {1})
    new = {old: number for number, old in enumerate(keep)}
    return cfg_of({new[old]: [new[to] for to in ways[old]] for old in keep})


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_dominators_by_definition(cfg: Cfg) -> None:
    idom = dominators(cfg)
    inside = reached(cfg)
    cut = {id: inside - reached(cfg, without=id) for id in inside}  # what `id` dominates, itself included
    for id in range(len(cfg.nodes)):
        if id not in inside:
            assert idom[id] == -1
        elif id == 0:
            assert idom[id] == 0
        else:
            above = {other for other in inside if other != id and id in cut[other]}
            nearest = [one for one in above if all(one in cut[other] for other in above)]
            assert [idom[id]] == nearest


@given(graphs())
@settings(max_examples=300, deadline=None)
def test_loops_by_definition(cfg: Cfg) -> None:
    found = loops(cfg)
    inside = reached(cfg)
    idom = dominators(cfg)

    def dominates(head: int, id: int) -> bool:
        while id != head and id:
            id = idom[id]
        return id == head

    heads = {loop.head for loop in found}
    assert len(heads) == len(found)
    for loop in found:
        assert loop.back and loop.head in loop.body and loop.body <= inside
        assert all(edge[1] == loop.head and edge[0] in loop.body for edge in loop.back)
        beside = [id for id in loop.body if not dominates(loop.head, id)]
        assert loop.tangled == bool(beside)
        for id in loop.body:  # within the body, all lead back to the head
            assert loop.head in _onward(cfg, id, loop.body)
        assert set(loop.leave) == {
            (id, edge.to) for id in loop.body for edge in cfg.nodes[id].out if edge.to not in loop.body
        }
    for id in inside:  # every edge to a dominator is a back edge of a loop, and every cycle passes a head
        for edge in cfg.nodes[id].out:
            if dominates(edge.to, id):
                assert any((id, edge.to) in loop.back for loop in found)
    assert not _has_cycle(cfg, inside - heads)
    places = {loop.head: number for number, loop in enumerate(found)}
    for outer in found:
        for loop in found:
            if loop.body < outer.body:
                assert places[outer.head] < places[loop.head]


def _onward(cfg: Cfg, start: int, body: frozenset[int]) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        for edge in cfg.nodes[todo.pop()].out:
            if edge.to in body and edge.to not in seen:
                seen.add(edge.to)
                todo.append(edge.to)
    return seen


def _has_cycle(cfg: Cfg, allowed: set[int]) -> bool:
    return any(id in _onward(cfg, id, frozenset(allowed)) for id in allowed)


def test_goto_loop_has_its_label() -> None:
    cfg = lower(function("again:\nret = f();\nif (ret == -EAGAIN)\ngoto again;\nreturn ret;"))
    (loop,) = loops(cfg)
    assert (loop.kind, loop.label, loop.line, loop.tangled) == (LoopKind.GOTO, "again", 3, False)
    assert [cfg.nodes[id].line for id, _ in loop.back] == [5]
    assert [cfg.nodes[to].line for _, to in loop.leave] == [7]


def test_nested_loops_outermost_first() -> None:
    cfg = lower(
        function("""
        for (i = 0; i < 3; i++) {
        do {
        f();
        } while (a);
        while (b)
        g();
        }
        retry:
        if (h())
        goto retry;
    """)
    )
    found = loops(cfg)
    assert [(loop.kind, loop.line) for loop in found] == [
        (LoopKind.FOR, 3), (LoopKind.GOTO, 10), (LoopKind.DO, 4), (LoopKind.WHILE, 7),
    ]  # fmt: skip
    assert found[2].body < found[0].body and found[3].body < found[0].body


def test_one_loop_for_all_ways_back() -> None:
    cfg = lower(function("for (;;) {\nif (a)\ncontinue;\nif (b)\nbreak;\n}"))
    (loop,) = loops(cfg)
    assert len(loop.back) == 2 and len(loop.leave) == 1


def test_jump_into_a_loop_is_tangled() -> None:
    cfg = lower(function("if (a)\ngoto in;\nwhile (b) {\nf();\nin:\ng();\n}"))
    (loop,) = loops(cfg)
    assert loop.tangled
    assert {ir.show(cfg.nodes[id].expr) for id in loop.body if cfg.nodes[id].expr} >= {"f()", "g()"}  # type: ignore[arg-type]


@pytest.mark.parametrize("body", ["return 1;", "do { f(); } while (0);", "while (a) return 1;", "for (;;) break;"])
def test_no_loop(body: str) -> None:
    assert loops(lower(function(body))) == ()


def test_long_straight_code_and_deep_nests() -> None:
    assert loops(lower(function("f();\n" * 15_000))) == ()
    deep = loops(lower(function("while (a)\n" * 400 + "f();")))
    assert len(deep) == 400
    assert [len(loop.body) for loop in deep] == list(range(401, 1, -1))
