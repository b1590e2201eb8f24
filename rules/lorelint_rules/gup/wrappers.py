"""Functions of a file that pin into an array of their caller's and hand on how many: to call one is to pin."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import TreeView, ir
from lorelint.rule.analyses.places import place
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.thing import Acquired
from lorelint.rule.analyses.typestate import HELD, LOST, Story, Take
from lorelint_rules.gup.pins import PINS

_COUNT = frozenset({"int", "long", "ssize_t", "s32", "s64"})


def stories(view: TreeView, fn: ir.Function) -> Iterator[tuple[Story, str]]:
    """What becomes of pages that a helper of the file has pinned for a function; and the call that pins in there."""
    found: list[tuple[int, ir.Call, Take, str]] = []
    scope: Scope | None = None
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            made = _take(view, fn, call.name)
            if made is not None and made[0].thing < len(call.args):
                found.append((node.id, call, *made))
    for node_id, call, take, api in found:
        scope = scope or Scope(view.program, fn)
        where = place(call.args[take.thing])
        if where:
            yield view.of(PINS).story(scope, Acquired(node_id, call, take, where, False)), api


def _take(view: TreeView, fn: ir.Function, name: str) -> tuple[Take, str] | None:
    """How a call of this name acquires, where it is such a helper of the file."""
    callee = view.program.function(fn.path, name) if name and name != fn.name else None
    if callee is None or callee.returns not in _COUNT:
        return None
    key = ("pins for its caller", callee.path, callee.name, callee.line)
    return view.program.memo(key, lambda: _handing_on(view, callee))


def _handing_on(view: TreeView, callee: ir.Function) -> tuple[Take, str] | None:
    params = [param.name for param in callee.params]
    many = (
        view.of(PINS).stories(callee)
        if any(api.encode() in callee.text for api in view.of(PINS).resource.takes)
        else ()
    )
    if len(many) != 1:
        return None
    story = many[0]
    taken, scope = story.acquired, story.thing.scope
    if story.cut or taken.take.success != "positive" or len(taken.place) != 1 or taken.place[0] not in params:
        return None
    held = [end for end in story.ends if end.hold == HELD and not end.fails]
    if not held or len(held) != len([end for end in story.ends if end.hold in (HELD, LOST)]):
        return None
    for end in held:
        given = scope.cfg.nodes[end.node].expr
        if given is not taken.call and not (isinstance(given, ir.Name) and taken.call in scope.values(given.name)):
            return None
    asked = taken.call.args[taken.take.count] if taken.take.count is not None else None
    count = params.index(asked.name) if isinstance(asked, ir.Name) and asked.name in params else None
    return Take(params.index(taken.place[0]), "positive", count), taken.call.name
