"""What a call may do: its codes with their causes, and what every path to them has passed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lorelint.code import ir
from lorelint.code.codes import ANY, Codes
from lorelint.code.marks import SIGNAL, SIGNALLED, WAIT, WEAK, YIELD
from lorelint.code.program import Program
from lorelint.code.summary import DEPTH, Cause, How, Summaries, Summary

Small = Callable[..., Program]
AGAIN = Codes(frozenset({"-EAGAIN"}))


def function(program: Program, name: str = "f") -> ir.Function:
    fn = program.function("a.c", name)
    assert fn is not None
    return fn


def causes(small: Small, text: str, code: str = "-EAGAIN") -> tuple[Cause, ...]:
    program = small(text)
    return Summaries(program).causes(function(program), code)


def of_body(small: Small, body: str) -> Summary:
    program = small(f"int f(struct s *s)\n{{\n{body}\n}}\n")
    return Summaries(program).of(function(program))


@pytest.mark.parametrize(
    ("body", "how", "api"),
    [
        ("if (s->busy) return -EAGAIN; return 0;", How.CONDITION, ""),
        ("int ret = one(s); if (ret) return -EAGAIN; return 0;", How.COLLAPSED, "one"),
        ("if (one(s) < 0) return -EAGAIN; return 0;", How.COLLAPSED, "one"),
        ("struct p *p = get(s); if (IS_ERR(p)) return -EAGAIN; return 0;", How.COLLAPSED, "get"),
        ("int ret = one(s); if (ret == -ENOENT) return -EAGAIN; return ret == 0 ? 0 : -EIO;", How.MAPPED, "one"),
        ("bool u = false; int ret = fixup_user_fault(s->mm, 0, 0, &u); if (u) return -EAGAIN; return 0;",
         How.RESTART, "fixup_user_fault"),
        ("int ret = one(s); if (!ret) return -EAGAIN; return -EIO;", How.SUCCEEDED, "one"),
        ("if (!mutex_trylock(&s->lock)) return -EAGAIN; return 0;", How.TRYLOCK, "mutex_trylock"),
        ("if (mutex_lock_interruptible(&s->lock)) return -EAGAIN; return 0;", How.INTERRUPTED,
         "mutex_lock_interruptible"),
        ("if (signal_pending(current)) return -EAGAIN; return 0;", How.INTERRUPTED, "signal_pending"),
        ("if (read_seqretry(&s->seq, 1)) return -EAGAIN; return 0;", How.PREDICATE, "read_seqretry"),
        ("pte_t *p = pte_offset_map_lock(s->mm, 0, 0, 0); if (!p) return -EAGAIN; return 0;", How.PREDICATE,
         "pte_offset_map_lock"),
        ("int ret = s->lucky; if (one(s) < 0) { ret = -EAGAIN; goto out; } ret = 0; out: put(s); return ret;",
         How.COLLAPSED, "one"),
    ],
)  # fmt: skip
def test_why_a_code_is_given(small: Small, body: str, how: How, api: str) -> None:
    (cause,) = causes(small, f"int f(struct s *s)\n{{\n{body}\n}}\n")
    assert (cause.how, cause.api, cause.code) == (how, api, "-EAGAIN")
    assert cause.steps, "each cause is shown"


def test_a_callee_nobody_knows_hands_on(small: Small) -> None:
    (cause,) = causes(small, "int f(struct s *s)\n{\n\treturn s->ops->go(s);\n}\n")
    assert cause.how is How.HANDED_ON and cause.api == ""
    (cause,) = causes(small, "int f(struct s *s)\n{\n\treturn elsewhere(s);\n}\n")
    assert cause.how is How.HANDED_ON and cause.api == "elsewhere"


def test_a_code_that_is_not_given_has_no_cause(small: Small) -> None:
    text = "int f(struct s *s)\n{\n\tint ret = one(s);\n\tif (ret == -EAGAIN)\n\t\treturn -EIO;\n\treturn ret;\n}\n"
    assert causes(small, text) == ()
    assert [each.how for each in causes(small, text, "-EBUSY")] == [How.HANDED_ON]


CHAIN = """
static int deepest(struct s *s) { int ret = hw(s); if (ret) return -EAGAIN; return 0; }
static int middle(struct s *s) { cond_resched(); return deepest(s); }
int f(struct s *s) { int ret; ret = middle(s); if (ret) return ret; return 0; }
"""


def test_causes_come_up_through_callees(small: Small) -> None:
    (cause,) = causes(small, CHAIN)
    assert cause.how is How.COLLAPSED and cause.api == "hw"
    assert cause.chain == ("f", "middle", "deepest")
    assert YIELD in cause.marks, "what happened on the way counts"
    assert [step.line for step in cause.steps] == [4, 3, 2, 2]


def test_causes_hold_no_lines(small: Small) -> None:
    assert causes(small, CHAIN) == causes(small, "\n\n/* moved */\n\n" + CHAIN)
    assert [s.line for c in causes(small, CHAIN) for s in c.steps] != [
        s.line for c in causes(small, "\n" + CHAIN) for s in c.steps
    ]


def test_another_cause_is_another_value(small: Small) -> None:
    narrow = CHAIN.replace("if (ret) return -EAGAIN", "if (ret == -ENOENT) return -EAGAIN")
    assert causes(small, CHAIN) != causes(small, narrow)


def long_chain(length: int) -> str:
    lines = ["static int c0(struct s *s) { if (s->busy) return -EAGAIN; return 0; }"]
    lines += [f"static int c{i}(struct s *s) {{ return c{i - 1}(s); }}" for i in range(1, length)]
    return "\n".join([*lines, f"int f(struct s *s) {{ return c{length - 1}(s); }}"]) + "\n"


def test_a_cut_is_part_of_the_answer(small: Small) -> None:
    (whole,) = causes(small, long_chain(DEPTH))
    assert whole.how is How.CONDITION
    (cut,) = causes(small, long_chain(DEPTH + 1))
    assert cut.how is How.HANDED_ON and cut.api == "c0"


def test_who_asked_first_leaves_no_trace(small: Small) -> None:
    program = small(long_chain(5))
    asked_above = Summaries(program)
    asked_above.causes(function(program), "-EAGAIN")
    late = asked_above.causes(function(program, "c3"), "-EAGAIN")
    assert late == Summaries(small(long_chain(5))).causes(function(program, "c3"), "-EAGAIN")
    assert late[0].how is How.CONDITION, "counted from the function that is asked about"


def test_mutual_recursion_ends(small: Small) -> None:
    text = """
static int g(struct s *s);
int f(struct s *s) { if (s->n) return -EAGAIN; return g(s); }
static int g(struct s *s) { return f(s); }
"""
    hows = {cause.how for cause in causes(small, text)}
    assert hows == {How.CONDITION, How.HANDED_ON}, "one reason, and one that says that it met itself"


@pytest.mark.parametrize(
    ("body", "mark", "codes", "sure"),
    [
        ("cond_resched(); return one(s);", YIELD, ANY, True),
        ("if (s->slow) cond_resched(); return one(s);", YIELD, ANY, False),
        ("if (s->slow) cond_resched(); else msleep(1); return one(s);", YIELD, ANY, True),
        ("if (s->busy) { msleep(1); return -EAGAIN; } return 0;", YIELD, AGAIN, True),
        ("if (s->busy) return -EAGAIN; msleep(1); return 0;", YIELD, AGAIN, False),
        ("wait_event(s->wq, s->ready); return -EAGAIN;", WAIT, ANY, True),
        ("mutex_lock(&s->lock); return -EAGAIN;", WEAK, ANY, True),
        ("mutex_lock(&s->lock); return -EAGAIN;", YIELD, ANY, False),
        ("if (s->busy) return -EAGAIN; if (fatal_signal_pending(current)) return -EINTR; return 0;",
         SIGNAL, AGAIN, False),
        ("if (fatal_signal_pending(current)) return -EINTR; if (s->busy) return -EAGAIN; return 0;",
         SIGNAL, AGAIN, True),
        ("if (mmap_read_lock_killable(s->mm)) return -EINTR; return one(s);", SIGNALLED,
         Codes(frozenset({"-EINTR"})), False),
        ("if (!mutex_trylock(&s->lock)) return -EAGAIN; return 0;", "contended", AGAIN, True),
        ("need_resched(); cpu_relax(); udelay(5); return -EAGAIN;", YIELD, ANY, False),
        ("return -EBUSY;", YIELD, AGAIN, False),  # what is not returned at all proves nothing
    ],
)  # fmt: skip
def test_must(small: Small, body: str, mark: str, codes: Codes, sure: bool) -> None:
    assert of_body(small, body).must(mark, codes=codes) is sure


def test_slow_gup_reschedules_for_the_pages_it_got(small: Small) -> None:
    text = "int got = pin_user_pages_remote(s->mm, 0, 1, 0, s->p, 0); if (got > 0) return 1; return -EAGAIN;"
    summary = of_body(small, text)
    assert summary.must(YIELD, codes=Codes(frozenset({"1"}))) and not summary.must(YIELD, codes=AGAIN)
    fast = of_body(small, text.replace("pin_user_pages_remote(s->mm, ", "pin_user_pages_fast("))
    assert not fast.must(YIELD, codes=Codes(frozenset({"1"})))


@pytest.mark.parametrize(("argument", "asks"), [("&u", True), ("NULL", False)])
def test_some_calls_look_at_signals_only_when_asked_to(small: Small, argument: str, asks: bool) -> None:
    """mm/gup.c: fixup_user_fault() sets FAULT_FLAG_KILLABLE only where `unlocked` is given."""
    text = f"bool u = false; if (fixup_user_fault(s->mm, 0, 0, {argument})) return -EFAULT; return -EAGAIN;"
    assert of_body(small, text).must(SIGNAL, codes=AGAIN) is asks


def test_listening_callees(small: Small) -> None:
    program = small(
        "static int ear(struct s *s) { if (signal_pending(current)) return -EINTR; return 0; }\n"
        "static int above(struct s *s) { return ear(s); }\n"
        "static int deaf(struct s *s) { signal_pending(current); return 0; }\n"
    )
    sums = Summaries(program)
    assert sums.listens(function(program, "ear"), 1)
    assert sums.listens(function(program, "above"), 2) and not sums.listens(function(program, "above"), 1)
    assert not sums.listens(function(program, "deaf"), 2), "a look without a way out"


def test_what_could_not_be_followed_is_never_sure(small: Small) -> None:
    many = "".join(f"int v{i} = c{i}(s) ? 1 : 2; " for i in range(9))
    text = f"cond_resched(); {many} return " + " + ".join(f"v{i}" for i in range(9)) + ";"
    summary = of_body(small, text)
    assert summary.cut and not summary.must(YIELD)
