"""The solver and the question, on graphs that can be checked by hand and against brute force."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.flow import Cut, after, before, reaches, solve
from lorelint.code.ir import At, Cfg, Edge, Node
from lorelint.code.loops import loops
from lorelint.code.lower import lower


def cfg_of(body: str) -> Cfg:
    text = "int f(void)\n{\n" + "".join(f"\t{row.strip()}\n" for row in body.strip().splitlines()) + "}"
    return lower(ir.Function("f", "x.c", 1, 1 + text.count("\n"), (), "int", True, text.encode(), 1))


def calls(node: Node, name: str) -> bool:
    return any(call.name == name for call in ir.calls(node.expr))


def number(cfg: Cfg, text: str) -> int:
    (found,) = (node.id for node in cfg.nodes if node.expr is not None and ir.show(node.expr) == text)
    return found


def locked(node: Node, _: Edge, state: frozenset[str]) -> frozenset[str]:
    if calls(node, "lock"):
        return state | {"l"}
    return state - {"l"} if calls(node, "unlock") else state


def union(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return one | other


def test_solve_joins_over_paths_and_loops() -> None:
    cfg = cfg_of("if (a)\nlock();\nwhile (b) {\nunlock();\nf();\nlock();\n}\ng();\nunlock();\nreturn h();")
    found = solve(cfg, frozenset[str](), locked, union)
    assert found.cut is None
    assert found.before[number(cfg, "f()")] == frozenset()
    assert found.before[number(cfg, "g()")] == frozenset({"l"})
    assert found.before[number(cfg, "h()")] == frozenset()


def test_solve_leaves_out_edges_that_cannot_be() -> None:
    cfg = cfg_of("x = 1;\nif (x == 1)\nf();\nelse\ng();\nreturn 0;")

    def transfer(node: Node, edge: Edge, state: bool) -> bool | None:
        if node.at is At.DO and ir.show(node.expr or ir.Name(0, "")) == "x = 1":
            return True
        return None if node.at is At.TEST and state and edge.when is False else state

    found = solve(cfg, False, transfer, lambda one, other: one and other)
    assert found.before[number(cfg, "g()")] is None
    assert found.before[number(cfg, "f()")] is True


def test_solve_says_when_it_was_cut() -> None:
    cfg = cfg_of("for (;;)\nf();")
    climbing = solve(cfg, 0, lambda node, edge, state: state + 1, max, limit=1000)
    assert climbing.cut is not None and climbing.cut == Cut(1000, climbing.cut.line)
    assert solve(cfg, 0, lambda node, edge, state: min(state + 1, 5), max).cut is None


def test_state_none_is_no_state_of_its_own() -> None:
    cfg = cfg_of("f();\ng();")
    found = solve(cfg, 0, lambda node, edge, state: None if calls(node, "f") else state, max)
    assert found.before[number(cfg, "f()")] == 0
    assert found.before[number(cfg, "g()")] is None


RETRY = "again:\nret = f();\nif (a)\ncond_resched();\nelse\nb();\nif (ret == -EAGAIN)\ngoto again;\nreturn ret;"


def test_reaches_finds_the_path_without_a_yield() -> None:
    cfg = cfg_of(RETRY)
    (loop,) = loops(cfg)
    path = reaches(cfg, [loop.head], loop.back, lambda node: calls(node, "cond_resched"), loop.body)
    assert path is not None
    assert [cfg.nodes[id].line for id in path] == [3, 4, 5, 8, 9, 3]
    assert reaches(cfg, [loop.head], loop.back, lambda node: calls(node, "f"), loop.body) is None
    every = {number(cfg, "cond_resched()"), number(cfg, "b()")}
    assert reaches(cfg, [loop.head], loop.back, every, loop.body) is None


def test_reaches_from_an_edge_and_to_an_edge() -> None:
    cfg = cfg_of(RETRY)
    (loop,) = loops(cfg)
    test = number(cfg, "a")
    yes, no = (edge.to for edge in cfg.nodes[test].out)
    assert reaches(cfg, [(test, yes)], {1}, lambda node: calls(node, "cond_resched")) is None
    path = reaches(cfg, [(test, no)], {1}, lambda node: calls(node, "cond_resched"))
    assert path is not None and path[:2] == (test, no) and path[-1] == 1
    back = loop.back[0]
    assert reaches(cfg, [back], [back]) == back
    assert reaches(cfg, [(test, yes)], {yes}) == (test, yes)
    assert reaches(cfg, [(test, yes)], {yes}, {yes}) is None


def test_reaches_needs_a_step_and_heeds_edges() -> None:
    cfg = cfg_of(RETRY)
    (loop,) = loops(cfg)
    around = reaches(cfg, [loop.head], {loop.head})
    assert around is not None and around[0] == around[-1] == loop.head and len(around) > 2
    assert reaches(cfg, [number(cfg, "ret")], {number(cfg, "ret")}) is None
    assert reaches(cfg, [0], {1}, may=lambda node, edge: edge.when is not False) is None
    assert reaches(cfg, [0], {1}, inside=loop.body) is None
    assert reaches(cfg, [], {1}) is None


@st.composite
def graphs(draw: st.DrawFn) -> Cfg:
    chance: random.Random = draw(st.randoms(use_true_random=False))
    count = draw(st.integers(3, 10))
    ways = [{chance.randrange(count) for _ in range(chance.randint(0, 3))} for _ in range(count)]
    return Cfg(tuple(Node(id, At.MAYBE, id, None, tuple(map(Edge, sorted(ways[id])))) for id in range(count)))


@given(graphs(), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=400, deadline=None)
def test_reaches_by_brute_force(cfg: Cfg, avoid: set[int], inside: set[int], start: int, goal: int) -> None:
    count = len(cfg.nodes)
    start, goal = start % count, goal % count
    path = reaches(cfg, [start], {goal}, avoid, inside)
    frontier, seen, length, best = {start}, set[int](), 0, -1
    while frontier and best < 0:  # all paths, a step at a time
        length += 1
        nexts = {edge.to for id in frontier for edge in cfg.nodes[id].out} - avoid
        if goal in nexts:
            best = length
        frontier = {id for id in nexts if id in inside} - seen
        seen |= frontier
    if best < 0:
        assert path is None
        return
    assert path is not None and len(path) == best + 1 and (path[0], path[-1]) == (start, goal)
    assert all(any(edge.to == to for edge in cfg.nodes[id].out) for id, to in pairwise(path))
    assert not avoid & set(path[1:]) and set(path[1:-1]) <= inside


def test_what_comes_after_a_node_and_before_it() -> None:
    cfg = cfg_of("a();\nwhile (x) {\nb();\nif (y)\nreturn 1;\n}\nc();\nreturn 0;")
    a, b, c = (number(cfg, f"{name}()") for name in "abc")
    assert {b, c} <= after(cfg, a) and a not in after(cfg, a)
    assert b in after(cfg, b) and b in before(cfg, b)  # round the loop
    assert a in before(cfg, c) and c not in before(cfg, b)
    assert after(cfg, b, c) == after(cfg, b) | after(cfg, c)
