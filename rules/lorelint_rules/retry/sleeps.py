"""Loops that sleep where a signal wakes, and look at no signal: set_current_state(TASK_INTERRUPTIBLE), schedule().

With a signal pending schedule() returns at once (kernel/sched/core.c, signal_pending_state() in __schedule(), 5.10 to
7.2): until its condition comes true the loop spins, and no SIGKILL ends it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, bounds, ir, regex
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import HOSTED
from lorelint_rules.retry.shape import puts_aside

_STATE = "TASK_INTERRUPTIBLE"
_STATES = frozenset({"set_current_state", "__set_current_state", "prepare_to_wait", "prepare_to_wait_exclusive"})
_SLEEP = "schedule"
#: All that such a loop may call besides: what else it calls may look at signals, or at a clock.
_PLAIN = regex(
    r"^(?:test_bit|READ_ONCE|smp_mb|barrier|(?:un)?likely|list_empty\w*|atomic_read|add_wait_queue|remove_wait_queue|finish_wait"
    r"|(?:raw_)?spin_(?:un)?lock\w*|(?:read|write)_(?:un)?lock\w*|mutex_(?:un)?lock|(?:lock|release)_sock|sk_sleep)$"
)
_SIGNAL = regex(r"signal|sigpending|pending\b")


class Sleep(Struct, frozen=True):
    """One loop: where it says that a signal may wake it, and where it sleeps."""

    loop: ir.Loop
    state: ir.Call
    slept: ir.Call


def sleeps(view: TreeView, fn: ir.Function) -> Iterator[Sleep]:
    """The loops of a function that sleep so on behalf of a user's task, until a condition alone ends them."""
    if _STATE.encode() not in fn.text or fn.path.startswith(HOSTED) or puts_aside(fn.text):
        return
    cfg, loops = view.program.cfg(fn), view.program.loops(fn)
    for loop in loops:
        inside = [(node, each) for node in sorted(loop.body) for each in ir.calls(cfg.nodes[node].expr)]
        state = next((each for _, each in inside if each.name in _STATES and _is_state(each)), None)
        slept = next(((node, each) for node, each in inside if each.name == _SLEEP), None)
        if state is None or slept is None or any(slept[0] in each.body and each.body < loop.body for each in loops):
            continue
        plain = all(each.name in _STATES or each.name == _SLEEP or _PLAIN.match(each.name) for _, each in inside)
        counted = bounds.Bounds(cfg, loop, view.know).counters
        if plain and not counted and not any(_may_look(cfg.nodes[id_]) for id_ in loop.body) and _for_a_user(view, fn):
            yield Sleep(loop, state, slept[1])


def _is_state(call: ir.Call) -> bool:
    return any(ir.show(arg) == _STATE for arg in call.args)


def _may_look(node: ir.Node) -> bool:
    """Whether a test is a macro's, or speaks of signals."""
    if node.at is not ir.At.TEST or node.expr is None:
        return False
    macro = isinstance(node.expr, ir.Name) and node.expr.name.isupper()
    return macro or _SIGNAL.search(ir.show(node.expr)) is not None


def _for_a_user(view: TreeView, fn: ir.Function) -> bool:
    """An entry of user space is seen: kernel threads are often started where nobody sees it."""
    return any(entry.kind == "user" for entry in view.of(wording.ENTRIES).of(fn))
