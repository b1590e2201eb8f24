"""How long pages are kept: where they are put, who releases them, and by which entries both are reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir, regex
from lorelint.rule.analyses import nearby
from lorelint.rule.analyses.entry import Entry, Kind
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.places import Place, place
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.typestate import HELD, KEPT, Story
from lorelint_rules.gup.filled import Field, field_of
from lorelint_rules.gup.pins import PINS

_UP = 6  # callers climbed
_WIDE = 60
_SMALL = 1000  # bytes of a helper that does no more than to release a page
_PAGE = regex(r"(?:const )?struct (?:page|folio) \*{1,2}$")
_FROM_NUMBER = frozenset({"pfn_to_page", "phys_to_page", "virt_to_page", "pfn_folio", "virt_to_folio"})
_COMPLETES = regex(r"callback|complet|done|end_io|endio|irq|interrupt|work|timer|thread|bi_end")
#: An operation of a table that undoes what another one of the same table has done: ``unreg_region``, ``reg_region``.
_UNDOES = regex(r"(?:^|(?<=_))un(?=(?:reg|register|pin|bind|set)(?:_|$))")
_POINTER = frozenset({("", "")})  # a call through a pointer has no name
_LATER = frozenset({Kind.CLOSE, Kind.REMOVE, Kind.END})


class Release(Struct, frozen=True):
    """A call in another function that releases what was kept."""

    fn: ir.Function
    line: int
    api: str


class Reach(Struct, frozen=True):
    """An entry of the kernel, and the function that is entered there."""

    function: str
    entry: Entry

    @property
    def ends(self) -> bool:
        """Whether it is entered at the end of a file, an object or a device: what it releases was kept till then."""
        return self.entry.kind in _LATER or (self.entry.kind is Kind.FREE and self.entry.table != "")

    def undoes(self, other: Reach) -> bool:
        """Whether it is the operation that undoes another one of the same table."""
        here, there = self.entry, other.entry
        return here.table == there.table != "" and _UNDOES.sub("", here.field, count=1) == there.field != here.field

    @property
    def completes(self) -> bool:
        """Whether it is entered when some work has completed: then the pages were kept for that work."""
        return self.entry.kind is Kind.ASYNC or _COMPLETES.search(self.entry.step.text.split("=")[0]) is not None


def kept(story: Story) -> tuple[Field, ...]:
    """Fields of objects that outlive the function which hold the pages when it has succeeded."""
    if not any(end.fails is not True and end.hold in (HELD, KEPT) for end in story.ends):
        return ()
    return fields(story)


def fields(story: Story) -> tuple[Field, ...]:
    """All fields by which the pages are known to the function."""
    scope, thing = story.thing.scope, story.thing
    found: dict[Field, None] = {}
    for name in (*sorted(thing.names), *_entered(story)):
        if len(name) > 1 and (field := field_of(scope, name)):
            found[field] = None
    return tuple(found)


def _entered(story: Story) -> Iterator[Place]:
    """Entries of scatterlists that get a page of it."""
    for node in story.thing.scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name == "sg_set_page" and len(call.args) > 1 and story.thing.speaks(call.args[1], frozenset()):
                yield place(call.args[0])


def as_number(story: Story) -> bool:
    """Whether an address or PFN of the page leaves the function in place of the page."""
    scope, thing = story.thing.scope, story.thing
    if not any(end.fails is not True and end.hold in (HELD, KEPT) for end in story.ends):
        return False
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Unary(op="*", operand=ir.Name(name=name)), value=value):
                if name in scope.params and node.id in story.alive and thing.speaks(value, frozenset()):
                    return True
    return False


def releases(
    view: TreeView, story: Story, where: tuple[Field, ...], *, number: bool, below: bool = False
) -> Iterator[Release]:
    """Calls of other functions of the folder that release these fields, or pages found by their number.

    below  by helpers of the file too
    """
    fn = story.thing.scope.fn
    gives = view.of(PINS).resource.gives
    words = tuple(name.encode() for name in gives)
    paths = (fn.path,) if number else beside(view.program, folder_of(fn.path))
    names = tuple(field[1].encode() for field in where)
    for path in paths:
        raw = view.program.raw(path) or b""
        if not path.endswith(".c") or not any(word in raw for word in words):
            continue
        if not number and not any(name in raw for name in names):
            continue
        helpers = _helpers(view, path, words) if below and not number else {}
        near = (*words, *(name.encode() for name in helpers))
        for other in view.program.functions(path):
            if other != fn and any(word in other.text for word in near):
                yield from _in(view, other, where, {**dict.fromkeys(gives, 0), **helpers}, number=number)


def _helpers(view: TreeView, path: str, words: tuple[bytes, ...]) -> dict[str, int]:
    """Functions of a file that release the page which they are handed, and by which argument (from 0)."""
    owners = view.of(PINS).owners
    found = {}
    for each in view.program.functions(path):
        if len(each.text) < _SMALL and any(word in each.text for word in words):
            for at, more in sorted(owners.of(each).released):
                if not more and at < len(each.params) and _PAGE.match(each.params[at].type):
                    found[each.name] = at
    return found


def _in(
    view: TreeView, fn: ir.Function, where: tuple[Field, ...], gives: Mapping[str, int], *, number: bool
) -> Iterator[Release]:
    scope = Scope(view.program, fn)
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            at = gives.get(call.name, -1)
            if not 0 <= at < len(call.args):
                continue
            arg = call.args[at]
            if number:
                value = scope.resolve(arg)
                if isinstance(value, ir.Call) and value.name in _FROM_NUMBER:
                    yield Release(fn, call.line, call.name)
            elif field_of(scope, place(arg)) in where or any(each in where for each in scope.members(arg)):
                yield Release(fn, call.line, call.name)


def reached(view: TreeView, fn: ir.Function) -> tuple[Reach, ...]:
    """The entries from which a function is come to, by direct calls."""
    key = ("gup reached", fn.path, fn.name, fn.line)
    return view.program.memo(key, lambda: tuple(_reached(view, fn)))


def _reached(view: TreeView, fn: ir.Function) -> Iterator[Reach]:
    seen = {fn.key}
    level = [fn]
    for _ in range(_UP):
        above: list[ir.Function] = []
        for each in level:
            for entry in nearby.entered(view.program, each):
                yield Reach(each.name, entry)
            for site in nearby.callers(view.program, each):
                if site.fn.key not in seen and len(seen) < _WIDE:
                    seen.add(site.fn.key)
                    above.append(site.fn)
        level = above


def later(view: TreeView, story: Story, many: tuple[Release, ...]) -> tuple[Release, Reach] | str:
    """A release that another entry leads to; or why there is none."""
    begins = reached(view, story.thing.scope.fn)
    own = {each.function for each in begins}
    found: tuple[Release, Reach] | None = None
    for release in many:
        for reach in reached(view, release.fn):
            if reach.completes:
                return f"{release.fn.name}() releases them when the work is done ({reach.entry.step.text})"
            ends = reach.ends or any(map(reach.undoes, begins))
            if reach.function not in own and ends and found is None:
                found = (release, reach)
    if found is None:
        found = next(_by_command(view, story.thing.scope.fn, many), None)
    if found is None:
        names = ", ".join(sorted({each.fn.name for each in many}))
        return f"the end of no file, object or device leads to {names}()"
    return found


def _by_command(view: TreeView, fn: ir.Function, many: tuple[Release, ...]) -> Iterator[tuple[Release, Reach]]:
    """Releases for which another command is given: no function above both comes to them on one way through it."""
    above = _above(view, fn)
    if any(release.fn.key in above for release in many):
        return  # whoever pins them lets go of them, too
    if any(_one_way(view, caller, above.keys(), _POINTER) for caller in above.values()):
        return  # or may, through a pointer
    for release in many:
        if fn.key in (others := _above(view, release.fn)):
            continue
        both = [caller for key, caller in above.items() if key in others]
        names = {caller.name for caller in both}
        if not any(_one_way(view, caller, above.keys(), others.keys()) for caller in both):
            reaches = reached(view, release.fn)
            yield from ((release, each) for each in reaches if each.entry.kind is Kind.USER and each.function in names)


def _above(view: TreeView, fn: ir.Function) -> dict[tuple[str, str], ir.Function]:
    """A function and those that come to it by direct calls."""

    def climb() -> dict[tuple[str, str], ir.Function]:
        seen, level = {fn.key: fn}, [fn]
        for _ in range(_UP):
            level = [site.fn for each in level for site in nearby.callers(view.program, each)]
            level = [each for each in level if each.key not in seen and len(seen) < _WIDE]
            seen.update((each.key, each) for each in level)
        return seen

    return view.program.memo(("gup above", fn.path, fn.name, fn.line), climb)


def _one_way(view: TreeView, caller: ir.Function, above: Set[tuple[str, str]], others: Set[tuple[str, str]]) -> bool:
    """Whether a function comes, behind a call towards the one, to a call towards the other."""
    cfg = view.program.cfg(caller)
    ups, downs = ({name for _, name in keys} for keys in (above, others))
    named = [(node.id, {call.name for call in ir.calls(node.expr)}) for node in cfg.nodes]
    froms = [id_ for id_, names in named if names & ups]
    tos = {id_ for id_, names in named if names & downs}
    return any(flow.reaches(cfg, (id_,), tos - {id_}) is not None for id_ in froms)


def step(release: Release, reach: Reach) -> tuple[Step, ...]:
    return (
        reach.entry.step,
        Step(release.fn.path, release.line, f"{release.fn.name}() releases them, reached from {reach.function}()"),
    )
