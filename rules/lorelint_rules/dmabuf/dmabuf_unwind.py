"""dmabuf-unwind: what an importer has taken of a dma-buf is not given back, or given back twice, when it fails

What it sees
    dma_buf_get(), dma_buf_attach(), dma_buf_pin() or dma_buf_map_attachment() has succeeded, and on some path
    the function then fails without having undone it: not itself, not by a destructor, not by its caller. Or it
    has undone it, and then drops an object of its own whose destructor undoes it once more. Or it does not look
    at what dma_buf_pin() said.

Why it hurts
    What is left behind pins the exporter's memory for as long as the machine runs, and a user who can make the
    call fail repeats it. Detached or put a second time, the attachment or the dma-buf is used after it was freed.

When it is silent
    - undone on that path, in whatever helper; undone by the destructor of the object it is kept in
    - put where it outlives the function: the object's own end undoes it
    - the destructor undoes what is set in the object, and the path has not set it
    - the caller undoes what is left

Do this instead
    Undo in reverse: unmap, unpin, unlock, detach, put; each label does one step and falls into the next. Where an
    object's destructor does all of it, leave it to the destructor alone.

References
    drivers/dma-buf/dma-buf.c; drivers/gpu/drm/drm_prime.c drm_gem_prime_import_dev() (right);
    Documentation/driver-api/dma-buf.rst
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir
from lorelint.rule.analyses.cleaning import Cleaning, cleaned
from lorelint.rule.analyses.owners import RESULT
from lorelint.rule.analyses.typestate import HELD, KEPT, LOST, RELEASED, End, Holding, Story
from lorelint_rules.dmabuf import again
from lorelint_rules.dmabuf.holds import HOLDINGS, TOKENS

NAME = "dmabuf-unwind"
_PATH = 6  # decisions told


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        said: dict[str, Verdict] = {}
        for what, holding, gives in HOLDINGS:
            for story in view.of(holding).stories(fn):
                verdict = _judge(view, view.of(holding), story, what, next(iter(gives)))
                key = f"{what} {_name(story)} {type(verdict).__name__}"
                said.setdefault(key, verdict)
        for double in again.doubles(view, fn):
            verdict = _double(fn, double)
            said[verdict.anchor] = verdict
        yield from said.values()
        yield from _ignored(view, fn)


def _name(story: Story) -> str:
    return ".".join(story.acquired.place)


def _in_local(story: Story) -> bool:
    """Whether it is in a local that the function made, as long as nobody has stored it: no caller can give it back."""
    scope, place = story.thing.scope, story.acquired.place
    if len(place) != 1 or place[0] in scope.params:
        return False
    return story.acquired.take.thing == RESULT or isinstance(scope.value(place[0]), ir.Call)


def _judge(view: TreeView, holding: Holding, story: Story, what: str, release: str) -> Verdict:
    fn = story.thing.scope.fn
    line = story.acquired.line
    if story.cut:
        return Doubt(NAME, fn.path, fn.name, line, f"{what} {_name(story)}", "too many paths")
    left = story.left()
    if not left:
        return _silence(story, what)
    end = left[0]
    if end.hold == LOST or not story.outlives or _in_local(story):
        return _finding(story, end, what, release, Cleaning(False, ""))
    if not view.whole:
        return Doubt(NAME, fn.path, fn.name, line, f"{what} {_name(story)}", "the callers are not in sight")
    above = cleaned(holding, story)
    if above.verdict is None:
        return Doubt(NAME, fn.path, fn.name, end.line, f"{what} {_name(story)}", above.why)
    if above.verdict:
        reason = f"the {what} is given back by the caller: {above.why}"
        return Silence(NAME, fn.path, fn.name, end.line, reason)
    return _finding(story, end, what, release, above)


def _silence(story: Story, what: str) -> Silence:
    fn, taken = story.thing.scope.fn, story.acquired
    failing = [end for end in story.ends if end.fails is not False]
    released = next((end for end in failing if end.hold == RELEASED), None)
    if released is not None:
        step = Step(fn.path, int(released.why), "it is given back here")
        reason = f"the {what} of {taken.shown} is given back before the function fails"
        return Silence(NAME, fn.path, fn.name, taken.line, reason, (step,))
    kept = next((end for end in failing if end.hold == KEPT), None)
    reason = f"the function does not fail once it has the {what} of {taken.shown}"
    if kept is not None:
        reason = f"the {what} of {taken.shown} is not the function's own: {kept.why}"
    elif any(end.hold == HELD for end in story.ends):
        reason = f"the {what} of {taken.shown} is handed on to the caller"
    return Silence(NAME, fn.path, fn.name, taken.line, reason)


def _finding(story: Story, end: End, what: str, release: str, above: Cleaning) -> Finding:
    fn, taken = story.thing.scope.fn, story.acquired
    made = [Step(fn.path, line, text) for line, text in end.path[-_PATH:]]
    first = Step(fn.path, taken.line, f"{taken.call.name}() succeeds")
    text = f"{fn.name}() fails and has not given it back" if end.hold != LOST else f"{fn.name}() fails; {end.why}"
    others = [each for each in story.ends if each.fails and each.hold == RELEASED]
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=taken.line,
        anchor=f"{what} {_name(story)}",
        message=f"the {what} that {taken.call.name}() gave is left behind when {fn.name}() fails in line {end.line}",
        severity=Severity.WARNING,
        confidence=0.75 if above.steps or story.thing.scope.cfg.opaque else 0.85,
        steps=tuple(dict.fromkeys((first, *made, Step(fn.path, end.line, text), *above.steps))),
        need=Need.CALLS if above.steps else Need.FILE,
        concern=f"unwinding of {fn.name}",
        facts=tuple(f"another failing path gives it back ({fn.path}:{each.why})" for each in others[:1]),
        advice=f"call {release}() on this way out too",
        evidence=(what, taken.call.name, end.hold),
        ask=f"who gives back the {what} of {taken.shown} when {fn.name}() fails here?",
    )


def _double(fn: ir.Function, double: again.Double) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=double.second.line,
        anchor=f"again {double.what}",
        message=f"{double.api}() has undone {double.what}, and {double.by}() undoes it again",
        severity=Severity.ERROR,
        confidence=0.85,
        steps=(*double.set, double.first, double.second, *double.below),
        need=Need.FILE,
        concern=f"unwinding of {fn.name}",
        facts=("the first of them may free it: the second is a use after free",),
        advice="leave the unwinding to the destructor, or clear the field behind the first",
        evidence=("again", double.api),
        ask=f"is {double.what} undone twice when {fn.name}() fails?",
    )


def _ignored(view: TreeView, fn: ir.Function) -> Iterator[Verdict]:
    """dma_buf_pin() whose result nobody looks at."""
    for node in view.program.cfg(fn).nodes:
        if node.at is ir.At.DO and isinstance(node.expr, ir.Call) and node.expr.name == "dma_buf_pin":
            yield Finding(
                rule=NAME,
                path=fn.path,
                function=fn.name,
                line=node.line,
                anchor="dma_buf_pin",
                message="what dma_buf_pin() says is not looked at: the exporter may refuse, and the buffer moves",
                severity=Severity.WARNING,
                confidence=0.8,
                steps=(Step(fn.path, node.line, f"{ir.show(node.expr)} stands alone"),),
                need=Need.PATCH,
                concern=f"unwinding of {fn.name}",
                advice="go on only if dma_buf_pin() returned 0",
                evidence=("ignored", "dma_buf_pin"),
                ask=f"what if the exporter refuses to pin in {fn.name}()?",
            )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=TOKENS,
    requires=tuple(holding for _, holding, _ in HOLDINGS),
    need=Need.CALLS,
    cause_rank=25,
)
