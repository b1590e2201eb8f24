"""gup-pin-leak: pages stay pinned when a function fails

What it sees
    pin_user_pages() or get_user_pages(), by whatever variant, gave pages, also fewer than were asked for, and on
    some path the function then reports failure without releasing them, without having put them where a later
    release finds them, and without a caller that releases what was left. A release of as many as were had before
    the last call is none of what that gave. Or the array that names them is freed while they are held; or the
    function ends well, and only a local of its own has named them and no call was handed it.

Why it hurts
    A page that stays pinned is never freed, migrated or reclaimed, and whatever it was accounted to stays charged.
    A user who can make the call fail can repeat it until no memory is left.

When it is silent
    - the pages are released on that path: by a loop over them, by a helper, by an error label
    - they were put into an object that outlives the function, a list, a scatterlist of such an object
    - the count is stored and the caller, or the destructor it calls, releases as many
    - the call failed, or its result says that nothing was pinned
    - the release stands under a test of a count or flag that was set on the way
    - the number of pages is returned, and with it the duty to release them

Do this instead
    Release what the call gave, not what was asked for, on each way out behind it: unpin_user_pages(pages, pinned).
    Store the count before the first jump to an error label.

References
    Documentation/core-api/pin_user_pages.rst; mm/gup.c: "the caller must release the pages"; get_user_pages()
    may return fewer pages than asked for; drivers/infiniband/hw/usnic/usnic_uiom.c (6.12 and 7.2) leaves those of
    a batch that are not yet in its list
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir
from lorelint.rule.analyses.cleaning import Cleaning, cleaned
from lorelint.rule.analyses.handed import looked_at
from lorelint.rule.analyses.typestate import HELD, KEPT, LOST, RELEASED, End, Story
from lorelint_rules.gup import wrappers
from lorelint_rules.gup.pins import HELPED, PINS, counterpart, is_pin, verb

NAME = "gup-pin-leak"
_PATH = 6  # decisions told


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        said: dict[str, Verdict] = {}
        own = ((story, story.acquired.call.name) for story in view.of(PINS).stories(fn))
        above = ((story, inner.acquired.call.name) for story, inner in wrappers.stories(view, fn))
        for story, api in (*own, *above):
            verdict = _judge(view, story, api)
            anchor = (
                f"{story.acquired.call.name}:{story.acquired.line if isinstance(verdict, Silence) else _anchor(story)}"
            )
            said.setdefault(anchor, verdict)
        yield from said.values()


def _anchor(story: Story) -> str:
    return ".".join(story.acquired.place)


def _judge(view: TreeView, story: Story, api: str) -> Verdict:
    """The verdict on one call; `api` is what pins, in the helper where it is one."""
    fn = story.thing.scope.fn
    if story.cut:
        return Doubt(NAME, fn.path, fn.name, story.acquired.line, _anchor(story), "too many paths")
    left = story.left() or _forgotten(story)
    if not left:
        return _silence(view, story)
    end = left[0]
    if end.hold == LOST or not story.outlives:
        return _finding(view, story, api, end, Cleaning(False, ""))
    if not view.whole:
        return Doubt(NAME, fn.path, fn.name, story.acquired.line, _anchor(story), "the callers are not in sight")
    above = cleaned(view.of(PINS), story)
    if above.verdict is None:
        return Doubt(NAME, fn.path, fn.name, end.line, _anchor(story), above.why)
    if above.verdict:
        reason = f"the pages that are left in {story.acquired.shown} are released by the caller: {above.why}"
        return Silence(NAME, fn.path, fn.name, end.line, reason)
    return _finding(view, story, api, end, above)


def _forgotten(story: Story) -> tuple[End, ...]:
    """Ends of success, not those that return how many, at which a local alone still names the pages."""
    fn, nodes = story.thing.scope.fn, story.thing.scope.cfg.nodes
    if story.outlives or story.thing.lasting(story.acquired.place[0]) or _handed(story):
        return ()
    held = [end for end in story.ends if end.hold == HELD and not end.fails]
    nothing = fn.returns.split()[-1:] == ["void"]
    return tuple(
        end for end in held if (nothing if nodes[end.node].expr is None else end.fails is False and not end.answers)
    )


def _handed(story: Story) -> str:
    """The call that is handed the pages, a number made of one, or the object they lie in, "" for none: a callee may
    keep them by ways that are not followed (a PFN in a table, a work item)."""
    thing, nodes = story.thing, story.thing.scope.cfg.nodes
    known = thing.resource.gives.keys() | thing.resource.takes.keys()
    for node in (nodes[id_] for id_ in sorted(story.alive)):
        if any(effect.kind == "lost" for effect in thing.on(node)):
            continue
        for call in ir.calls(node.expr):
            carried = call.name not in known and any(thing.carries(arg, frozenset()) for arg in call.args)
            if carried and not looked_at(thing, call):
                return call.name or ir.show(call.callee)
    return ""


def _silence(view: TreeView, story: Story) -> Silence:
    fn, taken = story.thing.scope.fn, story.acquired
    failing = [end for end in story.ends if end.fails is not False]
    kept = next((end for end in failing if end.hold == KEPT), None)
    released = next((end for end in failing if end.hold == RELEASED), None)
    if released is not None:
        reason = f"the pages of {taken.shown} are released before the function fails"
        steps = [Step(fn.path, int(released.why), "they are released here")]
        if kept is not None:
            reason += f", or somebody else has them: {kept.why}"
        return Silence(NAME, fn.path, fn.name, taken.line, reason, tuple(steps))
    if kept is not None:
        return Silence(
            NAME, fn.path, fn.name, taken.line, f"the pages of {taken.shown} are not the function's own: {kept.why}"
        )
    if any(end.hold == HELD for end in story.ends):
        to = _handed(story)
        reason = f"the result of {taken.call.name}() is handed on to the caller, with what it gave"
        if to:
            reason = f"the pages of {taken.shown} are handed to {to}(), which may keep them"
        return Silence(NAME, fn.path, fn.name, taken.line, reason)
    return Silence(
        NAME, fn.path, fn.name, taken.line, f"the function does not fail once it has {verb(view, story)} pages"
    )


def _finding(view: TreeView, story: Story, api: str, end: End, above: Cleaning) -> Finding:
    fn, taken = story.thing.scope.fn, story.acquired
    release, word = counterpart(view, api), "pinned" if is_pin(view, api) else "taken"
    made = [Step(fn.path, line, text) for line, text in end.path[-_PATH:]]
    first = Step(fn.path, taken.line, f"{taken.call.name}() has {word} pages of {taken.shown}")
    how = "fails" if end.fails else "returns"
    last = Step(fn.path, end.line, f"{fn.name}() {how} and has not released them")
    if end.hold == LOST:
        last = Step(fn.path, end.line, f"{fn.name}() fails; {end.why}: nothing can release them any more")
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=taken.line,
        anchor=f"{taken.call.name}:{_anchor(story)}",
        message=f"pages that {taken.call.name}() has {word} in {taken.shown} are not released when "
        f"{fn.name}() {how} in line {end.line}",
        severity=Severity.WARNING,
        confidence=_confidence(story, end, above),
        steps=tuple(dict.fromkeys((first, *made, last, *above.steps))),
        need=Need.CALLS if above.steps else Need.FILE,
        concern=f"pages of {_anchor(story)}",
        facts=tuple(_facts(story, api, end, above)),
        advice=f"release what {taken.call.name}() gave, by {release}(), on this way out too",
        evidence=(taken.call.name, end.hold, "caller" if above.steps else "own"),
        ask=f"who releases the pages of {taken.shown} when {fn.name}() {how} here?",
    )


def _confidence(story: Story, end: End, above: Cleaning) -> float:
    if above.steps:
        return 0.75
    return 0.85 if not story.thing.scope.cfg.opaque else 0.7


def _facts(story: Story, api: str, end: End, above: Cleaning) -> Iterator[str]:
    taken = story.acquired
    some = api == taken.call.name and taken.take.count is not None and not taken.one
    if some and any("!=" in text or "<" in text for _, text in end.path[:1]):
        yield f"{taken.call.name}() may give fewer pages than it was asked for, and those it gave are to be released"
    others = [each for each in story.ends if each.fails and each.hold == RELEASED]
    if others:
        fn = story.thing.scope.fn
        yield f"another failing path releases them ({fn.path}:{others[0].why})"
    if above.steps:
        yield "the callers were looked at, and do not release them either"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=HELPED,
    requires=(PINS,),
    need=Need.CALLS,
    cause_rank=20,
)
