"""Loops that count what failed in a pass, and walks of an XArray under its lock: what is none of them stays silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]

TAKE = (
    "static int take(struct page *p)\n{\n\tif (p->busy)\n\t\treturn -EBUSY;\n\treturn 0;\n}\n\n"
    "static int drain(struct s *s)\n{\n\tif (s->dead)\n\t\treturn -EIO;\n\treturn 0;\n}\n\n"
    "static int swap_if(struct page *p)\n{\n\tif (!p)\n\t\treturn -EINVAL;\n\tif (p->id <= 3)\n\t\treturn 0;\n"
    "\tp->id--;\n\treturn 1;\n}\n\n"
)
EACH = "\t\tfor (i = 0; i < n; i++)\n\t\t\tif (take(s->pages[i]))\n\t\t\t\tfailed++;\n"


def f(body: str) -> str:
    return f"{TAKE}int f(struct s *s, int n)\n{{\n\tint failed, last = 0, done, i, more, ret;\n\tstruct page *p;\n\n{body}\n}}\n"


ENDLESS = {
    "a label": f(f"again:\n\t\tfailed = 0;\n{EACH}\tif (failed)\n\t\tgoto again;\n\treturn 0;"),
    "do": f(f"\tdo {{\n\t\tfailed = 0;\n{EACH}\t}} while (failed);\n\treturn 0;"),
    "while (1)": f(f"\twhile (1) {{\n\t\tfailed = 0;\n{EACH}\t\tif (!failed)\n\t\t\tbreak;\n\t}}\n\treturn 0;"),
    "a bool": f(
        f"again:\n\tfailed = false;\n{EACH.replace('failed++', 'failed = true')}\tif (failed)\n\t\tgoto again;\n\treturn 0;"
    ),
    "another way round besides": f(
        f"again:\n\tfailed = 0;\n{EACH}\tif (!s->more && !failed)\n\t\treturn 0;\n\tif (s->more) {{\n\t\tret = drain(s);\n"
        "\t\tif (ret)\n\t\t\treturn ret;\n\t}\n\tgoto again;"
    ),
}

ENDED = {
    "something else sends it round": f(
        f'\tdo {{\n\t\tfailed = 0;\n{EACH}\t\tif (failed)\n\t\t\tpr_warn("x");\n\t\tmore = fill(s, n);\n\t}} while (more > 0);\n'
        "\treturn 0;"
    ),
    "work that is filled in": f(
        f"\twhile (fill(s, n) > 0) {{\n\t\tfailed = 0;\n{EACH}\t\tif (failed)\n\t\t\ts->errors += failed;\n\t}}\n\treturn 0;"
    ),
    "an item each pass": f(
        f"\twhile (!list_empty(&s->list)) {{\n\t\tp = list_first_entry(&s->list, struct page, lru);\n\t\tlist_del(&p->lru);\n"
        f"\t\tfailed = 0;\n{EACH}\t\tif (failed)\n\t\t\tcontinue;\n\t\tfinish(p);\n\t}}\n\treturn 0;"
    ),
    "an item each pass, by a label": f(
        "next:\n\tp = list_first_entry_or_null(&s->list, struct page, lru);\n\tif (!p)\n\t\treturn 0;\n\tlist_del(&p->lru);\n"
        f"\tfailed = 0;\n{EACH}\tif (failed)\n\t\tgoto next;\n\treturn 1;"
    ),
    "taken from a queue": f(
        f"\twhile (1) {{\n\t\tp = dequeue(s);\n\t\tif (!p)\n\t\t\tbreak;\n\t\tfailed = 0;\n{EACH}\t\tif (failed)\n\t\t\tput_page(p);\n"
        "\t}\n\treturn 0;"
    ),
    "what failed is replaced": f(
        "again:\n\tfailed = 0;\n\tfor (i = 0; i < n; i++)\n\t\tif (take(s->pages[i])) {\n\t\t\tfailed++;\n"
        "\t\t\ts->pages[i] = other(s);\n\t\t}\n\tif (failed)\n\t\tgoto again;\n\treturn 0;"
    ),
    "what failed is taken out": f(
        "\tdo {\n\t\tfailed = 0;\n\t\tlist_for_each_entry_safe(p, q, &s->list, lru)\n\t\t\tif (take(p)) {\n\t\t\t\tfailed = 1;\n"
        "\t\t\t\tlist_del(&p->lru);\n\t\t\t\tbreak;\n\t\t\t}\n\t} while (failed);\n\treturn 0;"
    ),
    "fewer each time": f(
        f"again:\n\tfailed = 0;\n{EACH}\tif (failed) {{\n\t\tif (failed >= last)\n\t\t\treturn -EBUSY;\n\t\tlast = failed;\n"
        "\t\tgoto again;\n\t}\n\treturn 0;"
    ),
    "as long as something was done": f(
        "again:\n\tfailed = 0;\n\tdone = 0;\n\tfor (i = 0; i < n; i++)\n\t\tif (take(s->pages[i]))\n\t\t\tfailed++;\n\t\telse\n"
        "\t\t\tdone++;\n\tif (failed && done)\n\t\tgoto again;\n\treturn 0;"
    ),
    "it is told to stop": f(
        f"again:\n\tfailed = 0;\n{EACH}\tif (failed) {{\n\t\tif (s->stop)\n\t\t\treturn 0;\n\t\tgoto again;\n\t}}\n\treturn 0;"
    ),
    "an error leaves": f(
        f"again:\n\tfailed = 0;\n{EACH}\tif (failed) {{\n\t\tret = drain(s);\n\t\tif (ret)\n\t\t\treturn ret;\n\t\tgoto again;\n\t}}\n"
        "\treturn 0;"
    ),
    "1 is success": f(
        "\tdo {\n\t\tfailed = 0;\n\t\tfor (i = 0; i < n; i++)\n\t\t\tif (swap_if(s->pages[i]))\n\t\t\t\tfailed = 1;\n"
        "\t} while (failed);\n\treturn 0;"
    ),
    "tried thrice": f(f"again:\n\tfailed = 0;\n{EACH}\tif (failed && ++last < 3)\n\t\tgoto again;\n\treturn 0;"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_fails_for_good_is_tried_for_ever(name: str, ask: Ask) -> None:
    said = ask("unbounded-retry", ENDLESS[name])
    assert said.fires and any("fails for something" in each.message for each in said.outcome.findings)


@pytest.mark.parametrize("name", ENDED)
def test_what_ends_is_no_retry_without_bound(name: str, ask: Ask) -> None:
    assert not ask("unbounded-retry", ENDED[name]).fires


def test_the_loop_around_is_not_meant(ask: Ask) -> None:
    said = ask(
        "unbounded-retry",
        f(
            f"\twhile (s->more) {{\nagain:\n\t\tfailed = 0;\n{EACH}\t\tif (failed)\n\t\t\tgoto again;\n\t\tadvance(s);\n\t}}\n"
            "\treturn 0;"
        ),
    )
    assert len(said.outcome.findings) == 1


def walk(
    body: str, before: str = "\txas_lock(&xas);\n", after: str = "\txas_unlock(&xas);\n", last: str = "ULONG_MAX"
) -> str:
    return (
        "static void breathe(struct xa_state *xas)\n{\n\txas_pause(xas);\n\txas_unlock(xas);\n\tcond_resched();\n"
        "\txas_lock(xas);\n}\n\n"
        f"void f(struct s *s, unsigned long end)\n{{\n\tXA_STATE(xas, &s->xa, 0);\n\tstruct o *o;\n\tint n = 0;\n\n{before}"
        f"\txas_for_each(&xas, o, {last}) {{\n{body}\t}}\n{after}}}\n"
    )


FREE = "\t\txas_store(&xas, NULL);\n\t\tkfree(o);\n"
HELD = {
    "all of it": walk(FREE),
    "up to an end": walk(FREE, last="end"),
    "with interrupts off": walk(FREE, "\txas_lock_irq(&xas);\n", "\txas_unlock_irq(&xas);\n"),
}
LET_GO = {
    "the lock is dropped for each": walk("\t\txas_unlock(&xas);\n\t\tkfree(o);\n\t\txas_lock(&xas);\n"),
    "now and then": walk(
        FREE
        + "\t\tif (++n % 64 == 0) {\n\t\t\txas_unlock(&xas);\n\t\t\txas_reset(&xas);\n\t\t\txas_lock(&xas);\n\t\t}\n"
    ),
    "in a helper": walk(FREE + "\t\tif (++n % XA_CHECK_SCHED == 0)\n\t\t\tbreathe(&xas);\n"),
    "a few": walk(FREE + "\t\tif (++n == 32)\n\t\t\tbreak;\n"),
    "a limit by name": walk(FREE, last="MAX_PORTS"),
    "a limit that is reckoned": walk(FREE, last="s->first + 7"),
    "under a spinlock besides": walk(
        FREE, "\tspin_lock(&s->lock);\n\txas_lock(&xas);\n", "\txas_unlock(&xas);\n\tspin_unlock(&s->lock);\n"
    ),
    "without the lock": walk(FREE, "", ""),
    "nothing is freed": walk("\t\tn++;\n"),
}


@pytest.mark.parametrize("name", HELD)
def test_nobody_else_runs_before_the_last_is_freed(name: str, ask: Ask) -> None:
    assert ask("retry-no-resched", HELD[name]).fires


@pytest.mark.parametrize("name", LET_GO)
def test_a_walk_that_lets_others_run_or_is_short(name: str, ask: Ask) -> None:
    assert not ask("retry-no-resched", LET_GO[name]).fires


def test_who_is_called_with_a_spinlock_held_must_not_yield(ask: Ask) -> None:
    text = walk(FREE).replace("void f(", "static void f(")
    text += "void g(struct s *s)\n{\n\tspin_lock(&s->lock);\n\tf(s, 3);\n\tspin_unlock(&s->lock);\n}\n"
    assert not ask("retry-no-resched", text).fires
