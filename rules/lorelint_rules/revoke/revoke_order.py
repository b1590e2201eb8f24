"""revoke-order: user mappings are taken away before new ones are kept out

What it sees
    A function calls unmap_mapping_range() or the like, and only afterwards sets the marker that the fault or
    mmap handler tests, or takes the lock that the handler takes; the lock of the handler is not held over
    both, and nothing unmaps once more behind it.

Why it hurts
    Between the two a fault finds the object as it was and maps it again. That PTE outlives the revoke: user
    space reaches a device that is off, or memory that belongs to somebody else.

When it is silent
    - the lock that the handlers hold over test and insert is held over both: the order does not matter
    - a marker that the handlers test is set before, in a callee too
    - the unmap is repeated behind the marker
    - nothing maps again: no handler inserts PFNs of this object and tests the marker
    - entered only when nothing can be mapped (.release, probe)

Do this instead
    First what keeps faults out (the lock, then the marker under it), then the unmap, then what makes the
    object unusable.

References
    commit abafbc551fdd, which says why the order matters; drivers/misc/uacce/uacce.c, wrong in 5.10 and
    right in 6.12; drivers/vfio/pci/vfio_pci_core.c, lock first and then the zap
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir
from lorelint.rule.analyses.folder import folder_of
from lorelint.rule.analyses.mapping import Way
from lorelint_rules.revoke.cover import Cover, Fate
from lorelint_rules.revoke.marks import MARKS, locks
from lorelint_rules.revoke.order import Fine, Order, Race, Taken, late_lock

NAME = "revoke-order"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        if not view.of(MARKS).matter(folder_of(fn.path)):
            continue
        order = Order(view, fn)
        told: dict[str, Verdict] = {}
        quiet: dict[str, Silence] = {}
        for each in order.verdicts():
            verdict = _silence(fn, each) if isinstance(each, Fine) else _race(view, fn, each)
            if isinstance(verdict, Silence):
                quiet.setdefault(verdict.reason, verdict)
            else:
                told.setdefault(each.barred.marker.anchor if isinstance(each, Race) else "", verdict)
        for at, name, line, way in late_lock(order):
            told.setdefault(f"lock {name}", _late(fn, at, name, line, way))
        yield from told.values() or quiet.values()


def _silence(fn: ir.Function, fine: Fine) -> Silence:
    return Silence(NAME, fn.path, fn.name, fine.line, fine.reason, fine.steps)


def _race(view: TreeView, fn: ir.Function, race: Race) -> Verdict:
    marker = race.barred.marker
    cover = Cover(view, (race.way,), marker)
    leaves = cover.fates(fn, cover.callers(fn, marker.value))
    if leaves and all(leaf.fate is Fate.EXEMPT for leaf in leaves):
        reason = "entered only when nothing can be mapped: from .release, probe, open or at boot"
        return Silence(NAME, fn.path, fn.name, race.taken.step.line, reason, (race.taken.step,))
    gate = race.gate
    gated = (Step(gate.step.path, gate.step.line, f"{gate.step.text}: until then it maps"),) if gate else ()
    between = Step(fn.path, race.taken.step.line, f"from here to the marker a fault maps again in {fn.name}()")
    steps = (race.taken.step, *race.barred.steps, *gated, race.way.insert, between)
    what = marker.api + "()" if marker.api else marker.text
    under = f"{locks(race.locks)} is not held over both" if race.locks else "no lock of a fault handler is held"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=race.taken.step.line,
        anchor=marker.anchor,
        message=f"the mappings are taken away before {what} keeps new ones out, and {under}",
        severity=Severity.ERROR,
        confidence=0.8 if len(race.barred.steps) == 1 else 0.75,
        steps=tuple(dict.fromkeys(steps)),
        need=Need.FILE,
        concern=marker.anchor,
        facts=(f"{race.way.handler.name}() and what it installs make PTEs by {race.way.inserter}()",),
        advice="set the marker under the lock of the fault handler first, then unmap",
        evidence=("marker", marker.anchor, race.way.table, race.way.op),
        ask=f"can a fault map again between the unmap in {fn.name}() and {what}?",
    )


def _late(fn: ir.Function, at: Taken, name: str, line: int, way: Way) -> Finding:
    steps = (
        at.step,
        Step(fn.path, line, f"{name} is taken behind it, and {fn.name}() returns with it"),
        way.insert,
        Step(fn.path, at.step.line, f"from here to the lock a fault maps again in {fn.name}()"),
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=at.step.line,
        anchor=f"lock {name}",
        message=f"the mappings are taken away before {name} keeps new ones out",
        severity=Severity.ERROR,
        confidence=0.8,
        steps=steps,
        need=Need.FILE,
        concern=f"lock {name}",
        facts=(f"the handler of {way.handler.name}() holds {name} when it makes a PTE",),
        advice=f"take {name} first, then unmap",
        evidence=("lock", name, way.table, way.op),
        ask=f"can a fault map again between the unmap in {fn.name}() and the lock?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens((("unmap", "zap", "revoke", "invalidate", "purge", "evict", "disassociate", "truncate"),)),
    need=Need.FILE,
    requires=(MARKS,),
    cause_rank=18,
)
