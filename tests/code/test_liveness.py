"""What the tests of a graph can ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lorelint.code.explore import Explorer
from lorelint.code.liveness import liveness, tells
from lorelint.code.program import Program
from lorelint.code.summary import plain

Small = Callable[..., Program]

SPEAKS = [
    "ret = one(s); if (ret) continue;",
    "if (one(s) < 0) continue;",
    "if (fails(s)) continue;",
    "int other = one(s); ret = other; if (ret == -EAGAIN) continue;",
    "p = get(s); if (IS_ERR(p)) continue;",
    "ok = one(s) == 0; if (ok) continue;",
    "ret = 0; one(s, &ret); if (ret > 0) continue;",
    "switch (one(s)) { case -EAGAIN: continue; default: break; }",
    "n = one(s) ?: two(s);",
]
SILENT = [
    "one(s);",
    "if (n > 3) continue;",
    "if (one(s)) continue;",
    "p = get(s); if (!p) continue;",
    "n = READ_ONCE(s->n); if (n < 3) continue;",
    "ret = one(s); s->sum += ret;",
]


def spoken_of(small: Small, body: str) -> bool:
    text = f"int f(struct s *s, int n)\n{{\n\tstruct s *p;\n\tint ret;\n\tbool ok;\n\n\twhile (n--) {{\n{body}\n\t}}\n"
    program = small(text + "\treturn n;\n}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    cfg = program.cfg(fn)
    (loop,) = program.loops(fn)
    errnos = frozenset({"fails"})
    explorer = Explorer(cfg, inside=loop.body, plain=plain(fn, cfg), errnos=errnos)
    explored = explorer.run(loop.head, loop.back)
    said = any(world.trail for worlds in explored.at.values() for world in worlds)
    said = said or any(world.trail for worlds in explored.arrived.values() for world in worlds)
    may = tells(cfg, loop.body, plain(fn, cfg), errnos)
    assert may or not said, "what is ruled out does not happen"
    return may


@pytest.mark.parametrize("body", SPEAKS)
def test_a_test_that_may_speak_of_a_call(small: Small, body: str) -> None:
    assert spoken_of(small, body)


@pytest.mark.parametrize("body", SILENT)
def test_tests_that_say_nothing_of_calls(small: Small, body: str) -> None:
    assert not spoken_of(small, body)


def test_a_variable_lives_until_it_is_asked_for_the_last_time(small: Small) -> None:
    text = "int f(struct s *s)\n{\n\tint ret = one(s);\n\tint used = two(s);\n\tint old = ret;\n\n\tshow(used);\n"
    program = small(text + "\tif (old)\n\t\treturn old;\n\treturn 0;\n}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    cfg = program.cfg(fn)
    live = liveness(cfg, range(len(cfg.nodes)), ())
    at = {node.line: live[node.id] - {"()"} for node in reversed(cfg.nodes) if node.expr is not None}
    assert at[3] == set() and at[4] == {"ret"} and at[5] == {"ret"}, "ret, for the sake of old; used is only handed on"
    assert at[7] == {"old"} and at[8] == {"old"}
