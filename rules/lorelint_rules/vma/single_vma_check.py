"""single-vma-check: the VMA at the first address decides for a whole range

What it sees
    A VMA is looked up by one address (vma_lookup(), find_vma() ...), its flags, file or operations are
    tested, and what was decided is then done for a range that begins there: the same function hands the
    address and a length on, or takes a length and never looks at it, or its caller holds a length and
    hands over the address alone. Nothing looks at the end of the VMA.

Why it hurts
    A range may span several VMAs. For the rest of it the check was never made: a test that is a permission
    is bypassed, the wrong way of pinning is taken, the wrong errno is returned.

When it is silent
    The end of the VMA is compared, handed on or reckoned with, here or in a callee that gets the VMA; a walk
    over all VMAs of the range; a loop that moves the address and looks up again; a range kept within one
    page; one address that nobody holds a length for.

Do this instead
    Walk the range under mmap_lock with for_each_vma_range() and refuse holes, or refuse a range that ends
    behind vma->vm_end. For the question whether pages can be pinned, take the answer of pin_user_pages():
    it looks at every page, and what was seen before it under another hold of mmap_lock may have changed.

References
    20260226202211.929005-4-mattev@meta.com and its thread on mapping by VMA; include/linux/mm.h
    for_each_vma_range(), range_in_vma(); mm/gup.c check_vma_flags(), which is asked for each VMA;
    drivers/gpu/drm/radeon/radeon_ttm.c (6.12) compares vma->vm_end before it pins
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import (
    Doubt,
    Finding,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    flow,
    ir,
)
from lorelint.rule.analyses.scope import Scope, peel
from lorelint_rules.vma import ranges
from lorelint_rules.vma.ranges import Held, Lookup

NAME = "single-vma-check"
_CALLERS = 12


class Look(Struct, frozen=True):
    """One lookup with what is decided by it."""

    scope: Scope
    lookup: Lookup
    decisions: tuple[tuple[int, str], ...]

    @property
    def step(self) -> Step:
        fn, lookup = self.scope.fn, self.lookup
        return Step(fn.path, lookup.line, f"{lookup.api}() gives the VMA at {ir.show(lookup.address)} alone")

    def silence(self, reason: str, *steps: Step) -> Silence:
        fn = self.scope.fn
        return Silence(NAME, fn.path, fn.name, self.lookup.line, reason, (self.step, *steps))


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        verdicts: dict[str, Verdict] = {}
        scope = Scope(view.program, fn)
        for lookup in ranges.lookups(scope):
            verdict = _judge(view, Look(scope, lookup, ranges.decisions(scope, lookup)))
            known = verdicts.get(lookup.api)
            if known is None or _weight(verdict) > _weight(known):
                verdicts[lookup.api] = verdict
        yield from verdicts.values()
        if not verdicts and (walk := ranges.walk(scope)) is not None:
            yield Silence(NAME, fn.path, fn.name, walk.line, f"no single VMA decides: {walk.text}", (walk,))


def _weight(verdict: Verdict) -> int:
    return 2 if isinstance(verdict, Finding) else 1 if isinstance(verdict, Doubt) else 0


def _judge(view: TreeView, look: Look) -> Verdict:
    if not look.decisions:
        return look.silence("nothing is decided by the flags, file or operations of this VMA")
    proof = ranges.proof(view, look.scope, look.lookup)
    if proof is not None:
        return look.silence("the end of the range was thought of", proof)
    found = _own(view, look) or _parameter(look)
    need = Need.FILE
    callers: tuple[Step, ...] = ()
    if found is None:
        need = Need.CALLS if view.whole else Need.PATCH
        found, callers = _in_callers(view, look)
    if found is None:
        if not view.whole and not callers:
            return _doubt(look, "the callers are not in sight")
        return look.silence("one address is asked about, and nobody holds a length for it", *callers)
    page = _within_page(view, look, found)
    if page is not None:
        return look.silence("the range is at most one page", page)
    callee = ranges.unseen_callee(view, look.scope, look.lookup)
    if callee:
        return _doubt(look, f"{callee}() is handed the VMA and is not in sight")
    return _finding(look, found, need)


def _doubt(look: Look, reason: str) -> Doubt:
    fn = look.scope.fn
    return Doubt(NAME, fn.path, fn.name, look.lookup.line, look.lookup.api, reason)


def _own(view: TreeView, look: Look) -> Held | None:
    """A call after the decision that takes the address and a length, or the object in which both lie."""
    gup = view.know.names("gup_pin", "gup_get")
    after = flow.after(look.scope.cfg, *(id for id, _ in look.decisions))
    used = next(ranges.used_in_calls(look.scope, look.lookup.address, gup, after), None)
    return used or _whole(look, after)


def _whole(look: Look, after: frozenset[int]) -> Held | None:
    """The object of address and length is handed on behind the decision, and the length is known to the function."""
    address = look.scope.resolve(look.lookup.address)
    beside = _beside(look.scope, address)
    if beside is None or not isinstance(address, ir.Member):
        return None
    for node in sorted(after):
        for call in ir.calls(look.scope.cfg.nodes[node].expr):
            if call.name and any(peel(arg) == address.base for arg in call.args):
                return Held(beside.fn, beside.line, beside.length, f"{beside.how}, and {call.name}() is handed both")
    return None


def _parameter(look: Look) -> Held | None:
    """A length that the function was handed with the address and never looks at."""
    scope = look.scope
    if not ranges.address_atoms(scope, look.lookup.address) & set(scope.params) or not _is_verdict(scope):
        return None
    for name in ranges.length_parameters(scope):
        read = any(
            isinstance(each, ir.Name) and each.name == name
            for node in scope.cfg.nodes
            if node.expr is not None
            for each in ir.walk(node.expr)
        )
        if not read:
            return Held(scope.fn, scope.fn.line, name, f"{scope.fn.name}() is handed {name} and does not look at it")
    return None


def _is_verdict(scope: Scope) -> bool:
    """Whether the function answers a question: a value is returned, and no pointer to data."""
    return (
        scope.fn.returns.replace("static", "").replace("inline", "").strip() not in ("", "void")
        and "*" not in scope.fn.returns
    )


def _in_callers(view: TreeView, look: Look) -> tuple[Held | None, tuple[Step, ...]]:
    """A caller that holds a length beside the address it hands over, and the callers looked at."""
    scope = look.scope
    at = [i for i, name in enumerate(scope.params) if name in ranges.address_atoms(scope, look.lookup.address)]
    if not at or not _is_verdict(scope):
        return None, ()
    seen: list[Step] = []
    for site in view.program.callers(scope.fn)[:_CALLERS]:
        caller = Scope(view.program, site.fn)
        for node in caller.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name == scope.fn.name and call.line == site.line and len(call.args) > at[0]:
                    held = _holds(view, caller, node.id, call.args[at[0]])
                    if held is not None:
                        return held, ()
                    seen.append(
                        Step(site.fn.path, call.line, f"{site.fn.name}() holds no length of a range that begins there")
                    )
    return None, tuple(seen)


def _holds(view: TreeView, caller: Scope, node: int, address: ir.Expr) -> Held | None:
    if any(node in loop.body and _stepped(caller, loop, address) for loop in view.program.loops(caller.fn)):
        return None
    gup = view.know.names("gup_pin", "gup_get")
    used = next(ranges.used_in_calls(caller, address, gup, flow.after(caller.cfg, node)), None)
    return used or _beside(caller, address)


def _stepped(caller: Scope, loop: ir.Loop, address: ir.Expr) -> bool:
    """Whether the loop goes on from this address to the next."""
    names = {each.name for each in ir.walk(address) if isinstance(each, ir.Name)}
    for id in loop.body:
        match caller.cfg.nodes[id].expr:
            case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)) if name in names:
                return True
    return False


def _beside(caller: Scope, address: ir.Expr) -> Held | None:
    """A length that lies in the same object as the address and is read by the caller."""
    address = caller.resolve(address)
    if not isinstance(address, ir.Member):
        return None
    for node in caller.cfg.nodes:
        written = {id(e.target) for e in ir.walk(node.expr) if isinstance(e, ir.Assign)} if node.expr else set()
        for each in ir.walk(node.expr) if node.expr is not None else ():
            length = isinstance(each, ir.Member) and each.base == address.base and id(each) not in written
            if length and isinstance(each, ir.Member) and ranges.is_length(each.field):
                text = ir.show(each)
                return Held(caller.fn, each.line, text, f"{text} lies beside {ir.show(address)}")
    return None


def _within_page(view: TreeView, look: Look, held: Held) -> Step | None:
    scope = look.scope
    if held.fn != scope.fn:  # what is done behind this address may itself be kept within its page
        here = ranges.one_page(scope, ranges.address_atoms(scope, look.lookup.address))
        if here is not None:
            return here
        scope = Scope(view.program, held.fn)
    return ranges.one_page(scope, frozenset({held.length}) | scope.atoms(ir.Name(0, held.length), 2))


def _finding(look: Look, held: Held, need: Need) -> Finding:
    scope, lookup = look.scope, look.lookup
    fn = scope.fn
    node, what = look.decisions[0]
    line = scope.cfg.nodes[node].line
    by_caller = held.fn != fn
    message = f"the VMA at one address decides for a range: {what} of what {lookup.api}() gave is tested, "
    message += f"{held.fn.name}() holds {held.length}" if by_caller else f"{held.length} is in hand"
    steps = (
        look.step,
        Step(
            fn.path,
            line,
            f"{what} of this one VMA decides: {ir.show(e)}" if (e := scope.cfg.nodes[node].expr) else what,
        ),
        Step(held.fn.path, held.line, held.how),
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=lookup.line,
        anchor=lookup.api,
        message=message,
        severity=Severity.WARNING,
        confidence=0.7 if by_caller else 0.9,
        steps=tuple(dict.fromkeys(steps)),
        need=need,
        concern=f"range of {lookup.api}",
        facts=tuple(_facts(look, held)),
        advice="walk the range with for_each_vma_range() and refuse holes, "
        "or refuse a range that ends behind vma->vm_end",
        evidence=(lookup.api, what, "caller" if by_caller else "own"),
        ask=f"may the range of {held.length} from there end behind the one VMA that {lookup.api}() gave?",
    )


def _facts(look: Look, held: Held) -> Iterator[str]:
    scope = look.scope
    if held.fn != scope.fn:
        place = f"{held.fn.path}:{held.line}"
        yield f"{held.fn.name}() holds a length ({held.length}, {place}) and hands over the address alone"
    tested = " ".join(ir.show(e) for id, _ in look.decisions if (e := scope.cfg.nodes[id].expr) is not None)
    if any(flag in tested for flag in ("VM_PFNMAP", "VM_IO", "VM_MIXEDMAP")):
        yield (
            "VM_PFNMAP does not decide whether pages can be pinned: special PTEs and P2PDMA pages are refused "
            "in other VMAs too, and GUP looks at every page itself"
        )
    unlocked = [
        call
        for id in flow.after(scope.cfg, look.lookup.node)
        for call in ir.calls(scope.cfg.nodes[id].expr)
        if call.name in ("mmap_read_unlock", "mmap_write_unlock")
    ]
    if unlocked:
        place = f"{scope.fn.path}:{min(call.line for call in unlocked)}"
        yield f"mmap_lock is dropped ({place}): whatever was seen may have changed when the range is used"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(((*ranges.LOOKUPS, "find_vma_intersection", "for_each_vma"),)),
    need=Need.CALLS,
    cause_rank=30,
)
