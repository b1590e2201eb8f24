"""stored-vma-pointer: a VMA pointer is kept in an object, and nothing takes it out when the VMA goes

What it sees
    A function that an mmap, fault or open operation leads to puts the VMA pointer into an object that outlives the
    call (a field, a node of a list). The vm_operations_struct that the VMA has then names no close operation, or
    one that does not touch what was kept.

Why it hurts
    munmap(), mremap() and exit free the VMA and the object knows nothing of it. Whoever goes through the pointer
    later (to zap the mapping, in an ioctl, on reset) uses freed memory; user space chooses the moment.

When it is silent
    The close operation, or a function it calls, clears the field, takes the node off its list or frees it; the
    function puts NULL there again; the VMA is put into a struct that ends with the call (vm_fault, mm_walk ...); the
    other direction, vma->vm_private_data = object; no mmap or fault operation leads to the function.

Do this instead
    Keep the address_space and offset and zap by unmap_mapping_range(), which needs no VMA. Where the pointer is
    needed: a close operation that clears it under the lock that its users take, and an open operation for fork and
    split.

References
    05aa156e156e ("powerpc/pseries/vas: Add close() callback in vas_vm_ops struct", CVE-2024-56765);
    44e602b4e52f ("binder_alloc: add missing mmap_lock calls when using the VMA"); kernel/bpf/arena.c (6.12) keeps a
    counted node for each VMA
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.vma import kept
from lorelint_rules.vma.kept import Context, Store

NAME = "stored-vma-pointer"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        told: set[str] = set()
        for store in kept.stores(Scope(view.program, fn)):
            anchor = _anchor(store)
            if anchor not in told:
                told.add(anchor)
                verdict = _judge(view, fn, store)
                if verdict is not None:
                    yield verdict


def _anchor(store: Store) -> str:
    return f"{store.owner}.{store.field}" if store.owner else store.field


def _judge(view: TreeView, fn: ir.Function, store: Store) -> Verdict | None:
    here = Step(fn.path, store.line, f"{store.text} keeps the VMA pointer")
    contexts = kept.contexts(view, fn)
    if not contexts:
        if not view.whole:
            return Doubt(NAME, fn.path, fn.name, store.line, _anchor(store), "what leads here is not in sight")
        return Silence(NAME, fn.path, fn.name, store.line, "no mmap or fault operation leads to it", (here,))
    for context in contexts:
        for ops in context.ops:
            taken = kept.taken_out(view, ops, store)
            if taken is not None:
                return Silence(
                    NAME, fn.path, fn.name, store.line, "the close operation takes it out", (here, context.step, taken)
                )
    if all(context.unknown and not context.ops for context in contexts):
        return Doubt(NAME, fn.path, fn.name, store.line, _anchor(store), "the vm_ops of the VMA could not be read")
    best = next((each for each in contexts if each.ops), contexts[0])
    return _finding(fn, store, best, here, kept.users(view, fn, store))


def _finding(fn: ir.Function, store: Store, context: Context, here: Step, user: Step | None) -> Finding:
    ops = context.ops[0] if context.ops else None
    if ops is None:
        what = "the VMA gets no vm_ops, so nobody is told when it goes"
        missing = Step(context.step.path, context.step.line, what)
    elif ops.get("close") is None:
        what = f"{ops.name} has no close operation"
        missing = Step(ops.path, ops.line, what)
    else:
        what = f"the close operation of {ops.name} does not take it out"
        missing = Step(ops.path, ops.line, what)
    bare = ops is None or ops.get("close") is None
    steps = (context.step, here, missing, *((user,) if user is not None else ()))
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=store.line,
        anchor=_anchor(store),
        message=f"{store.text} keeps a VMA pointer that outlives the VMA: {what}",
        severity=Severity.ERROR if user is not None else Severity.WARNING,
        confidence=(0.85 if bare else 0.6) - (0.0 if user is not None else 0.1) - (0.1 if ops is None else 0.0),
        steps=steps,
        need=Need.FILE,
        concern=_anchor(store),
        facts=(
            "munmap() frees the VMA while the file stays open and the object stays with it",
            "after fork() or a split there are VMAs that the pointer does not know, without an open operation",
        )
        if ops is None or ops.get("open") is None
        else ("munmap() frees the VMA while the file stays open and the object stays with it",),
        advice="zap by unmap_mapping_range(), which needs no VMA, or clear the pointer in a close operation under the "
        "lock that its users take",
        evidence=(store.field, "no vm_ops" if ops is None else "no close" if bare else "close does not"),
        ask=f"what clears {store.text} when the VMA is unmapped?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens((("vm_area_struct", "vm_fault"),)),
    need=Need.FILE,
    cause_rank=20,
)
