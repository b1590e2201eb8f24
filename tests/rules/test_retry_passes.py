"""What one pass of a retry loop leaves to the next, and what firmware, contexts and callees say of it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.rule.door import Rule

UNBOUNDED, RESCHED, SIGNAL = "unbounded-retry", "retry-no-resched", "retry-no-fatal-signal"
Ask = Callable[..., Any]

ATTEMPT = "static int attempt(struct s *s)\n{\n\tif (s->busy)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n"


def f(body: str, above: str = ATTEMPT) -> str:
    return f"{above}int f(struct s *s)\n{{\n\tunsigned long flags;\n\tint ret = 0;\n\n{body}\n\treturn ret;\n}}\n"


def do(
    first: str = "", last: str = "", *, call: str = "attempt(s)", code: str = "-EAGAIN", above: str = ATTEMPT
) -> str:
    return f(f"\tdo {{\n{first}\t\tret = {call};\n{last}\t}} while (ret == {code});", above)


def test_a_pass_that_comes_after_a_failure_sleeps_first(ask: Ask) -> None:
    """Only the first pass finds ``ret`` clear; whoever comes round has it set, and sleeps."""
    assert ask(RESCHED, do()).fires
    assert not ask(RESCHED, do("\t\tif (ret)\n\t\t\tmsleep(10);\n")).fires
    assert not ask(RESCHED, do("\t\tif (ret == -EAGAIN)\n\t\t\tmsleep(10);\n")).fires
    assert ask(RESCHED, do("\t\tif (ret == -ENOMEM)\n\t\t\tmsleep(10);\n")).fires


HCALL = "plpar_hcall_norets(H_FREE_CRQ, s->unit)"


def test_firmware_that_is_busy(ask: Ask) -> None:
    """A hypercall says H_BUSY, a positive number: to spin on it is a retry; to sleep between the calls is how it is done,
    and it has to be finished even after SIGKILL."""
    spin = do(call=HCALL, code="H_BUSY")
    assert ask(UNBOUNDED, spin).fires and ask(RESCHED, spin).fires
    assert "has to be finished" in ask(SIGNAL, spin).reasons
    sleeps = do(last="\t\tif (ret == H_BUSY)\n\t\t\tmsleep(1);\n", call=HCALL, code="H_BUSY")
    for rule in (UNBOUNDED, RESCHED, SIGNAL):
        assert not ask(rule, sleeps).fires
    assert not ask(UNBOUNDED, do(call=HCALL, code="H_PARAMETER")).fires


def test_a_wrapper_of_a_header_polls_for_whoever_calls_it(
    ask: Ask, rules: dict[str, Rule], desk: SimpleNamespace
) -> None:
    """It is called under spinlocks too: what it may do meanwhile its callers know."""
    wrapper = (
        "static inline long flush(unsigned long id)\n{\n\tlong rc;\n\n\tdo {\n"
        "\t\trc = plpar_hcall_norets(H_FLUSH, id);\n\t} while (rc == H_BUSY);\n\treturn rc;\n}\n"
    )
    assert ask(UNBOUNDED, wrapper, "flush").fires
    user = '#include "flush.h"\nlong f(unsigned long id)\n{\n\treturn flush(id);\n}\n'
    for rule in (UNBOUNDED, RESCHED):
        program = desk.program({"drivers/demo/flush.h": wrapper, "drivers/demo/a.c": user})
        said = desk.judge(program, rules[rule], "flush", "drivers/demo/flush.h")
        assert not said.fires and "for callers of any context" in said.reasons


SAVED = (
    "\tdo {\n\t\tspin_lock_irqsave(&s->lock, flags);\n\t\tret = attempt(s);\n"
    "\t\tspin_unlock_irqrestore(&s->lock, flags);\n\t\tcpu_relax();\n\t} while (ret == -EAGAIN);\n"
)


def test_interrupts_are_on_where_a_mutex_is_held(ask: Ask) -> None:
    """Who saves the interrupt state may have been called with interrupts off; not so where it has just slept."""
    assert "interrupts saved" in ask(RESCHED, f(SAVED)).reasons
    assert ask(RESCHED, f(f"\tmutex_lock(&s->io);\n{SAVED}\tmutex_unlock(&s->io);")).fires
    spin = f"\tspin_lock(&s->io);\n{SAVED}\tspin_unlock(&s->io);"
    assert not ask(RESCHED, f(spin)).fires


@pytest.mark.parametrize("rule", [UNBOUNDED, SIGNAL])
def test_a_question_about_the_code_alone_ends_nothing(ask: Ask, rule: str) -> None:
    """``may_retry(ret)`` says the same of the same code each time; ``more(s)`` may well change its mind."""
    way = "\tdo {{\n\t\tret = attempt(s);\n\t\tif (ret == -EAGAIN && !{asked})\n\t\t\tbreak;\n\t}} while (ret == -EAGAIN);"
    assert ask(rule, f(way.format(asked="may_retry(ret)"))).fires
    assert "goes on only while" in ask(rule, f(way.format(asked="more(s)"))).reasons


FAULT_IN = (
    "int f(struct s *s, struct fault *f)\n{{\n\tint ret = -EAGAIN;\n\n\twhile (ret == -EAGAIN) {{\n"
    "\t\tf->pfn = fault_in(s, f->gfn);\n{asked}"
    "\t\tspin_lock(&s->lock);\n\t\tret = attempt(s);\n\t\tspin_unlock(&s->lock);\n\t}}\n\treturn ret;\n}}\n"
)


def test_a_value_that_says_that_a_signal_is_pending(ask: Ask) -> None:
    """The callee looked at signals; its answer is asked for it, and -EINTR returned."""
    told = "\t\tif (is_sigpending_pfn(f->pfn))\n\t\t\treturn -EINTR;\n"
    assert not ask(SIGNAL, ATTEMPT + FAULT_IN.format(asked=told)).fires
    for deaf in ("", told.replace("-EINTR", "-EFAULT"), told.replace("is_sigpending_pfn", "is_error_pfn")):
        assert ask(SIGNAL, ATTEMPT + FAULT_IN.format(asked=deaf)).fires


def test_a_callee_that_asks_such_a_value_first(ask: Ask) -> None:
    """Whatever else the value says, it did not say that a signal is pending."""
    callee = (
        "static int link(struct s *s)\n{\n\tunsigned long pfn;\n\n\tpfn = fault_in(s, 0);\n"
        "\tif (pfn == NEEDS_IO)\n\t\treturn -EAGAIN;\n\tif (is_sigpending_pfn(pfn))\n\t\treturn -EINTR;\n\treturn 0;\n}\n"
    )
    assert not ask(SIGNAL, do(call="link(s)", above=callee)).fires
    deaf = callee.replace("\tif (is_sigpending_pfn(pfn))\n\t\treturn -EINTR;\n", "")
    assert ask(SIGNAL, do(call="link(s)", above=deaf)).fires


NAPS = """int f(struct s *s)
{{
	unsigned long left;
	int tries = 5;

	while ({lock}(&s->lock) && tries > 0) {{
		left = {sleep}(20);
		if ({test})
			{then};
	}}
	return tries;
}}
"""


@pytest.mark.parametrize("rule", [UNBOUNDED, RESCHED, SIGNAL, "interrupted-wait-retried"])
def test_a_sleep_that_a_signal_cuts_short_counts_nothing(rule: str, ask: Ask) -> None:
    """The signal that makes the lock fail makes the sleep return at once: that pass neither rests nor counts."""

    def asked(
        lock: str = "mutex_lock_interruptible",
        sleep: str = "msleep_interruptible",
        test: str = "!left",
        then: str = "tries--",
    ) -> Any:
        return ask(rule, NAPS.format(lock=lock, sleep=sleep, test=test, then=then))

    assert asked().fires
    assert not asked(then="break", test="left").fires, "the signal leaves"
    assert not asked(test="tries").fires, "each pass counts"
    assert not asked(lock="mutex_lock_other").fires, "whether it fails for a signal is not known"


def test_how_long_it_slept_is_not_what_it_retries(ask: Ask) -> None:
    """A test of what is left of a sleep does not hide the failure before it; one that leaves is a look at signals."""
    for sleep in ("msleep_interruptible", "schedule_timeout_interruptible"):
        leaves = do(last=f"\t\tif (ret == -EAGAIN && {sleep}(5))\n\t\t\treturn -EINTR;\n")
        assert not ask(UNBOUNDED, leaves).fires and not ask(SIGNAL, leaves).fires
        goes_on = leaves.replace("return -EINTR", "s->n = 0")
        assert ask(UNBOUNDED, goes_on).fires and ask(SIGNAL, goes_on).fires


def test_a_call_that_went_well_but_for_what_it_stored(ask: Ask) -> None:
    """``ret`` says whether the message went out, ``status`` what the other machine made of it."""
    body = (
        "\tint status;\nagain:\n\tret = send(s, &status);\n\tif (ret >= 0)\n\t\tret = status;\n"
        "\tif (ret == -EAGAIN{more}) {{\n\t\tmsleep(100);\n\t\tgoto again;\n\t}}\n"
    )
    assert ask(UNBOUNDED, f(body.format(more=""))).fires
    assert ask(UNBOUNDED, f(body.format(more=" || ret == EAGAIN"))).fires
    assert not ask(UNBOUNDED, f(body.format(more=" || ret == 0"))).fires, "what succeeded is done again: work"


@pytest.mark.parametrize("how", ["netif_napi_add(s->dev, &s->napi, poll)", "request_irq(1, poll, 0, 0, s)"])
def test_nothing_may_sleep_in_an_interrupt_or_softirq(ask: Ask, how: str) -> None:
    text = do().replace("int f(", "static int f(") + "static int poll(struct s *s)\n{\n\treturn f(s);\n}\n"
    said = ask(RESCHED, text + f"void init(struct s *s)\n{{\n\t{how};\n}}\n")
    assert not said.fires and "only from interrupts and softirqs" in said.reasons
    both = text + f"void init(struct s *s)\n{{\n\t{how};\n\tpoll(s);\n}}\n"
    assert ask(RESCHED, both).fires, "one way in that may sleep is enough"
    threaded = text + "void init(struct s *s)\n{\n\trequest_threaded_irq(1, 0, poll, 0, 0, s);\n}\n"
    assert ask(RESCHED, threaded).fires, "the thread of an interrupt may sleep"


POLL = (
    "static int poll(struct s *s)\n{{\n{wound}\twhile (s->busy) {{\n\t\tif (time_after(jiffies, {end}))\n"
    "\t\t\treturn -EBUSY;\n\t\tcpu_relax();\n\t}}\n\treturn 0;\n}}\n"
)


def test_a_clock_that_the_callee_winds_anew(ask: Ask) -> None:
    """Its time is counted from when it was called: it runs out on each pass, and ends none of them for good."""
    anew = do(
        call="poll(s)", code="-EBUSY", above=POLL.format(wound="\tunsigned long end = jiffies + HZ;\n\n", end="end")
    )
    assert ask(UNBOUNDED, anew).fires
    assert "its own time" in ask(RESCHED, anew).reasons, "a pass is as long as that, and may well sleep"
    assert "not broken off" in ask(SIGNAL, anew).reasons, "what hardware has begun has to be finished"
    kept = do(call="poll(s)", code="-EBUSY", above=POLL.format(wound="", end="s->end"))
    assert "looks at a clock" in ask(UNBOUNDED, kept).reasons
