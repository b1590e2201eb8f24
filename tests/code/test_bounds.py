"""What ends a loop by itself, and what only looks as if it did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lorelint.code.bounds import Bounds, changed, lvalues
from lorelint.code.explore import Explorer
from lorelint.code.program import Program

Small = Callable[..., Program]


def kinds(small: Small, body: str) -> set[str]:
    """What bounds each class of paths round the outermost loop; "" for a path that nothing bounds."""
    program = small(f"int f(struct s *s, int n)\n{{\n{body}\n\treturn 0;\n}}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    cfg, loop = program.cfg(fn), program.loops(fn)[0]
    bounds = Bounds(cfg, loop, program.know)
    explored = Explorer(cfg, bounds.marks, inside=loop.body).run(loop.head, loop.back)
    found = [bounds.bound(world) for back in loop.back for world in explored.arrived[back]]
    assert found, "the loop goes round"
    return {f"{each.kind}:{each.what}" if each else "" for each in found}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("int r, t = 5; do { r = try(s); } while (r == -EAGAIN && --t);", {"counter:t"}),
        ("int r, t = 0; do { r = try(s); } while (r == -EAGAIN && t++ < 8);", {"counter:t"}),
        ("int r, t = 0; again: r = try(s); if (r == -EAGAIN && t < 8) { t = t + 1; goto again; }", {"counter:t"}),
        ("int r; for (n = 0; n < 9; n++) { r = try(s); if (r != -EAGAIN) break; }", {"counter:n"}),
        ("int r; do { r = try(s); s->left -= 1; } while (r && s->left > 0);", {"counter:s->left"}),
        ("int r; long t = 9; while (1) { r = try(s); t = schedule_timeout_some(t); if (!t) break; }", {"counter:t"}),
        ("int r; unsigned long e = jiffies + HZ; do { r = try(s); } while (r && time_before(jiffies, e));",
         {"clock:jiffies"}),
        ("int r; unsigned long e = jiffies; do { r = try(s); if (jiffies - e > HZ) break; } while (r);",
         {"clock:jiffies"}),
        ("int r; bool once = false; again: r = try(s); if (r && !once) { once = true; goto again; }", {"latch:once"}),
        ("int r; bool drained = false; do { r = try(s, &drained); } while (r && !test(&drained));", {"latch:drained"}),
        ("int r; ktime_t e = ktime_add_ms(ktime_get(), 9); do { r = try(s, e); } while (r == -EAGAIN);",
         {"deadline:try"}),
        ("int r; again: r = fault(s, n); if (r & VM_FAULT_RETRY) { n |= FAULT_FLAG_TRIED; goto again; }",
         {"tried:FAULT_FLAG_TRIED"}),
        ("int r, at = 0, no; while (1) { no = find(s, at); r = try(s, no); if (no > n) break; at = no + 1; }",
         {"counter:at"}),
        ("int r; while (more(s)) { r = try(s); if (r < 0) continue; }", {"progress:more"}),
    ],
)  # fmt: skip
def test_bounded(small: Small, body: str, expected: set[str]) -> None:
    assert kinds(small, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        "int r; do { r = try(s); } while (r == -EAGAIN);",
        "int r, t = 5; do { t = 5; r = try(s); } while (r == -EAGAIN && --t);",  # begins anew each time
        "int r, t = 5; do { r = try(s); t--; } while (r == -EAGAIN);",  # counted, never asked
        "int r, t = 5; do { r = try(s); } while (r == -EAGAIN && t);",  # asked, never counted
        "int r, t = 5; do { r = try(s); t--; if (t) note(s); } while (r == -EAGAIN);",  # asked where it ends nothing
        "int r; bool once = false; do { r = try(s); once = true; once = false; } while (r && !once);",  # no latch
        "int r; do { r = try(s); } while (IS_ERR_VALUE(r));",
        "int r; do { if (!spin_trylock(&s->lock)) break; r = try(s); } while (r == -EAGAIN);",  # a lock is no progress
        "int r; do { r = try(s); } while (signal_pending(current));",  # not a refusal of the work
        "int r; ktime_t e; do { e = ktime_get(); r = try(s, e); } while (r == -EAGAIN);",  # a deadline that moves on
    ],
)
def test_not_bounded(small: Small, body: str) -> None:
    assert kinds(small, body) == {""}


def test_each_path_for_itself(small: Small) -> None:
    body = "int r, t = 5; again: r = try(s); if (r == -EBUSY) goto again; if (r == -EAGAIN && --t) goto again;"
    assert kinds(small, body) == {"", "counter:t"}


def test_what_an_expression_reads_and_changes(small: Small) -> None:
    program = small("int f(struct s *s)\n{\n\ts->n += *s->p;\n\treturn 0;\n}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    (expr,) = (node.expr for node in program.cfg(fn).nodes if node.line == 3 and node.expr)
    assert changed(expr) == {"s->n"} and {"s->n", "*s->p", "s->p", "s"} <= lvalues(expr)
