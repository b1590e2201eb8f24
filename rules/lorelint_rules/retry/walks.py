"""Walks of an XArray with its lock held: as long as the array, and nobody else gets the processor meanwhile.

Whoever iterates with the lock held drops it and reschedules every XA_CHECK_SCHED entries, says include/linux/xarray.h
(5.10 to 7.2). It matters where each entry costs something; here, where what was found is freed.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, codes, ir
from lorelint_rules.retry import wording

_KIND = "xa_lock"
_BREATHERS = ("xas_pause", "xas_pause_unlock", "need_resched")


class Walk(Struct, frozen=True):
    """One walk. `yields` is where it lets others run now and then, 0 for nowhere."""

    loop: ir.Loop
    entry: str
    freed: ir.Call
    yields: int


def walks(view: TreeView, fn: ir.Function) -> Iterator[Walk]:
    """The walks of a function that free what they find under the array's own lock, however many entries there are."""
    iterators = view.know.names("xarray_walks")
    if not any(name.encode() in fn.text for name in iterators):
        return
    cfg, held = view.program.cfg(fn), view.of(wording.LOCKS)
    frees, breathers = view.know.names("frees"), view.know.names("yield_unconditional").union(_BREATHERS)
    for loop in view.program.loops(fn):
        match cfg.nodes[loop.head].expr:
            case ir.Call(args=(_, ir.Name(name=entry), limit, *_)) as call if call.name in iterators:
                inside = [each for node in sorted(loop.body) for each in ir.calls(cfg.nodes[node].expr)]
            case _:
                continue
        freed = [each for each in inside if each.name in frees and each.args and ir.show(each.args[0]) == entry]
        locked = any(lock.kind == _KIND and lock.atomic for lock in held.at(fn, loop.head))
        if freed and locked and not codes.const(limit).isdigit():
            yields = next((each.line for each in inside if each.name in breathers), 0)
            yield Walk(loop, entry, freed[0], yields)
