"""gup-missing-dirty: pages that were written to are released without being marked dirty

What it sees
    Pages got with FOLL_WRITE are written to, by the kernel through a mapping of its own or by a device
    (DMA_FROM_DEVICE, DMA_BIDIRECTIONAL), and are released by a plain unpin_user_page() or put_page(): nothing that
    releases them marks them dirty.

Why it hurts
    The page tables do not know of such a write. Reclaim finds a page that seems clean and drops it, and with it
    what was written: user space reads old data back from the file or swap.

When it is silent
    - set_page_dirty_lock(), or unpin_user_pages_dirty_lock() with anything but false, on some way to the release
    - the device only reads (DMA_TO_DEVICE), or its direction is not in sight
    - nothing is seen to write, or the pages were got for reading
    - who releases them when all went well is not in sight

Do this instead
    unpin_user_pages_dirty_lock(pages, n, true) once the write is done.

References
    Documentation/core-api/pin_user_pages.rst, CASE 5: pinning in order to write to the data within the page;
    mm/gup.c unpin_user_pages_dirty_lock()
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir, regex
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.typestate import RELEASED, Story
from lorelint_rules.gup import lifetimes, written
from lorelint_rules.gup.pins import PINS, TOKENS, flags, has_flags, is_pin, verdicts

NAME = "gup-missing-dirty"
_DIRTY = regex(
    rb"\b(?:folio_)?(?:set_page_dirty\w*|SetPageDirty|mark_dirty\w*)\s*\(|_dirty_lock\s*\((?![^;]*,\s*(?:false|0)\s*\))"
)


def run(view: TreeView) -> Iterator[Verdict]:
    yield from verdicts(view, has_flags, lambda story: _judge(view, story))


def _judge(view: TreeView, story: Story) -> Verdict:
    fn = story.thing.scope.fn
    if "FOLL_WRITE" not in flags(story):
        return _silence(story, "the pages are not got for writing")
    fields = lifetimes.fields(story)
    own = _released_here(story)
    others = tuple(lifetimes.releases(view, story, fields, number=False)) if fields and own is None else ()
    if own is None and not others:
        return _silence(story, "who releases them when all went well is not in sight")
    for each in (fn, *(other.fn for other in others), *_helpers(view, story)):
        if _DIRTY.search(each.text):
            return _silence(story, f"{each.name}() marks pages dirty")
    write = next(written.by_story(story), None) or next(written.by_field(view, fn.path, fields, fn), None)
    if write is None:
        return _silence(story, "nothing in sight writes to the pages")
    last = own or Step(others[0].fn.path, others[0].line, f"{others[0].fn.name}() releases them by {others[0].api}()")
    return _finding(view, story, write, last)


def _silence(story: Story, reason: str) -> Silence:
    fn = story.thing.scope.fn
    return Silence(NAME, fn.path, fn.name, story.acquired.line, reason)


def _released_here(story: Story) -> Step | None:
    """The release of the function itself on a path that is no failure."""
    for end in story.ends:
        if end.hold == RELEASED and end.fails is not True:
            return Step(story.thing.scope.fn.path, int(end.why), "they are released, and were not marked dirty")
    return None


def _helpers(view: TreeView, story: Story) -> Iterator[ir.Function]:
    """Functions near at hand that are called where the pages are released, or are handed them."""
    scope = story.thing.scope
    names = {
        call.name
        for node in scope.cfg.nodes
        for call in ir.calls(node.expr)
        if call.name and any(story.thing.carries(arg, frozenset()) for arg in call.args)
    }
    for name in sorted(names):
        yield from near(view.program, name, scope.fn.path)


def _finding(view: TreeView, story: Story, write: Step, last: Step) -> Finding:
    fn, taken = story.thing.scope.fn, story.acquired
    api = taken.call.name
    right = "unpin_user_pages_dirty_lock()" if is_pin(view, api) else "set_page_dirty_lock() before put_page()"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=taken.line,
        anchor=f"{api}:{'.'.join(taken.place)}",
        message=f"pages that {api}() gave in {taken.shown} are written to and released without being marked dirty",
        severity=Severity.NOTE,
        confidence=0.8 if write.path == fn.path and last.path == fn.path else 0.7,
        steps=(Step(fn.path, taken.line, f"{api}() gives pages for writing (FOLL_WRITE)"), write, last),
        need=Need.FILE,
        concern=f"pages of {'.'.join(taken.place)}",
        facts=("the page tables do not know of the write: reclaim may drop the page as if it were clean",),
        advice=f"release them by {right}",
        evidence=(api, "written"),
        ask=f"who marks the pages of {taken.shown} dirty after they were written to?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=TOKENS,
    requires=(PINS,),
    need=Need.FILE,
    cause_rank=45,
)
