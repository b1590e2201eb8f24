"""What ends a retry loop without a plain counter or clock, each beside a near miss that has no end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

UNBOUNDED = "unbounded-retry"
Ask = Callable[..., Any]

ATTEMPT = "static int attempt(struct s *s, unsigned long n)\n{\n\tif (s->busy)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n"


def f(body: str, above: str = ATTEMPT) -> str:
    return f"{above}int f(struct s *s, unsigned long n, int domain)\n{{\n\tint ret;\n\n{body}\n}}\n"


AGAIN = "again:\n\tret = attempt(s, n);\n\tif (ret == -EAGAIN{more}) {{\n{then}\t\tgoto again;\n\t}}\n\treturn ret;"


def again(more: str = "", then: str = "", above: str = ATTEMPT) -> str:
    return f(AGAIN.format(more=more, then=then), above)


ENDS = {
    "halved and rounded": (
        again(" && n > 4096", "\t\tn /= 2;\n\t\tn = PAGE_ALIGN(n);\n"),
        "bounded: n is changed",
    ),
    "halved in a call": (again(" && n > 64", "\t\tn = max(n / 2, 64);\n"), "bounded: n is changed"),
    "shifted": (again(" && n > 64", "\t\tn >>= 1;\n"), "bounded: n is changed"),
    "what a comparison came to": (
        f(
            "again:\n\tret = attempt(s, 1);\n\tif (ret == -EAGAIN) {\n\t\tbool more = n > 64;\n\n\t\tif (more) {\n"
            "\t\t\tn = n / 2;\n\t\t\tgoto again;\n\t\t}\n\t}\n\treturn ret;"
        ),
        "bounded: n is changed",
    ),
    "tries kept in an object": (again(" && s->nr_retry > 0"), "bounded: s->nr_retry"),
    "made equal": (
        again(" && domain != s->all", "\t\tdomain = s->all;\n"),
        "bounded: domain is changed",
    ),
    "a bit added": (again(" && domain == VRAM", "\t\tdomain |= GTT;\n"), "bounded: domain is changed"),
    "a clock by way of a local": (
        f(
            "\tu64 now, end = ktime_to_ms(ktime_get()) + 5;\n\n\tdo {\n\t\tret = attempt(s, n);\n\t\tif (!ret)\n"
            "\t\t\treturn 0;\n\t\tnow = (u64)ktime_to_ms(ktime_get());\n\t} while (end > now);\n\treturn ret;"
        ),
        "clock",
    ),
    "an item taken": (
        again(above="").replace("attempt(s, n)", "ring_dequeue(s)"),
        "takes another item",
    ),
    "its user asks for no limit": (
        again(
            above=ATTEMPT.replace("s->busy", "s->allowed == TRY_NO_LIMIT"),
        ),
        "asked for no limit",
    ),
    "the callee asks a clock": (
        again(
            above="static bool stalled(struct s *s)\n{\n\treturn ktime_ms_delta(ktime_get(), s->since) > 100;\n}\n"
            + ATTEMPT.replace("\tif (s->busy)", "\tif (!stalled(s))")
        ),
        "looks at a clock",
    ),
    "put right in a field of a field": (
        again(
            above=ATTEMPT.replace(
                "\tif (s->busy)\n\t\treturn -EAGAIN;",
                "\tif (s->info.tail + n > 64) {\n\t\ts->info.tail = 0;\n\t\treturn -EAGAIN;\n\t}",
            )
        ),
        "puts right",
    ),
}

ENDLESS = {
    "halved and set anew": again(" && n > 4096", "\t\tn /= 2;\n\t\tn = s->size;\n"),
    "halved and not asked": again("", "\t\tn /= 2;\n"),
    "made equal and unequal": again(" && domain != s->all", "\t\tdomain = s->all;\n\t\tdomain = s->some;\n"),
    "a bit added, not compared": again(" && domain", "\t\tdomain |= GTT;\n"),
    "a clock that is only told": f(
        "\tu64 now;\n\n\tdo {\n\t\tret = attempt(s, n);\n\t\tnow = ktime_to_ms(ktime_get());\n\t\tnote(s, now);\n"
        "\t} while (ret == -EAGAIN);\n\treturn ret;"
    ),
}


@pytest.mark.parametrize(("text", "reason"), ENDS.values(), ids=ENDS.keys())
def test_what_ends_a_loop(text: str, reason: str, ask: Ask) -> None:
    said = ask(UNBOUNDED, text)
    assert not said.fires, said.outcome.defects[0].message
    assert reason in said.reasons


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_does_not(text: str, ask: Ask) -> None:
    assert ask(UNBOUNDED, text).fires


def test_a_wait_that_a_signal_ends_beside_one_that_it_does_not(ask: Ask) -> None:
    hasty = "\t\twait_event_interruptible(s->queue, s->ready);\n"
    sound = "\t\twait_for_completion(&s->done);\n"
    assert ask(UNBOUNDED, again(then=hasty)).fires
    for then in (sound, hasty + sound, sound + hasty):
        assert "each pass sleeps until a condition comes true" in ask(UNBOUNDED, again(then=then)).reasons


def test_a_failure_that_skips_the_rest_of_a_pass_is_no_retry(ask: Ask) -> None:
    """Success comes round too: whatever the failure, the loop does the next thing."""
    body = "\tfor (;;) {\n\t\tret = attempt(s, n);\n\t\tif (ret)\n\t\t\tcontinue;\n\t\tnote(s, n);\n\t}\n\treturn 0;"
    assert not ask(UNBOUNDED, f(body)).fires
    leaves = body.replace("\t\tnote(s, n);\n", "\t\treturn 0;\n")
    assert ask(UNBOUNDED, f(leaves)).fires


def test_a_signal_that_is_flushed(ask: Ask) -> None:
    wait = "\twhile (s->busy) {\n\t\tif (wait_for_completion_interruptible(&s->done))\n\t\t\tflush_signals(current);\n\t}\n"
    for rule in (UNBOUNDED, "retry-no-fatal-signal", "interrupted-wait-retried"):
        assert not ask(rule, f(wait + "\treturn 0;")).fires


PINS = (
    "long f(unsigned long addr, unsigned long n, struct page **pages)\n{{\n\tunsigned long done = 0;\n\tlong ret;\n\n"
    "\twhile (done < n) {{\n\t\tret = pin_user_pages_fast(addr + done * PAGE_SIZE, {many}, 0, pages + done);\n"
    "\t\tif (ret < 0)\n\t\t\treturn ret;\n\t\tdone += ret;\n\t}}\n\treturn done;\n}}\n"
)


def test_a_pass_that_is_handed_all_that_is_left(ask: Ask) -> None:
    """One pass does the work; a yield between passes would change nothing. By pieces it goes round for each of them."""
    assert ask("retry-no-resched", PINS.format(many="min(n - done, 64UL)")).fires
    assert not ask("retry-no-resched", PINS.format(many="n - done")).fires


def test_what_is_let_go_of_is_looked_up_again(ask: Ask) -> None:
    """The callee releases what it was handed, or a lock its caller holds: the next pass begins anew."""
    released = ATTEMPT.replace("\t\treturn -EAGAIN;", "\t{\n\t\ttree_release_path(s);\n\t\treturn -EAGAIN;\n\t}")
    assert "looked up again" in ask(UNBOUNDED, again(above=released)).reasons
    dropped = ATTEMPT.replace(
        "\tif (s->busy)", "\tup_read(&s->sem);\n\tload(s, n);\n\tdown_read(&s->sem);\n\tif (s->busy)"
    )
    assert "looked up again" in ask(UNBOUNDED, again(above=dropped)).reasons
    own = ATTEMPT.replace("\tif (s->busy)", "\tdown_read(&s->sem);\n\tload(s, n);\n\tup_read(&s->sem);\n\tif (s->busy)")
    assert ask(UNBOUNDED, again(above=own)).fires, "a lock of its own says nothing of what the caller looked up"


def test_a_callee_that_may_be_asked_not_to_wait(ask: Ask) -> None:
    asked = ATTEMPT.replace("s->busy", "s->nowait")
    assert "asked not to wait" in ask(UNBOUNDED, again(above=asked)).reasons
