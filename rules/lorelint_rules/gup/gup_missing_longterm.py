"""gup-missing-longterm: pages are kept beyond the call without FOLL_LONGTERM

What it sees
    pin_user_pages() without FOLL_LONGTERM, or get_user_pages(), whose pages are put into an object that outlives
    the call (an array of it, an address or PFN in a device's table), and which are still there to be released at
    the release of the file, the end of the object or the removal of the device, or by another command of the same
    ioctl, which user space gives when it likes. Also where a helper of the file pins them for its caller.

Why it hurts
    Pages in ZONE_MOVABLE or CMA stay where they are as long as user space likes: memory cannot be unplugged and
    contiguous allocations fail. On a DAX filesystem the blocks of the file may go to another file while the device
    still writes to them. FOLL_LONGTERM moves the pages out first and refuses such files.

When it is silent
    - FOLL_LONGTERM is among the flags, or the flags come from somewhere else
    - the pages are released before the call returns, or when the work they were taken for is done (direct I/O)
    - an MMU notifier ends the use when the mapping changes
    - nobody in sight releases them

Do this instead
    pin_user_pages_fast(start, n, FOLL_LONGTERM | FOLL_WRITE, pages), and unpin_user_pages() for the release.

References
    Documentation/core-api/pin_user_pages.rst, CASE 2 (RDMA) beside CASE 1 (direct I/O) and CASE 3 (MMU notifier);
    mm/gup.c check_and_migrate_movable_pages()
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Fix, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir
from lorelint.rule.analyses import fixes
from lorelint.rule.analyses.typestate import Story
from lorelint_rules.gup import lifetimes, wrappers
from lorelint_rules.gup.lifetimes import Reach, Release
from lorelint_rules.gup.pins import ELSEWHERE, HELPED, PINS, flags, has_flags, is_pin, verdicts

NAME = "gup-missing-longterm"
_NOTIFIERS = (
    b"mmu_interval_notifier_insert",
    b"mmu_interval_read_begin",
    b"mmu_notifier_register",
    b"mmu_notifier_ops",
)


def run(view: TreeView) -> Iterator[Verdict]:
    yield from verdicts(view, has_flags, lambda story: _judge(view, story, story))
    for fn in view.functions:
        said: dict[str, Verdict] = {}
        for story, inner in wrappers.stories(view, fn):
            if has_flags(inner):
                verdict = _judge(view, story, inner)
                said.setdefault(f"{story.acquired.shown} {type(verdict).__name__}", verdict)
        yield from said.values()


def _judge(view: TreeView, story: Story, inner: Story) -> Verdict:
    """The verdict on one call; `inner` is what pins, in the helper where it is one."""
    fn = story.thing.scope.fn
    raw = view.program.raw(fn.path) or b""
    given = flags(inner)
    if "FOLL_LONGTERM" in given:
        return _silence(story, "FOLL_LONGTERM is given")
    if ELSEWHERE in given and b"FOLL_LONGTERM" in raw:
        return _silence(story, "the flags come from somewhere else, where FOLL_LONGTERM is given")
    if any(word in raw for word in _NOTIFIERS):
        return _silence(story, "an MMU notifier ends the use when the mapping changes")
    fields = lifetimes.kept(story)
    number = not fields and lifetimes.as_number(story)
    if not fields and not number:
        return _silence(story, "the pages are not put into an object that outlives the call")
    many = tuple(lifetimes.releases(view, story, fields, number=number, below=True))
    if not many:
        return _silence(story, "who releases them later is not in sight")
    found = lifetimes.later(view, story, many)
    if isinstance(found, str):
        return _silence(story, found)
    return _finding(view, story, inner, *found, number=number)


def _silence(story: Story, reason: str) -> Silence:
    fn = story.thing.scope.fn
    return Silence(NAME, fn.path, fn.name, story.acquired.line, reason)


def _finding(view: TreeView, story: Story, inner: Story, release: Release, reach: Reach, *, number: bool) -> Finding:
    fn, taken = story.thing.scope.fn, story.acquired
    api, pins = inner.acquired.call.name, inner.thing.scope.fn
    pin = is_pin(view, api)
    what = "pinned without FOLL_LONGTERM" if pin else "taken by get_user_pages() and not pinned with FOLL_LONGTERM"
    kept = "an address of the page is kept" if number else f"{taken.shown} outlives the call"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=taken.line,
        anchor=f"{api}:{'.'.join(taken.place)}",
        message=f"pages of {taken.shown} are {what} and kept until {release.fn.name}() releases them",
        severity=Severity.WARNING if pin else Severity.NOTE,
        confidence=0.75 if not number else 0.7,
        steps=(
            *_taken(story, inner, kept),
            *lifetimes.step(release, reach),
        ),
        need=Need.CALLS,
        concern=f"pages of {'.'.join(taken.place)}",
        facts=(f"{release.fn.name}() is reached from {reach.function}(), whenever user space likes",),
        advice="pin them by pin_user_pages_fast() with FOLL_LONGTERM, and unpin them",
        evidence=(api, release.fn.name, reach.entry.kind),
        ask=f"are the pages of {taken.shown} kept beyond the call, and can they be in ZONE_MOVABLE?",
        fix=_fix(pins, inner.acquired.line) if pin else None,
    )


def _taken(story: Story, inner: Story, kept: str) -> tuple[Step, ...]:
    """Where the pages are pinned, perhaps in a helper, and where they are put."""
    fn, pins = story.thing.scope.fn, inner.thing.scope.fn
    text = f"{ir.show(inner.acquired.call)}: no FOLL_LONGTERM"
    if inner is story:
        return (Step(fn.path, story.acquired.line, f"{text}; {kept}"),)
    return (Step(pins.path, inner.acquired.line, text), Step(fn.path, story.acquired.line, kept))


def _fix(fn: ir.Function, line: int) -> Fix | None:
    """The flag beside another one, where that is written out in the call."""
    edits = fixes.swap(fn, line, "FOLL_WRITE", "FOLL_WRITE | FOLL_LONGTERM")
    return Fix(fn.path, edits, "have the pages moved to where they may stay before they are pinned") if edits else None


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=HELPED,
    requires=(PINS,),
    need=Need.CALLS,
    cause_rank=40,
)
