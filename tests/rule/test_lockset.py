"""Locks by the field they lie in: wrappers, assertions, callers."""

from __future__ import annotations

from types import SimpleNamespace

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.rule.analyses.lockset import DRM_DEV, HeldLocks

HEAD = """
struct core { struct rw_semaphore lock; };
struct part { struct core *core; struct mutex own; struct drm_gem_object base; };
struct drm_gem_object { struct dma_resv *resv; };
"""


def _held(bench: SimpleNamespace, text: str) -> tuple[Program, HeldLocks]:
    program = Program(bench.tree({"drivers/a/a.c": HEAD + text}), bench.know)
    return program, HeldLocks(program)


def _at(bench: SimpleNamespace, text: str, name: str = "f", call: str = "here") -> set[str]:
    """Names held where a function calls here()."""
    program, held = _held(bench, text)
    fn = program.function("drivers/a/a.c", name)
    assert fn is not None
    (node,) = (n for n in program.cfg(fn).nodes if any(c.name == call for c in ir.calls(n.expr)))
    return set(held.names(fn, node.id))


def test_two_functions_speak_of_one_lock(bench: SimpleNamespace) -> None:
    by_part = "void f(struct part *p)\n{\n\tdown_read(&p->core->lock);\n\there();\n\tup_read(&p->core->lock);\n}\n"
    by_core = "void f(struct core *c)\n{\n\tstruct rw_semaphore *l = &c->lock;\n\n\tdown_write(l);\n\there();\n}\n"
    assert _at(bench, by_part) == _at(bench, by_core) == {"core.lock"}


def test_a_wrapper_is_its_lock_and_its_unlock(bench: SimpleNamespace) -> None:
    wrappers = (
        "static void part_lock(struct part *p)\n{\n\tmutex_lock(&p->own);\n}\n"
        "static void part_unlock(struct part *p)\n{\n\tmutex_unlock(&p->own);\n}\n"
    )
    assert _at(bench, wrappers + "void f(struct part *p)\n{\n\tpart_lock(p);\n\there();\n}\n") == {"part.own"}
    gone = "void f(struct part *p)\n{\n\tmutex_lock(&p->own);\n\tpart_unlock(p);\n\there();\n}\n"
    assert _at(bench, wrappers + gone) == set()


def test_a_wrapper_of_the_same_file_may_have_any_name(bench: SimpleNamespace) -> None:
    wrappers = "static void zq(struct part *p)\n{\n\tmutex_lock(&p->own);\n}\n"
    assert _at(bench, wrappers + "void f(struct part *p)\n{\n\tzq(p);\n\there();\n}\n") == {"part.own"}
    gone = "static void zr(struct part *p)\n{\n\tmutex_unlock(&p->own);\n}\n"
    assert _at(bench, wrappers + gone + "void f(struct part *p)\n{\n\tzq(p);\n\tzr(p);\n\there();\n}\n") == set()


def test_a_wrapper_that_may_fail_holds_where_it_did_not(bench: SimpleNamespace) -> None:
    wrapper = (
        "static int part_lock(struct part *p)\n{\n\tint ret = mutex_lock_interruptible(&p->own);\n\n"
        "\tif (ret)\n\t\treturn ret;\n\treturn 0;\n}\n"
    )
    right = "int f(struct part *p)\n{\n\tif (part_lock(p))\n\t\treturn -EINTR;\n\there();\n\treturn 0;\n}\n"
    wrong = "int f(struct part *p)\n{\n\tif (part_lock(p))\n\t\there();\n\treturn 0;\n}\n"
    assert _at(bench, wrapper + right) == {"part.own"}
    assert _at(bench, wrapper + wrong) == set()


def test_what_a_helper_takes_and_gives_back_is_not_held_behind_it(bench: SimpleNamespace) -> None:
    helper = (
        "static int ask(struct part *p)\n{\n\tint x;\n\n\tmutex_lock(&p->own);\n\tx = 1;\n"
        "\tmutex_unlock(&p->own);\n\treturn x;\n}\n"
    )
    assert _at(bench, helper + "void f(struct part *p)\n{\n\tif (ask(p))\n\t\there();\n}\n") == set()


def test_assertions_are_preconditions(bench: SimpleNamespace) -> None:
    assert _at(bench, "void f(struct part *p)\n{\n\tlockdep_assert_held(&p->own);\n\there();\n}\n") == {"part.own"}
    asked = "static void part_assert_held(struct part *p)\n{\n\tWARN_ON(!mutex_is_locked(&p->own));\n}\n"
    assert _at(bench, asked + "void f(struct part *p)\n{\n\tpart_assert_held(p);\n\there();\n}\n") == {"part.own"}
    program, held = _held(bench, "void f(struct part *p)\n{\n\tlockdep_assert_held(&p->own);\n\there();\n}\n")
    fn = program.function("drivers/a/a.c", "f")
    assert fn is not None
    last = max(node.id for node in program.cfg(fn).nodes if node.expr is not None)
    assert held.names(fn, last, asserted=False) == frozenset()


def test_an_asserted_lock_is_given_back_by_its_unlock(bench: SimpleNamespace) -> None:
    text = "void f(struct part *p)\n{\n\tlockdep_assert_held(&p->own);\n\tmutex_unlock(&p->own);\n\there();\n}\n"
    assert _at(bench, text) == set()


def test_reservation_locks_are_one(bench: SimpleNamespace) -> None:
    assert _at(bench, "void f(struct part *p)\n{\n\tdma_resv_lock(p->base.resv, NULL);\n\there();\n}\n") == {"resv"}
    entered = "void f(struct part *p)\n{\n\tint idx;\n\n\tif (drm_dev_enter(p->dev, &idx))\n\t\there();\n}\n"
    assert _at(bench, entered) == {DRM_DEV}


def test_guards_end_with_their_block(bench: SimpleNamespace) -> None:
    inside = "void f(struct part *p)\n{\n\tscoped_guard(mutex, &p->own) {\n\t\there();\n\t}\n}\n"
    behind = "void f(struct part *p)\n{\n\tscoped_guard(mutex, &p->own) {\n\t\tx();\n\t}\n\there();\n}\n"
    assert _at(bench, inside) == {"part.own"}
    assert _at(bench, behind) == set()


def test_a_downgraded_lock_is_still_held(bench: SimpleNamespace) -> None:
    text = "void f(struct core *c)\n{\n\tdown_write(&c->lock);\n\tdowngrade_write(&c->lock);\n\there();\n}\n"
    assert _at(bench, text) == {"core.lock"}


def test_callers_hold_it_all_of_them_or_some(bench: SimpleNamespace) -> None:
    callers = (
        "static void f(struct part *p)\n{\n\there();\n}\n"
        "void one(struct part *p)\n{\n\tmutex_lock(&p->own);\n\tf(p);\n\tmutex_unlock(&p->own);\n}\n"
    )
    other = "void two(struct part *p)\n{\n\tf(p);\n}\n"
    for text, every in ((callers, {"part.own"}), (callers + other, set())):
        program, held = _held(bench, text)
        fn = program.function("drivers/a/a.c", "f")
        assert fn is not None
        assert held.over(fn, every=True) == every
        assert held.over(fn, every=False) == {"part.own"}


def test_what_every_way_out_gives_back_is_held(bench: SimpleNamespace) -> None:
    """One condition that is tested twice: the lock is held at the node that only the same condition leads to."""
    text = (
        "void f(struct part *p, int c)\n{\n\tif (c)\n\t\tmutex_lock(&p->own);\n\tx();\n"
        "\tif (c) {\n\t\there();\n\t\tmutex_unlock(&p->own);\n\t}\n}\n"
    )
    program, held = _held(bench, text)
    fn = program.function("drivers/a/a.c", "f")
    assert fn is not None
    at = {call.name: n.id for n in program.cfg(fn).nodes for call in ir.calls(n.expr)}
    assert held.names(fn, at["here"]) == frozenset()
    assert held.owed(fn, at["here"]) == {"part.own"}
    assert held.owed(fn, at["x"]) == frozenset()
