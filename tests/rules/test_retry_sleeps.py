"""Loops that sleep interruptibly and look at no signal, each beside those that may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]
RULE = "retry-no-fatal-signal"

READ = """
static int step(struct dev *d)
{
	return signal_pending(current) ? -EINTR : 0;
}
static ssize_t f(struct file *file, char __user *to, size_t n, loff_t *at)
{
	struct dev *d = file->private_data;
	DEFINE_WAIT(wait);

	add_wait_queue(&d->queue, &wait);
	LOOP
	remove_wait_queue(&d->queue, &wait);
	return take(d, to, n);
}
WHO
"""
FOPS = "static const struct file_operations fops = { .read = f };"
THREAD = 'static int start(struct dev *d)\n{\n\tkthread_run(f, d, "demo");\n\treturn 0;\n}'
SLEEP = "while (!d->ready) {\n\t\tset_current_state(TASK_INTERRUPTIBLE);\n\t\tMORE\n\t\tschedule();\n\t}"
FOREVER = (
    "for (;;) {\n\t\tprepare_to_wait(&d->queue, &wait, TASK_INTERRUPTIBLE);\n\t\tif (d->ready)\n\t\t\tbreak;\n"
    "\t\tMORE\n\t\tschedule();\n\t}"
)


def read(loop: str, more: str = "", who: str = FOPS) -> str:
    return READ.replace("LOOP", loop).replace("MORE", more).replace("WHO", who)


@pytest.mark.parametrize("loop", [SLEEP, FOREVER], ids=["while", "for"])
def test_it_spins_once_a_signal_is_pending(ask: Ask, loop: str) -> None:
    finding = ask(RULE, read(loop)).finding
    assert "sleeps interruptibly, and spins" in finding.message
    assert [step.line for step in finding.steps] == [*sorted({step.line for step in finding.steps[:2]}), finding.line]


@pytest.mark.parametrize(
    "more",
    [
        "if (signal_pending(current))\n\t\t\tbreak;",
        "if (step(d))\n\t\t\tbreak;",
        "if (down_interruptible(&d->sem))\n\t\t\tbreak;",
        "if (dev_interrupted(d))\n\t\t\tbreak;",
        "if (!sigisemptyset(&current->pending.signal))\n\t\t\tbreak;",
        "if (current->pending.signal.sig[0])\n\t\t\tbreak;",
        "if (prepare_to_wait_event(&d->queue, &wait, TASK_INTERRUPTIBLE))\n\t\t\tbreak;",
        "if (GOT_SIGNAL)\n\t\t\tbreak;",
        "if (tries++ > 10)\n\t\t\tbreak;",
        "if (time_after(jiffies, end))\n\t\t\tbreak;",
    ],
    ids=[
        "looks",
        "a callee looks",
        "a callee ends on one",
        "a callee out of sight",
        "a set of signals",
        "a field",
        "a wait that tells",
        "a macro",
        "counted",
        "timed",
    ],
)
@pytest.mark.parametrize("loop", [SLEEP, FOREVER], ids=["while", "for"])
def test_one_that_looks_at_signals(ask: Ask, loop: str, more: str) -> None:
    assert not ask(RULE, read(loop, more)).fires


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        ("TASK_INTERRUPTIBLE", "TASK_UNINTERRUPTIBLE"),
        ("schedule()", "schedule_timeout(HZ)"),
        (FOPS, THREAD),
        (FOPS, ""),
    ],
    ids=["uninterruptible", "for a time", "a thread of the kernel", "by whom is not seen"],
)
def test_none_of_that_kind(ask: Ask, was: str, instead: str) -> None:
    assert not ask(RULE, read(SLEEP).replace(was, instead)).fires
