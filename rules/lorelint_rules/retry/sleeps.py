"""Loops that sleep where a signal wakes, and look at no signal: set_current_state(TASK_INTERRUPTIBLE), schedule().

With a signal pending schedule() returns at once (kernel/sched/core.c, signal_pending_state() in __schedule(), 5.10 to
7.2): until its condition comes true the loop spins, and no SIGKILL ends it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, ir
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import HOSTED
from lorelint_rules.retry.shape import puts_aside

_STATE = "TASK_INTERRUPTIBLE"
_SLEEP = "schedule"


class Sleep(Struct, frozen=True):
    """One loop: where it says that a signal may wake it, and where it sleeps."""

    loop: ir.Loop
    state: ir.Call
    slept: ir.Call


def sleeps(view: TreeView, fn: ir.Function) -> Iterator[Sleep]:
    """The loops of a function that sleep so on behalf of a user's task, until a condition alone ends them."""
    if _STATE.encode() not in fn.text or fn.path.startswith(HOSTED) or puts_aside(fn.text):
        return
    cfg = view.program.cfg(fn)
    for loop in view.program.loops(fn):
        inside = [each for node in sorted(loop.body) for each in ir.calls(cfg.nodes[node].expr)]
        state = next((each for each in inside if any(ir.show(arg) == _STATE for arg in each.args)), None)
        slept = next((each for each in inside if each.name == _SLEEP), None)
        if state is None or slept is None or not state.name:
            continue
        if not any(_looks(view, fn, each) for each in inside) and _for_a_user(view, fn):
            yield Sleep(loop, state, slept)


def _for_a_user(view: TreeView, fn: ir.Function) -> bool:
    """An entry of user space is seen: kernel threads are often started where nobody sees it."""
    return any(entry.kind == "user" for entry in view.of(wording.ENTRIES).of(fn))


def _looks(view: TreeView, fn: ir.Function, call: ir.Call) -> bool:
    """Whether a call looks at signals, or may: one out of sight, one that ends on a signal."""
    fact = view.know.calls.get(call.name)
    if call.name in view.know.names("signal_check") or (fact is not None and fact.ends_on_signal):
        return True
    return (
        any(b"signal_pending" in body.text for body in view.program.define(call.name, fn.path)) if call.name else True
    )
