"""Which locks are held where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lorelint.code import ir
from lorelint.code.locks import Locks
from lorelint.code.program import Program

Small = Callable[..., Program]


def held(small: Small, body: str, at: str = "here") -> list[str]:
    """Locks held when `at` is called: kind and argument."""
    program = small(f"int f(struct s *s)\n{{\n\t{body}\n\treturn 0;\n}}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    (place,) = (node for node in program.cfg(fn).nodes if any(call.name == at for call in ir.calls(node.expr)))
    return sorted(f"{lock.kind} {lock.text}".strip() for lock in Locks(program).at(fn, place.id))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("mutex_lock(&s->lock); here();", ["mutex &s->lock"]),
        ("mutex_lock(&s->lock); mutex_unlock(&s->lock); here();", []),
        ("mutex_lock(&s->a); mutex_lock(&s->b); mutex_unlock(&s->a); here();", ["mutex &s->b"]),
        ("mmap_read_lock(s->mm); here();", ["mmap_lock s->mm"]),
        ("spin_lock_irqsave(&s->lock, flags); here();", ["spinlock &s->lock"]),
        ("spin_lock(&s->lock); spin_unlock(&s->lock); here();", []),
        ("spin_lock(&s->a); spin_lock(&s->b); spin_unlock(&s->b); here();", ["spinlock &s->a"]),
        ("spin_lock_irqsave(&s->lock, flags); spin_unlock_irqrestore(&s->lock, flags); here();", []),
        ("raw_spin_lock(&s->lock); raw_spin_unlock(&s->lock); here();", []),
        ("write_lock_bh(&s->lock); write_unlock_bh(&s->lock); here();", []),
        ("rcu_read_lock(); rcu_read_unlock(); here();", []),
        ("local_irq_disable(); local_irq_enable(); here();", []),
        ("rcu_read_lock(); here();", ["rcu"]),
        ("err = mutex_lock_interruptible(&s->lock); if (err) here();", []),
        ("err = mutex_lock_interruptible(&s->lock); if (err) return err; here();", ["mutex &s->lock"]),
        ("int err = mutex_lock_interruptible(&s->lock); if (!err) here();", ["mutex &s->lock"]),
        ("err = mutex_lock_killable(&s->lock); if (err < 0) { here(); return err; }", []),
        ("err = mutex_lock_killable(&s->lock); if (err != 0) goto out; here(); out:", ["mutex &s->lock"]),
        ("err = follow_pfnmap_start(&args); if (err) { here(); err = follow_pfnmap_start(&args); }", []),
        ("err = mutex_lock_killable(&s->lock); if (other) here();", []),
        ("if (s->x) mutex_lock(&s->lock); here();", []),
        ("if (s->x) mutex_lock(&s->lock); else mutex_lock(&s->lock); here();", ["mutex &s->lock"]),
        ("guard(mutex)(&s->lock); here();", ["mutex &s->lock"]),
        ("{ guard(mutex)(&s->lock); if (s->x) return 1; } here();", []),
        ("scoped_guard(mutex, &s->lock) { here(); }", ["mutex &s->lock"]),
        ("scoped_guard(mutex, &s->lock) { s->x = 1; } here();", []),
        ("if (!mutex_trylock(&s->lock)) return 1; here();", ["mutex &s->lock"]),
        ("if (!mutex_trylock(&s->lock)) here();", []),
        ("if (mutex_lock_interruptible(&s->lock)) return 1; here();", ["mutex &s->lock"]),
        ("if (mutex_lock_interruptible(&s->lock)) here();", []),
        ("if (mutex_lock_killable(&s->lock) != 0) return 1; here();", ["mutex &s->lock"]),
        ("mmap_assert_locked(s->mm); here();", ["mmap_lock s->mm"]),
        ("lockdep_assert_held(&s->lock); here();", ["asserted &s->lock"]),
        ("again: mutex_lock(&s->lock); here(); mutex_unlock(&s->lock); if (s->x) goto again;", ["mutex &s->lock"]),
    ],
)  # fmt: skip
def test_held(small: Small, body: str, expected: list[str]) -> None:
    assert held(small, body) == expected


@pytest.mark.parametrize(
    ("taken", "atomic"),
    [
        ("spin_lock(&s->lock);", True), ("spin_lock_bh(&s->lock);", True), ("rcu_read_lock();", True),
        ("local_irq_disable();", True), ("preempt_disable();", True), ("guard(spinlock)(&s->lock);", True),
        ("mutex_lock(&s->lock);", False), ("down_read(&s->sem);", False), ("mmap_write_lock(s->mm);", False),
    ],
)  # fmt: skip
def test_where_nothing_may_sleep(small: Small, taken: str, atomic: bool) -> None:
    program = small(f"int f(struct s *s)\n{{\n\t{taken}\n\there();\n\treturn 0;\n}}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    (place,) = (node for node in program.cfg(fn).nodes if any(call.name == "here" for call in ir.calls(node.expr)))
    (lock,) = Locks(program).at(fn, place.id)
    assert lock.atomic is atomic


CALLERS = """
static int inner(struct s *s) { return hw(s); }
static int middle(struct s *s) { return inner(s); }
int one(struct s *s) { int r; spin_lock(&s->lock); r = middle(s); spin_unlock(&s->lock); return r; }
int two(struct s *s) { return inner(s); }
int open(struct s *s) { int r; spin_lock(&s->lock); r = two(s); spin_unlock(&s->lock); return r; }
"""


def test_what_callers_hold(small: Small) -> None:
    program = small(CALLERS)
    locks = Locks(program)

    def around(name: str) -> list[str]:
        fn = program.function("a.c", name)
        assert fn is not None
        return sorted(each.kind for each in locks.around(fn))

    assert around("middle") == ["spinlock"]
    assert around("inner") == ["spinlock"], "two levels up, any caller is enough"
    assert around("two") == [], "of a function that anybody may call nothing is said"
