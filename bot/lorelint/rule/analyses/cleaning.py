"""Callers that clean up: a function fails and leaves something in an object of its caller's. Is it released there?

Asked of each direct caller by the same walk as of the function itself: there the call *acquires* when it fails. A
caller that was handed the object by its own caller is followed upwards. Whether somebody cleans up after a function
that is called through a table is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.code import ir
from lorelint.model.finding import Step
from lorelint.rule.analyses.owners import Take
from lorelint.rule.analyses.places import FIELDS, place
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.thing import Acquired, Thing
from lorelint.rule.analyses.typestate import HELD, KEPT, LOST, RELEASED, Holding, Story

DEPTH = 3  # callers of callers
WIDE = 12  # callers looked at


class Cleaning(Struct, frozen=True):
    """The answer.

    verdict  True: every caller releases it or keeps it; False: one does not (`steps` prove it); None: not known
    why      for True and None, the reason in words
    """

    verdict: bool | None
    why: str
    steps: tuple[Step, ...] = ()


def cleaned(holding: Holding, story: Story, depth: int = DEPTH) -> Cleaning:
    """Whether those who call the function release what it leaves behind when it fails."""
    scope = story.thing.scope
    parts = tuple(sorted(_parts(scope, story.thing)))
    if not parts:
        return Cleaning(None, "it lies in an object that is not the caller's")
    if uses := holding.program.uses(scope.fn):
        use = uses[0]
        return Cleaning(None, f"{scope.fn.name}() is called through {use.type or 'a table'} ({use.path}:{use.line})")
    sites = holding.program.callers(scope.fn)
    if not sites or not depth:
        return Cleaning(None, f"no caller of {scope.fn.name}() is in sight" if depth else "the callers go on")
    if len(sites) > WIDE:
        return Cleaning(None, f"{scope.fn.name}() has {len(sites)} callers")
    answers: list[Cleaning] = []
    for fn in dict.fromkeys(site.fn for site in sites):
        for each in _calls(holding, Scope(holding.program, fn), scope, parts):
            answers.append(_caller(holding, each, scope.fn, depth))
    bad = [each for each in answers if each.verdict is False]
    unknown = [each for each in answers if each.verdict is None]
    if bad or unknown:
        return (bad or unknown)[0]
    return answers[0] if answers else Cleaning(None, f"no call of {scope.fn.name}() could be read")


def _parts(scope: Scope, thing: Thing) -> Iterator[tuple[int, tuple[str, ...]]]:
    for name in thing.names:
        if name[0] in scope.params:
            yield scope.params.index(name[0]), name[1:]


def _calls(
    holding: Holding, caller: Scope, callee: Scope, parts: tuple[tuple[int, tuple[str, ...]], ...]
) -> Iterator[Story]:
    take_success = "nothing" if "*" in callee.fn.returns else "error"
    for node in caller.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name != callee.fn.name:
                continue
            for at, fields in parts:
                if at < len(call.args) and (where := place(call.args[at])):
                    taken = Acquired(node.id, call, Take(at, take_success), (*where, *fields)[:FIELDS], False)
                    yield holding.story(caller, taken, _same(caller, node.id, call.args[at]))
                    break


def _same(caller: Scope, start: int, arg: ir.Expr) -> frozenset[int] | None:
    """Nodes behind the call at which an indexed argument still means the same element; None for all."""
    words = {
        part.name
        for each in ir.walk(arg)
        if isinstance(each, ir.Index)
        for part in ir.walk(each.index)
        if isinstance(part, ir.Name)
    }
    if not words:
        return None
    seen: set[int] = set()
    todo = [edge.to for edge in caller.cfg.nodes[start].out]
    while todo:
        here = todo.pop()
        if here in seen or _writes(caller.cfg.nodes[here], words):
            continue
        seen.add(here)
        todo.extend(edge.to for edge in caller.cfg.nodes[here].out)
    return frozenset(seen)


def _writes(node: ir.Node, words: set[str]) -> bool:
    for each in ir.walk(node.expr) if node.expr is not None else ():
        match each:
            case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)) if name in words:
                return True
    return False


def _caller(holding: Holding, story: Story, callee: ir.Function, depth: int) -> Cleaning:
    fn = story.thing.scope.fn
    call = Step(fn.path, story.acquired.line, f"{fn.name}() calls {callee.name}(), which fails")
    if story.cut:
        return Cleaning(None, f"{fn.name}() has too many paths")
    left = story.left()
    if left and story.outlives and left[0].hold != LOST:
        above = cleaned(holding, story, depth - 1)
        return Cleaning(above.verdict, above.why, (call, *above.steps))
    if left:
        end = left[0]
        made = tuple(Step(fn.path, line, text) for line, text in end.path[-3:])
        return Cleaning(False, "", (call, *made, Step(fn.path, end.line, f"{fn.name}() does not release it either")))
    for kind, verdict in ((HELD, None), (KEPT, None), (RELEASED, True)):
        for end in story.ends:
            if end.hold == kind and end.fails is not False:
                why = end.why if kind == KEPT else "it releases it" if kind == RELEASED else "its result cannot be read"
                return Cleaning(verdict, f"{fn.name}() ({fn.path}:{end.line}): {why}")
    return Cleaning(None, f"{fn.name}() does not fail with it")
