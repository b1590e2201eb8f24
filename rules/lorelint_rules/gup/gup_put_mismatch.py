"""gup-put-mismatch: pages from pin_user_pages() go back by put_page(), or the other way round

What it sees
    Pages that were pinned (FOLL_PIN) are released by put_page(), folio_put() or release_pages(); pages that were
    taken by get_user_pages() (FOLL_GET) are released by unpin_user_page(); or either are freed outright by
    __free_page(). In one function, or through a field that every function of the folder fills by one kind of call.

Why it hurts
    A pin is 1024 references of a page, or a count of its own in a large folio: put_page() gives one back and the
    page stays pinned for ever, unpin_user_page() of a page that was not pinned gives back 1024 that were never
    taken, and the page is freed while it is mapped. __free_page() frees what belongs to a process.

When it is silent
    - the call fits
    - the field or array is filled by both kinds, or by something else than GUP too
    - the function releases it in both ways, and a flag says which
    - an extra reference was taken in the function, and that is what goes back

Do this instead
    unpin for pin, put for get: unpin_user_page*() after pin_user_pages*(), put_page() after get_user_pages*().

References
    Documentation/core-api/pin_user_pages.rst, "unpin for pin, put for get"; include/linux/mm.h
    GUP_PIN_COUNTING_BIAS
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Fix, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir, regex
from lorelint.rule.analyses import fixes
from lorelint.rule.analyses.places import place
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.gup.filled import GET, OTHER, PIN, Field, Filling, field_of, filled, has_gup
from lorelint_rules.gup.pins import PINS, TAKES, is_pin

NAME = "gup-put-mismatch"
_UNPIN = ("unpin_user_page", "unpin_user_pages", "unpin_user_pages_dirty_lock", "unpin_user_folio", "unpin_folio")
_PUT = ("put_page", "folio_put", "release_pages", "__free_page", "__free_pages")
_EXTRA = regex(rb"\b(?:get_page|try_get_page|folio_get|folio_try_get|get_page_unless_zero|page_cache_get\w*)\s*\(")
_FREED = "free"

_AS_PINNED = {"put_page": "unpin_user_page", "__free_page": "unpin_user_page", "release_pages": "unpin_user_pages"}
_AS_TAKEN = {"unpin_user_page": "put_page", "__free_page": "put_page", "unpin_user_pages": "release_pages"}


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        if not has_gup(view, fn.path) or _EXTRA.search(fn.text):
            continue
        scope = Scope(view.program, fn)
        said: dict[str, Verdict] = {}
        made = tuple(_releases(view, scope))
        for node, call, how in made:
            verdict = _judge(view, scope, node, call, how)
            if isinstance(verdict, Finding) and how != _FREED and _either(scope, call, how, made):
                reason = f"{fn.name}() releases {ir.show(call.args[0])} in either way: something says which"
                verdict = Silence(NAME, fn.path, fn.name, call.line, reason)
            if verdict is not None:
                key = verdict.anchor if isinstance(verdict, Finding) else f"{call.line}"
                said.setdefault(key, verdict)
        yield from said.values()


def _releases(view: TreeView, scope: Scope) -> Iterator[tuple[ir.Node, ir.Call, str]]:
    """(node, call, PIN, GET or freed outright) of the releases of a function."""
    gives = view.of(PINS).resource.gives
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in gives and call.args:
                freed = view.know.has(call.name, "gup_wrong_release")
                yield node, call, _FREED if freed else PIN if view.know.has(call.name, "gup_unpin") else GET


def _judge(view: TreeView, scope: Scope, node: ir.Node, call: ir.Call, how: str) -> Verdict | None:
    fillings = _own(view, scope, node, call)
    where = ir.show(call.args[0])
    if not fillings and (field := _field(scope, call.args[0])):
        fillings = filled(view, scope.fn.path).get(field, ())
    if not fillings:
        return None
    kinds = {each.kind for each in fillings}
    fn = scope.fn
    if kinds == {how}:
        return Silence(NAME, fn.path, fn.name, call.line, f"{call.name}() fits {fillings[0].api}()")
    if len(kinds) > 1 or OTHER in kinds:
        reason = f"{where} is filled in more than one way: {', '.join(sorted({each.api for each in fillings}))}"
        return Silence(NAME, fn.path, fn.name, call.line, reason)
    return _finding(scope, call, how, fillings)


def _either(scope: Scope, call: ir.Call, how: str, made: tuple[tuple[ir.Node, ir.Call, str], ...]) -> bool:
    """Whether the same pages are also released in the other way by this function."""
    where = place(scope.resolve(call.args[0]))
    return any(kind not in (how, _FREED) and place(scope.resolve(each.args[0])) == where for _, each, kind in made)


def _own(view: TreeView, scope: Scope, node: ir.Node, call: ir.Call) -> tuple[Filling, ...]:
    """The calls of this function whose pages are released here."""
    fn = scope.fn
    if not any(name.encode() in fn.text for name in TAKES):
        return ()
    found = []
    for story in view.of(PINS).stories(fn):
        if node.id in story.alive and any(each.kind == "released" for each in story.thing.on(node)):
            api = story.acquired.call.name
            found.append(Filling(PIN if is_pin(view, api) else GET, api, fn.path, fn.name, story.acquired.line))
    return tuple(found)


def _field(scope: Scope, arg: ir.Expr) -> Field | None:
    """The field whose pages are released: written out, or through a local made from it."""
    if field := field_of(scope, place(arg)):
        return field
    many = scope.members(arg)
    return many[0] if len(many) == 1 else None


def _finding(scope: Scope, call: ir.Call, how: str, fillings: tuple[Filling, ...]) -> Finding:
    fn, source = scope.fn, fillings[0]
    what = "pinned" if source.kind == PIN else "taken"
    right = "unpin_user_page()" if source.kind == PIN else "put_page()"
    shown = ir.show(call.args[0])
    steps = [Step(each.path, each.line, f"{each.function}() fills it by {each.api}()") for each in fillings[:3]]
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=f"{call.name}:{source.api}",
        message=f"{call.name}() releases pages of {shown} that {source.api}() has {what}",
        severity=Severity.ERROR,
        confidence=0.9 if how == _FREED or source.function == fn.name else 0.85,
        steps=(*steps, Step(fn.path, call.line, f"{call.name}({shown})")),
        need=Need.FILE,
        concern=f"pages of {shown}",
        facts=tuple(_facts(how, source)),
        advice=f"release them by {right}",
        evidence=(source.api, call.name),
        ask=f"does {call.name}() fit the pages that {source.api}() gives?",
        fix=_fix(fn, call, source),
    )


def _fix(fn: ir.Function, call: ir.Call, source: Filling) -> Fix | None:
    """The release that takes the same arguments and fits."""
    right = (_AS_PINNED if source.kind == PIN else _AS_TAKEN).get(call.name, "")
    edits = fixes.swap(fn, call.line, call.name, right) if right else ()
    return Fix(fn.path, edits, f"{right}() gives back what {source.api}() took") if edits else None


def _facts(how: str, source: Filling) -> Iterator[str]:
    if how == _FREED:
        yield "a page from GUP belongs to a process or a file: only the reference may go back"
    elif source.kind == PIN:
        yield "a pin is more than one reference: put_page() gives one back, and the page stays pinned"
    else:
        yield "unpin_user_page() gives back more references than get_user_pages() takes"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(((*_UNPIN, *_PUT),)),
    requires=(PINS,),
    need=Need.FILE,
    cause_rank=25,
)
