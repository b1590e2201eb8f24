"""The rules about retry loops: each shape they must see, each they must leave alone and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.model.finding import Severity
from lorelint.rule.door import Rule

Ask = Callable[..., Any]
UNBOUNDED, RESCHED, SIGNAL, COLLAPSED = (
    "unbounded-retry",
    "retry-no-resched",
    "retry-no-fatal-signal",
    "errno-collapsed-to-retry",
)
LOOPS = (UNBOUNDED, RESCHED, SIGNAL)

BUSY = "static int attempt(struct s *s)\n{\n\tif (s->busy)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n"


def f(body: str, before: str = BUSY, params: str = "struct s *s") -> str:
    return f"{before}\nint f({params})\n{{\n\tint ret;\n\n{body}\n}}\n"


#: (name, text of the loop). Nothing bounds them, nothing yields, no signal ends them.
BAD = {
    "do while": f("\tdo {\n\t\tret = attempt(s);\n\t} while (ret == -EAGAIN);\n\treturn ret;"),
    "while": f("\twhile ((ret = attempt(s)) == -EAGAIN)\n\t\tcpu_relax();\n\treturn ret;"),
    "for ever": f("\tfor (;;) {\n\t\tret = attempt(s);\n\t\tif (ret != -EAGAIN)\n\t\t\tbreak;\n\t}\n\treturn ret;"),
    "goto": f("again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;"),
    "any error": f("\tdo {\n\t\tret = attempt(s);\n\t} while (ret);\n\treturn ret;"),
    "an unknown callee": f("again:\n\tret = elsewhere(s);\n\tif (ret == -EBUSY)\n\t\tgoto again;\n\treturn ret;"),
    "any error, in the condition": f("\twhile ((ret = attempt(s)))\n\t\tcpu_relax();\n\treturn ret;"),
    "any error, an inner bound": f(
        "\tint i;\n\tdo {\n\t\tfor (i = 0; i < 9; i++)\n\t\t\tnote(s, i);\n\t\tret = attempt(s);\n\t} while (ret);\n"
        "\treturn ret;"
    ),
    "passed on": f(
        "again:\n\tret = above(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        BUSY + "static int above(struct s *s)\n{\n\tint ret = attempt(s);\n\n\tif (ret)\n\t\treturn ret;\n"
               "\treturn 0;\n}\n",
    ),
    "an error pointer": f(
        "\tstruct p *p;\nagain:\n\tp = get(s);\n\tif (PTR_ERR(p) == -EAGAIN)\n\t\tgoto again;\n\treturn 0;",
        "static struct p *get(struct s *s)\n{\n\tif (s->busy)\n\t\treturn ERR_PTR(-EAGAIN);\n\treturn s->p;\n}\n",
    ),
    "a trylock": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EBUSY)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tif (!mutex_trylock(&s->lock))\n\t\treturn -EBUSY;\n\treturn 0;\n}\n",
    ),
    "all failures": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tint ret = look(s);\n\n\tif (ret)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n",
    ),
    "one way of two": f(
        "\tint tries = 9;\nagain:\n\tret = attempt(s);\n\tif (ret == -EBUSY && --tries)\n\t\tgoto again;\n"
        "\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        BUSY.replace("return 0", "return s->late ? -EBUSY : 0"),
    ),
    "a switch": f(
        "again:\n\tswitch (attempt(s)) {\n\tcase -EAGAIN:\n\t\tgoto again;\n\tdefault:\n\t\tbreak;\n\t}\n\treturn 0;"
    ),
    "progress of nothing": f(
        "\tint n = 9;\n\twhile (n) {\n\t\tret = attempt(s);\n\t\tif (ret == -EAGAIN)\n\t\t\tcontinue;\n"
        "\t\tn -= ret;\n\t}\n"
        "\treturn 0;"
    ),
    "not waiting, by its own wish": f(
        "again:\n\tret = attempt(s, true);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s, bool nowait)\n{\n\tif (nowait && s->busy)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;\n}\n",
    ),
    "two things that differ for good": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tif (s->used != s->size)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n",
    ),
    "a count that is not what is asked about": f(
        "again:\n\tret = attempt(s);\n\ts->tries++;\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;"
    ),
    "a bit set again and again": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN) {\n\t\tmask |= 4;\n\t\tgoto again;\n\t}\n\tif (mask)\n"
        "\t\tnote(s);\n\treturn ret;",
        params="struct s *s, int mask",
    ),
    "another object passed by on the way": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tif (s->bd_gl != s->gl)\n\t\tnote(s);\n\tif (s->busy)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;\n}\n",
    ),
    "a local put right": f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tstruct p *p = s->p;\n\n\tif (!p) {\n\t\tp = NULL;\n"
        "\t\treturn -EAGAIN;\n\t}\n\treturn 0;\n}\n",
    ),
    "a latch that is only told of": f(
        "\tbool held = false;\nagain:\n\tret = attempt(s);\n\tif (held)\n\t\tnote(s);\n\tif (ret == -EAGAIN) {\n"
        "\t\theld = true;\n\t\tgoto again;\n\t}\n\treturn ret;"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("rule", LOOPS)
def test_the_loops_they_must_see(ask: Ask, rule: str, name: str) -> None:
    finding = ask(rule, BAD[name]).finding
    assert finding.severity is Severity.WARNING
    assert finding.steps[0].function if hasattr(finding.steps[0], "function") else finding.steps
    assert [step.path for step in finding.steps] == ["drivers/demo/a.c"] * len(finding.steps)
    assert finding.concern and finding.advice and "f()" in finding.message


def test_one_loop_is_one_concern(ask: Ask) -> None:
    assert len({ask(rule, BAD["goto"]).finding.concern for rule in LOOPS}) == 1


@pytest.mark.parametrize(
    ("version", "severity"), [((5, 10), Severity.WARNING), ((6, 12), Severity.WARNING), ((7, 2), Severity.NOTE)]
)
def test_a_yield_matters_less_where_the_kernel_preempts(ask: Ask, version: tuple[int, int], severity: Severity) -> None:
    finding = ask(RESCHED, BAD["goto"], version=version).finding
    assert finding.severity is severity
    assert any("PREEMPT_LAZY" in fact for fact in finding.facts) is (severity is Severity.NOTE)


def test_contended_locks_are_weak_yields(ask: Ask) -> None:
    text = BAD["goto"].replace("again:\n", "again:\n\tmutex_lock(&s->lock);\n\tmutex_unlock(&s->lock);\n")
    assert ask(RESCHED, text).finding.confidence == 0.5
    assert ask(RESCHED, BAD["goto"]).finding.confidence == 0.8


def test_mmap_lock_over_the_loop_is_said(ask: Ask) -> None:
    text = BAD["goto"].replace("again:", "\tmmap_read_lock(s->mm);\nagain:").replace(
        "\treturn ret;\n}\n", "\tmmap_read_unlock(s->mm);\n\treturn ret;\n}\n"
    )  # fmt: skip
    assert any("mmap_lock is held" in fact for fact in ask(UNBOUNDED, text).finding.facts)
    assert ask(SIGNAL, text).finding.severity is Severity.ERROR, "others wait for that lock"


KILLABLE = """
static int attempt(struct s *s)
{
	bool unlocked = false;
	int ret = fixup_user_fault(s->mm, s->addr, 0, &unlocked);

	if (ret)
		return ret;
	if (look(s) < 0)
		return -EAGAIN;
	return 0;
}
"""


def test_what_makes_a_loop_killable_is_a_remark(ask: Ask) -> None:
    text = f("again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;", KILLABLE)
    said = ask(SIGNAL, text)
    assert not said.fires
    (remark,) = said.remarks
    assert remark.severity is Severity.NOTE and "fixup_user_fault() looks at fatal signals" in remark.message
    assert len(remark.steps) == 2 and "-EINTR" in remark.steps[1].text
    assert ask(UNBOUNDED, text).fires
    deaf = text.replace("&unlocked", "NULL")
    assert ask(SIGNAL, deaf).fires, "without a place for `unlocked` it does not look at signals"


def test_a_callee_that_turns_killed_into_again_is_no_way_out(ask: Ask) -> None:
    text = f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s)\n{\n\tif (wait_event_killable(s->wq, s->ready))\n\t\treturn -EAGAIN;\n"
        "\treturn 0;\n}\n",
    )
    assert ask(SIGNAL, text).fires
    assert "signal stays pending" in ask(UNBOUNDED, text).finding.message


def test_the_severity_of_what_sleeps_and_can_be_killed_elsewhere(ask: Ask) -> None:
    sleeps = BAD["goto"].replace("again:\n", "again:\n\tmsleep(10);\n")
    assert ask(UNBOUNDED, sleeps).finding.severity is Severity.WARNING, "a user's task never leaves"
    work = sleeps.replace("int f(", "static int f(") + (
        "static void work(struct work_struct *w)\n{\n\tf(container_of(w, struct s, w));\n}\n"
        "void init(struct s *s)\n{\n\tINIT_WORK(&s->w, work);\n}\n"
    )
    assert ask(UNBOUNDED, work).finding.severity is Severity.NOTE
    atomic = BAD["goto"].replace("again:", "\tspin_lock(&s->lock);\nagain:")
    assert ask(UNBOUNDED, atomic).finding.severity is Severity.ERROR


def test_a_lock_that_is_dropped_for_a_while_is_not_held_over_the_loop(ask: Ask) -> None:
    dropped = "\tmmap_read_unlock(s->mm);\n\trelax(s);\n\tmmap_read_lock(s->mm);\n"
    text = BAD["goto"].replace("again:\n", "\tmmap_read_lock(s->mm);\nagain:\n" + dropped)
    assert not any("mmap_lock" in fact for fact in ask(UNBOUNDED, text).finding.facts)


def test_a_callers_lock_that_the_loop_drops_is_not_held_over_it(ask: Ask) -> None:
    under = "\nint g(struct s *s)\n{\n\tint r;\n\n\tspin_lock(&s->lock);\n\tr = f(s);\n"
    under += "\tspin_unlock(&s->lock);\n\treturn r;\n}\n"
    text = BAD["goto"].replace("int f(", "static int f(") + under
    assert ask(UNBOUNDED, text).finding.severity is Severity.ERROR
    drops = text.replace("again:\n", "again:\n\tspin_unlock(&s->lock);\n\trelax(s);\n\tspin_lock(&s->lock);\n")
    assert ask(UNBOUNDED, drops).finding.severity is Severity.WARNING


def loop(again: str, callee: str = BUSY, first: str = "", code: str = "-EAGAIN") -> str:
    """``again`` stands at the head of a goto loop on `code`."""
    return f(f"{first}again:\n{again}\tret = attempt(s);\n\tif (ret == {code})\n\t\tgoto again;\n\treturn ret;", callee)


CALLEE = "static int attempt(struct s *s)\n{\n%s\n}\n"

#: name -> (rules that must be silent, text, words of the reason)
GOOD: dict[str, tuple[tuple[str, ...], str, str]] = {
    "counter": (LOOPS, f("\tint t = 5;\n\tdo {\n\t\tret = attempt(s);\n\t} while (ret == -EAGAIN && --t);\n"
                         "\treturn ret;"),
                "bounded: t is changed and tested"),
    "clock": (LOOPS, f("\tunsigned long end = jiffies + HZ;\nagain:\n\tret = attempt(s);\n"
                       "\tif (ret == -EAGAIN && !time_after(jiffies, end))\n\t\tgoto again;\n\treturn ret;"),
              "bounded by a clock"),
    "ktime": (LOOPS, f("\tktime_t end = ktime_add_ms(ktime_get(), 5);\nagain:\n\tret = attempt(s);\n"
                       "\tif (ret == -EAGAIN && ktime_before(ktime_get(), end))\n\t\tgoto again;\n\treturn ret;"),
              "bounded by a clock"),
    "deadline": (LOOPS, f("\tunsigned long end = jiffies + HZ;\nagain:\n\tret = attempt(s, end);\n"
                          "\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;"), "deadline handed to attempt()"),
    "latch": (LOOPS, f("\tbool drained = false;\nagain:\n\tret = attempt(s);\n\tif (ret == -EAGAIN && !drained) {\n"
                       "\t\tdrained = true;\n\t\tgoto again;\n\t}\n\treturn ret;"), "drained"),
    "FAULT_FLAG_TRIED": (LOOPS, f(
        "\tunsigned int flags = 0;\nagain:\n\tret = handle_mm_fault(s->vma, s->addr, flags, NULL);\n"
        "\tif (ret & VM_FAULT_RETRY) {\n\t\tflags |= FAULT_FLAG_TRIED;\n\t\tgoto again;\n\t}\n\treturn ret;"),
        "FAULT_FLAG_TRIED"),
    "interval notifier": (LOOPS, f(
        "\tunsigned long seq;\nagain:\n\tseq = mmu_interval_read_begin(&s->n);\n\tmutex_lock(&s->lock);\n"
        "\tif (mmu_interval_read_retry(&s->n, seq)) {\n\t\tmutex_unlock(&s->lock);\n\t\tgoto again;\n\t}\n"
        "\tmutex_unlock(&s->lock);\n\treturn 0;"), ""),
    "a sequence check in the callee": (LOOPS, loop("", CALLEE %
        "\tif (mmu_interval_read_retry(&s->n, s->seq))\n\t\treturn -EAGAIN;\n\treturn 0;"), "sequence"),
    "seqcount": (LOOPS, f("\tunsigned int seq;\n\tdo {\n\t\tseq = read_seqbegin(&s->seq);\n\t\tret = s->v;\n"
                          "\t} while (read_seqretry(&s->seq, seq));\n\treturn ret;"), ""),
    "u64_stats": (LOOPS, f("\tunsigned int seq;\n\tdo {\n\t\tseq = u64_stats_fetch_begin(&s->seq);\n\t\tret = s->v;\n"
                           "\t} while (u64_stats_fetch_retry(&s->seq, seq));\n\treturn ret;"), ""),
    "cmpxchg": (LOOPS, f("\tint old = s->v;\n\tdo {\n\t\tret = old + 1;\n\t} while (!try_cmpxchg(&s->v, &old, ret));\n"
                         "\treturn ret;"), ""),
    "cmpxchg, the old way": (LOOPS, f("\tint old;\n\tdo {\n\t\told = s->v;\n"
                                      "\t} while (cmpxchg(&s->v, old, 1) != old);\n"
                                      "\treturn 0;"), ""),
    "xas_nomem": (LOOPS, f("\tdo {\n\t\txas_lock(&s->xas);\n\t\txas_store(&s->xas, s);\n\t\txas_unlock(&s->xas);\n"
                           "\t} while (xas_nomem(&s->xas, GFP_KERNEL));\n\treturn xas_error(&s->xas);"), ""),
    "xas_retry": (LOOPS, f("\tvoid *e;\n\tdo {\n\t\te = xas_load(&s->xas);\n\t} while (xas_retry(&s->xas, e));\n"
                           "\treturn 0;"),
                  ""),
    "wait/wound": (LOOPS, f("again:\n\tret = dma_resv_lock_slow_interruptible(s->resv, &s->ctx);\n\tif (ret)\n"
                            "\t\treturn ret;\n"
                            "\tret = dma_resv_lock(s->other, &s->ctx);\n\tif (ret == -EDEADLK)\n\t\tgoto again;\n"
                            "\treturn ret;"), ""),
    "drm_exec": (LOOPS, f("\tdrm_exec_until_all_locked(&s->exec) {\n\t\tret = drm_exec_lock_obj(&s->exec, s->obj);\n"
                          "\t\tdrm_exec_retry_on_contention(&s->exec);\n\t\tif (ret)\n\t\t\tbreak;\n\t}\n"
                          "\treturn ret;"),
                 "wait/wound"),
    "xenbus": ((UNBOUNDED, RESCHED), f(
        "\tstruct xenbus_transaction xbt;\nagain:\n\tret = xenbus_transaction_start(&xbt);\n\tif (ret)\n"
        "\t\treturn ret;\n"
        "\tret = xenbus_transaction_end(xbt, 0);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;"), ""),
    "slept on the contended lock": ((UNBOUNDED,), loop("", CALLEE % (
        "\tif (!mutex_trylock(&s->lock)) {\n\t\tmutex_lock(&s->lock);\n\t\tmutex_unlock(&s->lock);\n"
        "\t\treturn -EAGAIN;\n\t}\n"
        "\tmutex_unlock(&s->lock);\n\treturn 0;")), "slept on the contended lock"),
    "waited for what it complains about": ((UNBOUNDED, RESCHED), loop("", CALLEE % (
        "\tif (s->busy) {\n\t\twait_event(s->wq, !s->busy);\n\t\treturn -EAGAIN;\n\t}\n\treturn 0;")), "slept on what"),
    "the lock was dropped": (LOOPS, loop("", CALLEE % (
        "\tbool unlocked = false;\n\tint ret = fixup_user_fault(s->mm, s->a, 0, &unlocked);\n\n\tif (unlocked)\n"
        "\t\treturn -EAGAIN;\n\treturn ret;")), "restart, not a retry"),
    "the repair succeeded": (LOOPS, loop("", CALLEE % (
        "\tint rc = follow_it(s);\n\n\tif (rc) {\n\t\trc = fixup_user_fault(s->mm, s->a, 0, NULL);\n"
        "\t\trc = !rc ? -EAGAIN : rc;\n\t}\n\treturn rc;")), "had succeeded"),
    "the repair succeeded, in the loop": (LOOPS, f(
        "again:\n\tret = copy_it(s);\n\tif (ret) {\n\t\tret = fixup_user_fault(s->mm, s->a, 0, NULL);\n\t\tif (!ret)\n"
        "\t\t\tgoto again;\n\t}\n\treturn ret;"), "had succeeded"),
    "yields and can be killed": ((UNBOUNDED, RESCHED, SIGNAL),
        loop("\tif (fatal_signal_pending(current))\n\t\treturn -EINTR;\n\tcond_resched();\n"), ""),
    "an entry read without its lock": (LOOPS, loop("", CALLEE % (
        "\tpte_t *p = pte_offset_map_lock(s->mm, s->pmd, s->a, &s->ptl);\n\n\tif (!p)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;")),
        "sequence check"),
    "an iterator": (LOOPS, f(
        "\tstruct e *e;\n\tlist_for_each_entry(e, &s->all, node) {\n\t\tret = attempt(s);\n\t\tif (ret == -EAGAIN)\n"
        "\t\t\tcontinue;\n\t}\n\treturn 0;"), ""),
    "a loop of work": (LOOPS, f(
        "\twhile (s->more) {\n\t\tret = attempt(s);\n\t\tif (ret == -EAGAIN)\n\t\t\tnote(s);\n\t\tstep(s);\n\t}\n"
        "\treturn 0;"), ""),
    "the next item after a failure": (LOOPS, f(
        "\tfor (; n != s->head;) {\n\t\tn = step(s, n);\n\t\tdo {\n\t\t\tret = elsewhere(s, n);\n"
        "\t\t} while (!ret);\n\t}\n"
        "\treturn 0;", "", "struct s *s, int n"), ""),
    "a macro that counts": (LOOPS, f("\tdo {\n\t\tret = take(s);\n\t} while (ret);\n\treturn 0;",
        "#define take(s) \\\n({ (s)->in - (s)->out; })\n"), ""),
    "work that fails in place": (LOOPS, f(
        "\tdo {\n\t\tif (elsewhere(s) < 0)\n\t\t\tnote(s);\n\t} while (s->more);\n\treturn 0;"), ""),
    "a cursor by find_next": (LOOPS, f(
        "\tint at = 0;\n\twhile (1) {\n\t\tat = find_next_zero_bit(s->map, s->size, at);\n\t\tif (at >= s->size)\n"
        "\t\t\tbreak;\n\t\tret = attempt(s);\n\t\tif (ret == -EAGAIN) {\n\t\t\tat++;\n\t\t\tcontinue;\n\t\t}\n"
        "\t\treturn ret;\n\t}\n\treturn -ENOSPC;"), "bounded: at"),
    "a lock from the second pass on": (LOOPS, f(
        "\tbool held = false;\nagain:\n\tif (held)\n\t\trtnl_lock();\n\tret = attempt(s);\n\tif (held)\n"
        "\t\trtnl_unlock();\n\tif (ret == -EAGAIN) {\n\t\theld = true;\n\t\tgoto again;\n\t}\n\treturn ret;"),
        "bounded: held"),
    "forward": (LOOPS, f("\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto out;\n\tstep(s);\nout:\n"
                         "\treturn ret;"), ""),
    "the code is never given": (LOOPS, loop("", code="-EBUSY"), "cannot return -EBUSY"),
    # retry-no-resched
    "a yield": ((RESCHED,), loop("\tcond_resched();\n"), "every path round gives up the CPU"),
    "a yield in a callee": ((RESCHED,), loop("\tbreathe(s);\n", BUSY + "static void breathe(struct s *s)\n{\n"
                                                                       "\tmsleep(1);\n}\n"),
                            "every path round gives up the CPU"),
    "a yield on the way to the code": ((RESCHED,), loop("", CALLEE %
        "\tif (s->busy) {\n\t\tschedule();\n\t\treturn -EAGAIN;\n\t}\n"
        "\treturn 0;"), "every path round gives up the CPU"),
    "a spinlock held": ((RESCHED, SIGNAL), loop("", first="\tspin_lock(&s->lock);\n"), "with spinlock held"),
    "interrupts off": ((RESCHED, SIGNAL), loop("", first="\tlocal_irq_disable();\n"), "held"),
    "interrupts off for the caller": ((RESCHED,), f(
        "again:\n\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;", BUSY,
        "struct s *s, unsigned long *irq_flags"), "interrupts saved"),
    "an rcu reader": ((RESCHED, SIGNAL), loop("", first="\trcu_read_lock();\n"), "with rcu held"),
    "guarded": ((RESCHED, SIGNAL), loop("", first="\tguard(spinlock)(&s->lock);\n"), "with spinlock held"),
    "slow gup": ((RESCHED,), f(
        "\twhile (n) {\n\t\tret = pin_user_pages(s->addr, n, 0, s->pages);\n\t\tif (ret <= 0)\n\t\t\treturn ret;\n"
        "\t\tn -= ret;\n\t\ts->addr += ret * PAGE_SIZE;\n\t}\n\treturn 0;", "", "struct s *s, unsigned long n"),
        "every way round gives up the CPU"),
    # retry-no-fatal-signal
    "a killable lock": ((SIGNAL,), loop("\tif (mutex_lock_killable(&s->lock))\n\t\treturn -EINTR;\n"
                                        "\tmutex_unlock(&s->lock);\n"),
                        "a signal check on every path"),
    "an interruptible lock": ((SIGNAL,), f(
        "\tdo {\n\t\tret = mutex_lock_interruptible(&s->lock);\n\t\tif (ret)\n\t\t\treturn ret;\n"
        "\t\tret = attempt(s);\n"
        "\t\tmutex_unlock(&s->lock);\n\t} while (ret == -EAGAIN);\n\treturn ret;"), "a signal check on every path"),
    "signal_pending": ((SIGNAL,), loop("\tif (signal_pending(current))\n\t\treturn -ERESTARTSYS;\n"), "a signal check"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, (rules, _, _) in GOOD.items() for rule in rules])
def test_what_they_leave_alone(ask: Ask, name: str, rule: str) -> None:
    _, text, reason = GOOD[name]
    said = ask(rule, text)
    assert not said.fires, said.outcome.defects[0].message
    assert reason in said.reasons, said.reasons


@pytest.mark.parametrize(
    "how", ["INIT_WORK(&s->w, work)", 'kthread_run(work, s, "w")', "request_irq(1, work, 0, 0, s)"]
)
def test_no_signals_reach_the_kernels_own_tasks(ask: Ask, how: str) -> None:
    text = BAD["goto"].replace("int f(", "static int f(") + (
        f"static void work(struct work_struct *w)\n{{\n\tf(container_of(w, struct s, w));\n}}\n"
        f"void init(struct s *s)\n{{\n\t{how};\n}}\n"
    )
    said = ask(SIGNAL, text)
    assert not said.fires and "no signals there" in said.reasons
    assert ask(UNBOUNDED, text).fires, "it still has no end"


@pytest.mark.parametrize("fake", ["cpu_relax()", "udelay(5)", "mdelay(5)", "need_resched()", "touch_nmi_watchdog()"])
def test_what_is_no_yield(ask: Ask, fake: str) -> None:
    assert ask(RESCHED, loop(f"\t{fake};\n")).fires


@pytest.mark.parametrize(
    "api", ["pin_user_pages_fast(s->addr, 1, 0, s->pages)", "get_user_pages_fast(s->addr, 1, 0, s->pages)"]
)
def test_fast_gup_does_not_yield(ask: Ask, api: str) -> None:
    body = f"\twhile (n) {{\n\t\tret = {api};\n\t\tif (ret <= 0)\n\t\t\treturn ret;\n\t\tn--;\n\t}}\n\treturn 0;"
    assert "pages of a user's range" in ask(RESCHED, f(body, "", "struct s *s, unsigned long n")).finding.message


@pytest.mark.parametrize("api", ["handle_mm_fault(vma, addr, 0, NULL)", "fixup_user_fault(s->mm, addr, 0, NULL)"])
def test_a_range_that_is_brought_in_page_by_page(ask: Ask, api: str) -> None:
    body = (
        f"\twhile (addr < end) {{\n\t\tret = {api};\n\t\tif (ret < 0)\n\t\t\treturn ret;\n"
        "\t\taddr += PAGE_SIZE;\nYIELD\t}\n\treturn 0;"
    )
    params = "struct s *s, unsigned long addr, unsigned long end"
    assert ask(RESCHED, f(body.replace("YIELD", ""), "", params)).fires
    assert not ask(RESCHED, f(body.replace("YIELD", "\t\tcond_resched();\n"), "", params)).fires


# -- errno-collapsed-to-retry

TWO_WAYS = """
static int look(struct s *s)
{
	if (s->bad)
		return -EINVAL;
	if (s->gone)
		return -ENOENT;
	return 0;
}
"""
LOOPER = """
int g(struct s *s)
{
	int ret, t = 9;

	do {
		ret = f(s);
	} while (ret == -EAGAIN && --t);
	return ret;
}
"""


def collapse(body: str, callee: str = TWO_WAYS, looper: str = LOOPER) -> str:
    return f(body, callee) + looper


@pytest.mark.parametrize(
    "test",
    ["ret = look(s);\n\tif (ret)", "ret = look(s);\n\tif (ret < 0)", "if ((ret = look(s)) != 0)", "if (look(s) < 0)",
     "ret = elsewhere(s);\n\tif (ret)"],
)  # fmt: skip
def test_a_collapse(ask: Ask, test: str) -> None:
    finding = ask(COLLAPSED, collapse(f"\t{test}\n\t\treturn -EAGAIN;\n\treturn 0;")).finding
    assert finding.severity is Severity.WARNING and finding.confidence == 0.9
    assert "into -EAGAIN, and g() retries on that" in finding.message


HANDS_ON = "static int over(struct s *s)\n{{\n\tint ret = f(s);\n\n{then}\treturn ret;\n}}\n"
ENDLESS = LOOPER.replace("f(s)", "over(s)").replace(" && --t", "")


def test_a_collapse_that_a_caller_hands_on(ask: Ask) -> None:
    """Who loops is two calls up; where the caller between says -EAGAIN for reasons of its own, it is not about this."""
    said = ask(COLLAPSED, collapse(PLAIN, looper=HANDS_ON.format(then="") + ENDLESS))
    assert "into -EAGAIN, and g() retries on that" in said.finding.message
    own = "\tif (ret)\n\t\treturn ret == -EAGAIN ? -EIO : ret;\n\tif (s->busy)\n\t\treturn -EAGAIN;\n"
    assert not ask(COLLAPSED, collapse(PLAIN, looper=HANDS_ON.format(then=own) + ENDLESS)).fires


def test_a_collapse_lists_the_ways_of_the_callee(ask: Ask) -> None:
    finding = ask(COLLAPSED, collapse("\tret = look(s);\n\tif (ret)\n\t\treturn -EAGAIN;\n\treturn 0;")).finding
    assert "look() fails in 2 places with -EINVAL and -ENOENT" in finding.facts


PLAIN = "\tret = look(s);\n\tif (ret)\n\t\treturn -EAGAIN;\n\treturn 0;"
NO_COLLAPSE: dict[str, tuple[str, str]] = {
    "the cause is named": (collapse(
        "\tbool unlocked = false;\n\tret = fixup_user_fault(s->mm, 0, 0, &unlocked);\n\tif (unlocked)\n"
        "\t\treturn -EAGAIN;\n"
        "\treturn ret;"), "names its cause: fixup_user_fault() dropped the lock"),
    "one code is mapped": (collapse("\tret = look(s);\n\tif (ret == -ENOENT)\n\t\treturn -EAGAIN;\n\treturn ret;"),
                           "stands for one result of look()"),
    "success means again": (collapse("\tret = look(s);\n\treturn !ret ? -EAGAIN : ret;"), "after look() succeeded"),
    "a trylock": (collapse("\tif (!mutex_trylock(&s->lock))\n\t\treturn -EAGAIN;\n"
                           "\treturn 0;"), "what a failed mutex_trylock() means"),
    "nobody loops": (collapse(PLAIN, looper=""), "no caller that was seen goes round on -EAGAIN"),
    "the callers loop on something else": (collapse(PLAIN, looper=LOOPER.replace("-EAGAIN", "-EBUSY")), "no caller"),
    "one way only": (collapse(PLAIN, "static int look(struct s *s)\n{\n\tif (s->bad)\n\t\treturn -EINVAL;\n"
                                     "\treturn 0;\n}\n"),
                     "fails in one way only"),
    "a condition of its own": (collapse("\tif (s->busy)\n\t\treturn -EAGAIN;\n"
                                        "\treturn look(s);"), "condition of its own"),
    "the one error is named": (collapse("\tret = look(s);\n\tif (ret) {\n\t\tWARN_ON(ret != -ENOENT);\n"
                                        "\t\treturn -EAGAIN;\n\t}\n\treturn 0;"), "one result of look()"),
    "interrupted": (collapse("\tif (mutex_lock_interruptible(&s->lock))\n\t\treturn -EAGAIN;\n"
                             "\treturn 0;"), "interrupted"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_COLLAPSE)
def test_no_collapse(ask: Ask, name: str) -> None:
    text, reason = NO_COLLAPSE[name]
    said = ask(COLLAPSED, text)
    assert not said.fires, said.outcome.defects[0].message
    assert reason in said.reasons, said.reasons


def test_a_fault_handler_tells_the_cpu_to_fault_again(ask: Ask) -> None:
    """VM_FAULT_NOPAGE is no code on which a function loops."""
    text = collapse("\tret = look(s);\n\tif (ret == -EBUSY)\n\t\treturn VM_FAULT_NOPAGE;\n\treturn VM_FAULT_SIGBUS;")
    assert not ask(COLLAPSED, text).fires


# -- the twenty cases


@pytest.mark.needs_shared
def test_the_twenty_cases(shared: Path, rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    """bad: all three rules about loops speak; ok: at least one of them is silent."""
    text = (shared / "corpora" / "cases" / "eagain_cases.c").read_text()
    program = desk.program(text)
    names = re.findall(r"^[\w ]*\b(c\d\d_\w+_(?:bad|ok))\(", text, re.M)
    assert len(names) == 20
    wrong = {}
    for name in names:
        speak = [rule for rule in LOOPS if desk.judge(program, rules[rule], name).fires]
        if (len(speak) == len(LOOPS)) is not name.endswith("_bad"):
            wrong[name] = speak
    assert not wrong
