"""mmu-notifier-retry-missing: pages are put into a secondary MMU without a last look at the notifier's sequence

What it sees
    Pages or a PFN are got under the sequence of an MMU notifier (mmu_interval_read_begin(), KVM's
    mmu_invalidate_seq), and the sequence is checked with no lock held, or before the lock is taken under which the
    mapping is installed; or its value is never compared, also by a function that it is handed to; or the lock is
    given back right behind the check, and only then something is done; or the way back goes round without reading
    it anew. In KVM code: a PFN is written into shadow page tables and the function knows no sequence at all.

Why it hurts
    An invalidation that runs between the check and the install finds nothing to take down. The mapping stays:
    the device or the guest reads and writes memory that was freed and belongs to somebody else.

When it is silent
    The predicate is asked with a lock held that was taken after the pages were got, or by a callee that holds one
    (a lock held over the look-up is not the one: getting pages may itself invalidate); an unlocked look that is
    repeated under the lock; the sequence is kept in an object for callers that check; the value is handed to a
    callee; nothing is installed; a hint alone (mmu_interval_check_retry()) that decides nothing.

Do this instead
    Read the sequence, get the pages, take the lock that the invalidate callback takes, ask
    mmu_interval_read_retry() or mmu_invalidate_retry_gfn() under it, install, unlock; on retry begin anew.

References
    Documentation/mm/hmm.rst; kernel-doc of mmu_interval_read_retry() in include/linux/mmu_notifier.h;
    include/linux/kvm_host.h mmu_invalidate_retry(); virt/kvm/pfncache.c (6.12)
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import (
    Finding,
    Need,
    Rule,
    Severity,
    Sibling,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    flow,
    ir,
)
from lorelint.rule.analyses.folder import folder_of, functions
from lorelint.rule.analyses.lockset import LOCKSETS
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.pfn import sequence
from lorelint_rules.pfn.sequence import Check, Got, Read

NAME = "mmu-notifier-retry-missing"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        reads = tuple(sequence.reads(view, scope))
        checks = tuple(sequence.checks(view, scope))
        if reads:
            yield from _under_sequence(view, scope, reads, checks)
        elif (handed := sequence.unread(view, scope)) is not None:
            what = f"{handed[0]} is handed in and never compared"
            yield _finding(fn, "unread", fn.line, what, (handed[1],), 0.75)
        elif checks:
            line = checks[0].line
            yield Silence(NAME, fn.path, fn.name, line, "it checks a sequence that its caller has read")
        elif "/kvm/" in fn.path:
            yield from _no_sequence(view, scope)


def _under_sequence(
    view: TreeView, scope: Scope, reads: tuple[Read, ...], checks: tuple[Check, ...]
) -> Iterator[Verdict]:
    fn, read = scope.fn, reads[0]
    got = _behind(scope, reads, tuple(sequence.gots(view, scope)))
    begun = Step(fn.path, read.line, f"{read.api} opens the sequence")

    def silence(reason: str, *steps: Step) -> Silence:
        return Silence(NAME, fn.path, fn.name, read.line, reason, (begun, *steps))

    if got is None:
        yield silence("no pages are got under it here")
        return
    pages = Step(fn.path, got.line, f"{got.api}() gets the pages")
    asked = tuple(each for each in checks if each.used and each.node in flow.after(scope.cfg, read.node))
    if not asked:
        yield _never_asked(view, scope, read, got, checks, (begun, pages)) or silence(
            *_why_not_asked(view, scope, read)
        )
        return
    under_lock = [each for each in asked if _is_locked(view, scope, got, each)]
    if not under_lock:
        unlocked = asked[-1]
        later = sequence.locks_behind(scope, unlocked.node)
        kept = sequence.stored(scope, read.kept) if read.local else read.kept
        if kept and later is None:
            yield silence(f"the sequence is kept in {kept}: whoever installs checks it there")
            return
        yield _finding(
            fn, "unlocked", unlocked.line, _unlocked(unlocked, later), _steps(fn, (begun, pages), unlocked, later)
        )
        return
    locked = under_lock[0]
    stale = _goes_round(scope, reads, got, locked)
    if stale:
        what = f"where {locked.api}() says so, {got.api}() is called again and the sequence is not read anew"
        yield _finding(fn, "hoisted", locked.line, what, (begun, pages, Step(fn.path, locked.line, what)))
        return
    done = sequence.given_back(view, scope, got, locked)
    if done is not None and all(sequence.given_back(view, scope, got, each) for each in under_lock):
        what = f"the lock is given back right behind {locked.api}(), and {done[1]}() comes after it"
        steps = (Step(fn.path, locked.line, f"{locked.api}() is asked, and nothing is done under its lock"),)
        yield _finding(fn, "given back", locked.line, what, (begun, pages, *steps, Step(fn.path, done[0], what)), 0.7)
        return
    names = ", ".join(sorted(locked.locks)) or "a lock"
    step = Step(fn.path, locked.line, f"{locked.api}() is asked with {names} held")
    yield silence("the sequence is checked under a lock", pages, step)


def _is_locked(view: TreeView, scope: Scope, got: Got, check: Check) -> bool:
    """Whether a lock is held that an invalidation may wait for: one held while pages are got cannot be that, for
    getting them may itself invalidate."""
    if check.locks - sequence.held_at(view, scope.fn, got.node):
        return True
    return sequence.locked_by_name(scope, got.node, check.node)


def _behind(scope: Scope, reads: tuple[Read, ...], gots: tuple[Got, ...]) -> Got | None:
    behind = flow.after(scope.cfg, *(each.node for each in reads))
    return next((each for each in gots if each.node in behind), None)


def _unlocked(check: Check, later: tuple[int, str] | None) -> str:
    if later is not None:
        return f"{check.api}() is asked before {later[1]}() takes the lock: an invalidation may come between"
    return f"{check.api}() is asked with no lock held: an invalidation may come right behind it"


def _steps(fn: ir.Function, first: tuple[Step, ...], check: Check, later: tuple[int, str] | None) -> tuple[Step, ...]:
    asked = Step(fn.path, check.line, f"{check.api}() is asked, no lock of the notifier's is held")
    more = (Step(fn.path, later[0], f"{later[1]}() takes the lock, and nothing is asked under it"),) if later else ()
    return (*first, asked, *more)


def _never_asked(
    view: TreeView, scope: Scope, read: Read, got: Got, checks: tuple[Check, ...], first: tuple[Step, ...]
) -> Finding | None:
    """A sequence that no caller can check either, and a mapping that is made."""
    fn = scope.fn
    ignored = next((each for each in checks if not each.used), None)
    if ignored is not None:
        what = f"nobody looks at what {ignored.api}() answers"
        return _finding(fn, "ignored", ignored.line, what, (*first, Step(fn.path, ignored.line, what)))
    kept = read.local and not sequence.stored(scope, read.kept)
    if not kept:
        return _used_here(view, scope, read, got, first)
    if sequence.handed_on(view, scope, read.kept) is not None:
        return None
    made = sequence.installs(view, scope) or sequence.under_their_lock(view, scope, got)
    confidence = 0.8
    if made is None and (later := sequence.takes_behind(view, scope, got)) is not None:
        made, confidence = (later[0], f"{later[1]} is held, as for what is made of the pages"), 0.7
    if made is None:
        return None
    what = "the sequence is read and never compared under the lock"
    return _finding(fn, "unchecked", read.line, what, (*first, Step(fn.path, made[0], made[1])), confidence)


def _used_here(view: TreeView, scope: Scope, read: Read, got: Got, first: tuple[Step, ...]) -> Finding | None:
    """A sequence that others could check, and its pages are used right here under the lock of the invalidation."""
    used = sequence.used_under_their_lock(view, scope, read, got)
    if used is None:
        return None
    what = "the pages are used under the lock of the invalidate callback and the sequence is never compared"
    step = Step(scope.fn.path, used[0], f"{used[1]}() uses them, and looks at no sequence")
    return _finding(scope.fn, "unchecked", read.line, what, (*first, step), 0.7)


def _why_not_asked(view: TreeView, scope: Scope, read: Read) -> tuple[str, Step] | tuple[str]:
    stored = sequence.stored(scope, read.kept) if read.local else read.kept
    if stored:
        return (f"the sequence is kept in {stored}: whoever installs checks it there",)
    handed = sequence.handed_on(view, scope, read.kept)
    if handed is not None:
        return ("the sequence is handed on", Step(scope.fn.path, handed[0], f"{handed[1]}() is handed it"))
    return ("nothing is seen to be installed here",)


def _goes_round(scope: Scope, reads: tuple[Read, ...], got: Got, check: Check) -> bool:
    """Whether the way back from a check that said "again" reaches the pages and the check without a new reading."""
    node = scope.cfg.nodes[check.node]
    if node.at is not ir.At.TEST:
        return False
    again = [(node.id, edge.to) for edge in node.out if edge.when is True]
    avoid = {each.node for each in reads}
    if flow.reaches(scope.cfg, again, (got.node,), avoid=avoid) is None:
        return False
    return flow.reaches(scope.cfg, (got.node,), (check.node,), avoid=avoid) is not None


def _no_sequence(view: TreeView, scope: Scope) -> Iterator[Verdict]:
    """KVM code that gets a PFN and writes it into shadow tables."""
    fn = scope.fn
    apis = view.know.names("kvm_pfn_lookup")
    got = next((each for each in sequence.gots(view, scope) if each.api in apis), None)
    if got is None or fn.name in apis:
        return
    if any("seq" in param.name for param in fn.params):
        yield Silence(NAME, fn.path, fn.name, got.line, "it is handed a sequence")
        return
    made = sequence.installs(view, scope)
    if made is None:
        yield Silence(NAME, fn.path, fn.name, got.line, "the PFN is not seen to be installed in a secondary MMU")
        return
    steps = (
        Step(fn.path, got.line, f"{got.api}() gives a PFN of the guest"),
        Step(fn.path, made[0], f"{made[1]}, and no sequence was read before or compared under mmu_lock"),
    )
    siblings = _siblings(view, fn)
    what = "a PFN is installed and no sequence of the notifier is known to the function"
    yield _finding(fn, "no sequence", got.line, what, steps, 0.75 if siblings else 0.65, siblings)


def _siblings(view: TreeView, fn: ir.Function) -> tuple[Sibling, ...]:
    """Functions of the same name in the folder that do check."""
    found = []
    for other in functions(view.program, folder_of(fn.path)).get(fn.name, ()):
        check = next(iter(sequence.checks(view, Scope(view.program, other))), None) if other.path != fn.path else None
        if check is not None:
            found.append(Sibling(other.path, check.line, other.name, f"asks {check.api}()"))
    return tuple(found)


def _finding(
    fn: ir.Function,
    kind: str,
    line: int,
    what: str,
    steps: tuple[Step, ...],
    confidence: float = 0.8,
    siblings: tuple[Sibling, ...] = (),
) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor="mmu notifier sequence",
        message=f"a stale page may end up in a secondary MMU: {what}",
        severity=Severity.ERROR,
        confidence=confidence,
        steps=steps,
        need=Need.FILE,
        concern="mmu notifier sequence",
        facts=("the sequence settles the race alone under the lock that the invalidate callback takes",),
        advice="take the lock of the invalidate callback, ask the retry predicate under it, install before it is given "
        "back, and read the sequence anew on retry",
        siblings=siblings,
        evidence=(kind,),
        ask=f"what keeps an invalidation from being missed in {fn.name}()?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(
        (
            (
                "mmu_interval_read_",
                "mmu_invalidate_",
                "mmu_notifier_seq",
                "mmu_seq",
                "mmu_notifier_retry",
                "gfn_to_pfn",
                "kvm_faultin_pfn",
                "kvmppc_gpa_to_pfn",
            ),
        )
    ),
    requires=(LOCKSETS,),
    need=Need.FILE,
    cause_rank=30,
)
