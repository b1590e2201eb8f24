"""Functions of a file that pin for their caller: to call one is to pin.

Either into an array of the caller's, and they hand on how many; or into one that they make, and they hand on that.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import TreeView, ir
from lorelint.rule.analyses.owners import RESULT
from lorelint.rule.analyses.places import place
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.thing import Acquired, result
from lorelint.rule.analyses.typestate import HELD, KEPT, LOST, Story, Take
from lorelint_rules.gup.pins import PINS

_COUNT = frozenset({"int", "long", "ssize_t", "s32", "s64"})
_ARRAY = frozenset({"struct page **", "struct folio **"})


def stories(view: TreeView, fn: ir.Function) -> Iterator[tuple[Story, Story]]:
    """What becomes of pages that a helper of the file has pinned for a function; and of the same in there."""
    found: list[tuple[ir.Node, ir.Call, Take, Story]] = []
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            made = _take(view, fn, call.name)
            if made is not None and made[0].thing < len(call.args):
                found.append((node, call, *made))
    scope = Scope(view.program, fn) if found else None
    for node, call, take, inner in found:
        where = result(node, call) if take.thing == RESULT else place(call.args[take.thing])
        if where and scope is not None:
            yield view.of(PINS).story(scope, Acquired(node.id, call, take, where, False)), inner


def _take(view: TreeView, fn: ir.Function, name: str) -> tuple[Take, Story] | None:
    """How a call of this name acquires, where it is such a helper of the file."""
    callee = view.program.function(fn.path, name) if name and name != fn.name else None
    if callee is None or callee.returns not in _COUNT | _ARRAY:
        return None
    key = ("pins for its caller", callee.path, callee.name, callee.line)
    return view.program.memo(key, lambda: _handing_on(view, callee))


def _handing_on(view: TreeView, callee: ir.Function) -> tuple[Take, Story] | None:
    pins = any(api.encode() in callee.text for api in view.of(PINS).resource.takes)
    many = view.of(PINS).stories(callee) if pins else ()
    if len(many) != 1 or many[0].cut:
        return None
    take = _made(many[0]) if callee.returns in _ARRAY else _filled(many[0])
    return None if take is None else (take, many[0])


def _made(story: Story) -> Take | None:
    """The array is what is returned, wherever it has not failed, and nobody else has it."""
    nodes, where = story.thing.scope.cfg.nodes, story.acquired.place
    good = [end for end in story.ends if end.hold in (HELD, KEPT)]
    given = [nodes[end.node].expr for end in good if end.hold == HELD or end.why.endswith(" is returned")]
    whole = bool(good) and len(given) == len(good) and all(each and place(each) == where for each in given)
    return Take(RESULT, "pointer") if whole else None


def _filled(story: Story) -> Take | None:
    """The array is a parameter, and how many is what is returned."""
    taken, scope = story.acquired, story.thing.scope
    params = [param.name for param in scope.fn.params]
    if taken.take.success != "positive" or len(taken.place) != 1 or taken.place[0] not in params:
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
    return Take(params.index(taken.place[0]), "positive", count)
