"""interrupted-wait-retried: what it must see, what it must leave alone and why, and signal checks taken out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule

RULE = "interrupted-wait-retried"
Ask = Callable[..., Any]

CALLEE = """
static int step(struct box *b, bool intr)
{{
{body}
}}
"""
GOTO = """
int f(struct box *b)
{{
	int ret;
again:
{before}
	ret = {call};
	if ({test})
		goto again;
	return ret;
}}
"""
WHILE = "int f(struct box *b)\n{\n\twhile (step(b, true) == -EAGAIN)\n\t\tb->tries = 0;\n\treturn 0;\n}\n"
LOCKS = "\tif (mutex_lock_killable(&b->lock))\n\t\treturn -EAGAIN;\n\tb->n = 1;\n\tmutex_unlock(&b->lock);\n\treturn 0;"
WAITS = "\treturn wait_for_completion_interruptible(&b->done);"
ASKED = (
    "\tif (intr)\n\t\treturn wait_for_completion_interruptible(&b->done);\n"
    "\twait_for_completion(&b->done);\n\treturn 0;"
)


def loop(
    body: str = LOCKS, test: str = "ret == -EAGAIN", before: str = "", call: str = "step(b, true)", tail: str = GOTO
) -> str:
    return CALLEE.format(body=body) + tail.format(before=before, call=call, test=test)


SEEN = {
    "a lock by another name": loop(),
    "a wait by another name": loop(
        "\tif (wait_for_completion_interruptible(&b->done))\n\t\treturn -EAGAIN;\n\treturn 0;"
    ),
    "the wait's own code": loop(WAITS, "ret == -ERESTARTSYS"),
    "one of two codes": loop(WAITS, "ret == -ERESTARTSYS || ret == -EAGAIN"),
    "any error": loop(WAITS, "ret"),
    "the argument asks for it": loop(ASKED, "ret == -ERESTARTSYS"),
    "a while loop": CALLEE.format(body=LOCKS) + WHILE,
    "the wait itself": loop(call="wait_for_completion_interruptible(&b->done)", test="ret == -ERESTARTSYS"),
    "the macro itself": loop(call="wait_event_interruptible(b->wait, b->ready)", test="ret == -ERESTARTSYS"),
    "until the lock is had": "int f(struct box *b)\n{\n\twhile (mutex_lock_interruptible(&b->lock))\n\t\tb->tries = 1;\n"
    "\treturn 0;\n}\n",
    "two calls down": "static int deep(struct box *b)\n{\n\tif (down_interruptible(&b->sem))\n\t\treturn -EAGAIN;\n"
    "\treturn 0;\n}\n" + loop("\treturn deep(b);"),
}

LEFT_ALONE = {
    "a signal check in the loop": (loop(before="\tif (signal_pending(current))\n\t\treturn -EINTR;"), "signals"),
    "the argument asks for a plain wait": (
        loop(ASKED, "ret == -ERESTARTSYS", call="step(b, false)"),
        "cannot return",
    ),
    "another code is retried": (loop("\tif (b->full)\n\t\treturn -EBUSY;\n" + WAITS, "ret == -EBUSY"), "no reason"),
    "bounded": (loop(test="ret == -EAGAIN && b->tries++ < 5 && ++n < 5", before="\tn++;"), ""),
    "waits again on purpose": (
        "int f(struct box *b)\n{\n\twhile (wait_for_completion_interruptible(&b->done))\n\t\tfsleep(1000);\n"
        "\treturn 0;\n}\n",
        "on purpose",
    ),
    "the signal is put aside": (loop(before="\tclear_thread_flag(TIF_SIGPENDING);"), "put aside"),
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN.keys())
def test_seen(text: str, ask: Ask) -> None:
    assert ask(RULE, text).fires


@pytest.mark.parametrize(("text", "reason"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_left_alone(text: str, reason: str, ask: Ask) -> None:
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


def test_what_is_told(ask: Ask) -> None:
    """Where a pass starts, the call, the wait a signal ends, and the test that goes round."""
    found = ask(RULE, loop()).finding
    assert "mutex_lock_killable() that a signal ended" in found.message
    texts = [step.text for step in found.steps]
    assert "where each pass starts" in texts[0]
    assert any("mutex_lock_killable() was ended by a signal" in text for text in texts)
    assert "back to label again" in texts[-1]


def test_a_work_item_is_sent_no_signals(ask: Ask) -> None:
    text = loop().replace("int f(", "static int f(") + (
        "static void work(struct work_struct *w)\n{\n\tf(container_of(w, struct box, w));\n}\n"
        "void start(struct box *b)\n{\n\tINIT_WORK(&b->w, work);\n}\n"
    )
    said = ask(RULE, text)
    assert not said.fires
    assert "no signals are sent" in said.reasons


@pytest.mark.needs_tree("6.12")
def test_a_wait_that_can_be_interrupted_now(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    """A correct loop asks its callee for a plain wait; asked for the other one it spins once a signal is pending."""
    path, name = "drivers/gpu/drm/qxl/qxl_cmd.c", "wait_for_io_cmd"
    tree = DirectoryTree(tree_dir("6.12"))
    program = Program(tree, knowledge((6, 12)))
    assert not desk.judge(program, rules[RULE], name, path).fires
    text = program.raw(path)
    fn = program.function(path, name)
    assert text is not None and fn is not None
    changed = fn.text.replace(b"port, false)", b"port, true)")
    assert changed != fn.text
    spoiled = OverlayTree(tree, {path: text.replace(fn.text, changed)})
    assert desk.judge(Program(spoiled, knowledge((6, 12))), rules[RULE], name, path).fires
