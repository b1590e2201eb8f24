"""Walks of an XArray with its lock held: as long as the array, and nobody else gets the processor meanwhile.

Whoever iterates with the lock held drops it and reschedules every XA_CHECK_SCHED entries, says include/linux/xarray.h
(5.10 to 7.2). It matters where each entry costs something; here, where what was found is freed.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import TreeView, ir
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import HOSTED

_KIND = "xa_lock"
_LAST = "ULONG_MAX"  # of all indexes


class Walk(Struct, frozen=True):
    """One walk. `yields` is the line where it lets others run or drops the lock now and then, 0 for none."""

    loop: ir.Loop
    entry: str
    freed: ir.Call
    yields: int


def walks(view: TreeView, fn: ir.Function) -> Iterator[Walk]:
    """The walks of a function that free what they find under the array's own lock, however many entries there are."""
    iterators = view.know.names("xarray_walks")
    if fn.path.startswith(HOSTED) or not any(name.encode() in fn.text for name in iterators):
        return
    cfg, held = view.program.cfg(fn), view.of(wording.LOCKS)
    frees, breathers = view.know.names("frees"), view.know.names("yield_unconditional", "walk_breaks")
    for loop in view.program.loops(fn):
        match cfg.nodes[loop.head].expr:
            case ir.Call(args=(state, ir.Name(name=entry), ir.Name(name=last), *_)) as call if call.name in iterators:
                inside = [each for node in sorted(loop.body) for each in ir.calls(cfg.nodes[node].expr)]
            case _:
                continue
        if (last.isupper() and last != _LAST) or any(source != loop.head for source, _ in loop.leave):
            continue  # a few entries, or it leaves when it has had enough
        if any(ir.show(state) in map(ir.show, each.args) and not each.name.startswith("xas_") for each in inside):
            continue  # what is done with the walk in there is not known
        freed = [each for each in inside if each.name in frees and each.args and ir.show(each.args[0]) == entry]
        locks = frozenset.intersection(*(held.at(fn, node) for node in loop.body))
        others = any(lock.atomic and lock.kind != _KIND for lock in locks | held.around(fn))
        if freed and not others and any(lock.kind == _KIND for lock in held.at(fn, loop.head)):
            dropped = all(lock.kind != _KIND for lock in locks)
            yields = next((each.line for each in inside if each.name in breathers), loop.line if dropped else 0)
            yield Walk(loop, entry, freed[0], yields)
