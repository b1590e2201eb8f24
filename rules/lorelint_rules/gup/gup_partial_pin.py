"""gup-partial-pin: fewer pages than were asked for are taken for all of them

What it sees
    pin_user_pages() or get_user_pages() was asked for several pages and may have got fewer. Then
    (a) its answer is only asked whether it is an error, and the pages are used as if all were there; or
    (b) an error path releases as many pages as were asked for; or
    (c) the function fails, leaves the number asked for in the object, and what cleans up releases that many; or
    (d) it returns the 0 of a call that got nothing, with its out-parameters not set, and a caller only asks whether
    there was an error.

Why it hurts
    The entries behind the last page that was got were never written: NULL, or what the allocator left there.
    unpin_user_pages() dereferences them, a device is given their addresses. A user who unmaps the end of the
    buffer decides where this begins.

When it is silent
    - the answer is compared with the number asked for, or kept and used as the number from then on
    - the variable for the number is set to the answer, or to 0, before the error path uses it
    - one page was asked for: it is there or it is not
    - the release looks at each entry before it releases it
    - the number is returned, and the caller decides

Do this instead
    Treat anything but the full number as a failure, release what was got (if it is above zero), and give the
    variable that the error path counts by the number that was got: npages = pinned.

References
    Documentation/core-api/pin_user_pages.rst; mm/gup.c: "returns number of pages pinned (which may be less than
    the number requested)"; commits ffca476a0a8d (rio_mport_cdev) and afe84f3b7a26
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir
from lorelint.rule.analyses.cleaning import cleaned
from lorelint.rule.analyses.places import place
from lorelint.rule.analyses.typestate import HELD, KEPT, RELEASED, Story
from lorelint_rules.gup import counts
from lorelint_rules.gup.pins import PINS, TOKENS, verb, verdicts

NAME = "gup-partial-pin"


def run(view: TreeView) -> Iterator[Verdict]:
    yield from verdicts(view, lambda story: story.acquired.take.count is not None, lambda story: _judge(view, story))


def _judge(view: TreeView, story: Story) -> Verdict:
    if _is_one(story):
        return _silence(story, "one page is asked for: it is there or it is not")
    if story.cut:
        return _silence(story, "too many paths to tell which count a release uses")
    found = (
        _all_taken(view, story)
        or _all_released(view, story)
        or _left_to_another(view, story)
        or _nothing_told(view, story)
    )
    return found or _silence(story, "the number of pages that were got decides")


def _is_one(story: Story) -> bool:
    at = story.acquired.take.count
    args = story.acquired.call.args
    if at is None or at >= len(args):
        return True
    value = story.thing.scope.resolve(args[at])
    return isinstance(value, ir.Number) and value.value in (0, 1)


def _asked(story: Story) -> str:
    at = story.acquired.take.count
    assert at is not None
    return ir.show(story.acquired.call.args[at])


def _silence(story: Story, reason: str) -> Silence:
    fn = story.thing.scope.fn
    return Silence(NAME, fn.path, fn.name, story.acquired.line, reason)


# -- (a) only the sign is asked for


def _all_taken(view: TreeView, story: Story) -> Finding | None:
    scope = story.thing.scope
    if story.acquired.pieces:
        return None
    in_place = counts.tested_in_place(scope, story)
    if in_place is None:
        name = counts.result(scope, story)
        if not name or counts.counted(scope, story, name):
            return None
    elif in_place:
        return None
    line = _used(story)
    if not line:
        return None
    step = Step(scope.fn.path, line, f"all {_asked(story)} pages are taken to be there")
    api = story.acquired.call.name
    text = f"{api}() may give fewer than {_asked(story)} pages, and {scope.fn.name}() only asks for an error"
    return _finding(view, story, text, (step,), 0.8, "sign alone")


def _used(story: Story) -> int:
    """Line of the first statement on a path to success that speaks of the pages, or of the return; 0 for none."""
    thing = story.thing
    good = [end for end in story.ends if end.fails is not True and end.hold in (HELD, KEPT, RELEASED)]
    if not good:
        return 0
    for node in thing.scope.cfg.nodes:
        behind = node.id in story.alive and node.id != story.acquired.node
        if behind and node.expr is not None and thing.speaks(node.expr, frozenset()):
            return node.line
    return good[0].line if thing.outlives and good[0].hold == HELD else 0


# -- (b) as many are released as were asked for


def _all_released(view: TreeView, story: Story) -> Finding | None:
    scope, asked = story.thing.scope, story.acquired.asked
    gives = frozenset(story.thing.resource.gives)
    if not asked or story.acquired.pieces:
        return None
    for given in sorted(story.given, key=lambda each: (not each.failed, each.line)):
        if given.full or given.recounted or counts.looked_at(scope, given.node, story):
            continue
        if asked in map(place, counts.released(scope, given.node, given.line, gives)):
            got = "nothing was got" if given.failed else "fewer may have been got"
            step = Step(scope.fn.path, given.line, f"{_asked(story)} pages are released where {got}")
            text = f"{scope.fn.name}() releases {_asked(story)} pages of {story.acquired.shown} where {got}"
            return _finding(view, story, text, (step,), 0.85, "released")
    return None


# -- (c) the count that was asked for is left for whoever cleans up


def _left_to_another(view: TreeView, story: Story) -> Finding | None:
    scope, asked = story.thing.scope, story.acquired.asked
    if len(asked) < 2 or asked[0] not in scope.params or not view.whole:
        return None
    left = [end for end in story.ends if end.fails and end.hold == HELD and not (end.full or end.recounted)]
    if not left or not story.outlives:
        return None
    gives = frozenset(story.thing.resource.gives)
    other = next(counts.counters(view, scope.fn, asked[1:], gives), None)
    if other is None or cleaned(view.of(PINS), story).verdict is not True:
        return None
    fn, line = other
    steps = (
        Step(scope.fn.path, left[0].line, f"{scope.fn.name}() fails and leaves {_asked(story)} as it was asked for"),
        Step(fn.path, line, f"{fn.name}() releases as many"),
    )
    text = (
        f"{scope.fn.name}() leaves {_asked(story)} as asked for when fewer were got, and {fn.name}() releases as many"
    )
    return _finding(view, story, text, steps, 0.8, "left")


# -- (d) zero is neither an error nor progress


def _nothing_told(view: TreeView, story: Story) -> Finding | None:
    scope = story.thing.scope
    zero = next((end for end in story.ends if end.zero), None)
    out = _out_parameter(story)
    if zero is None or out is None or not view.whole:
        return None
    caller = next(counts.trusting(view, scope.fn), None)
    if caller is None:
        return None
    fn, line = caller
    steps = (
        Step(scope.fn.path, out.line, "only where pages were got: " + (ir.show(out.expr) if out.expr else "")),
        Step(scope.fn.path, zero.line, f"{scope.fn.name}() returns 0 where none was got"),
        Step(fn.path, line, f"{fn.name}() asks for an error alone"),
    )
    text = f"{scope.fn.name}() returns 0 with nothing set when {story.acquired.call.name}() gives no page, and no error"
    return _finding(view, story, text, steps, 0.65, "sign alone")


def _out_parameter(story: Story) -> ir.Node | None:
    """Where something is stored through a parameter on a path that got pages."""
    scope = story.thing.scope
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Unary(op="*", operand=ir.Name(name=name))):
                if name in scope.params and node.id in story.alive:
                    return node
    return None


def _finding(
    view: TreeView, story: Story, message: str, steps: tuple[Step, ...], confidence: float, how: str
) -> Finding:
    fn, taken = story.thing.scope.fn, story.acquired
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=taken.line,
        anchor=f"{taken.call.name}:{'.'.join(taken.place)}",
        message=message,
        severity=Severity.WARNING if how == "sign alone" else Severity.ERROR,
        confidence=confidence - (0.1 if story.thing.scope.cfg.opaque else 0),
        steps=(Step(fn.path, taken.line, f"{taken.call.name}() is asked for {_asked(story)} pages"), *steps),
        need=Need.CALLS if how == "left" else Need.FILE,
        concern=f"pages of {'.'.join(taken.place)}",
        facts=(f"{taken.call.name}() returns how many pages it has {verb(view, story)}, which may be fewer",),
        advice="compare the answer with the number asked for, and go on with what was got",
        evidence=(taken.call.name, how),
        ask=f"what happens in {fn.name}() when {taken.call.name}() gives fewer than {_asked(story)} pages?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=TOKENS,
    requires=(PINS,),
    need=Need.FILE,
    cause_rank=15,
)
