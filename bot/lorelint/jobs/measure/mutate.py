"""Checks taken out of functions that a rule is silent about: it must speak; put back, it must be silent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256

from msgspec import Struct, field

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.jobs.measure.operators import OPERATORS, Operator, lists_of
from lorelint.jobs.measure.pool import Clock, add, shares, spread
from lorelint.jobs.scan import version_of
from lorelint.kernel.load import knowledge
from lorelint.model.measurement import Cut, Mutation
from lorelint.model.source import OpenTree
from lorelint.model.tree import OverlayTree, Tree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge
from lorelint.rule.outcome import Outcome

SHARE = 12  # cuts that one process takes at a time


class Place(Struct, frozen=True):
    """Where something can be cut: bytes `start` to `end` of a function's text become `instead`."""

    operator: str
    rule: str
    path: str
    function: str
    line: int
    text: bytes
    start: int
    end: int
    instead: bytes

    @property
    def without(self) -> bytes:
        return self.text[: self.start] + self.instead + self.text[self.end :]

    @property
    def digest(self) -> bytes:
        told = f"{self.operator}\0{self.path}\0{self.function}\0{self.line}"
        return sha256(told.encode("utf-8", "surrogateescape")).digest()


class _Part(Struct):
    cuts: list[Cut] = field(default_factory=list)
    loud: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def mutate(
    folders: Sequence[str],
    name: str,
    open_tree: Callable[[], OpenTree],
    rules: Sequence[Rule],
    *,
    processes: int = 1,
    sample: int = 0,
) -> tuple[Mutation, dict[str, float]]:
    """Take every check out that some operator knows how to, one at a time.

    folders    of the tree; "" or "." is all of it
    name       of the tree
    open_tree  with several processes a function of a module
    sample     at most so many cuts of each operator, the same ones every time; 0 for all
    """
    wanted = {rule.name for rule in rules}
    operators = tuple(each for each in OPERATORS if each.rule in wanted)
    tree = open_tree().tree
    chosen: list[Place] = []
    every = list(places(tree, folders, operators))
    for operator in operators:
        mine = [each for each in every if (each.operator, each.rule) == (operator.name, operator.rule)]
        chosen += sorted(mine, key=lambda each: each.digest)[: sample or len(mine)]
    chosen.sort(key=lambda each: (each.path, each.line, each.operator))
    total = _Part()
    do = partial(_cut_all, open_tree=open_tree, rules=tuple(rules))
    for part in spread(shares(tuple(chosen), SHARE), do, processes):
        total.cuts += part.cuts
        total.loud += part.loud
        add(total.seconds, part.seconds)
    cuts = sorted(total.cuts, key=lambda cut: (cut.rule, cut.operator, cut.path, cut.line))
    return Mutation(name, tuple(cuts), total.loud), total.seconds


def places(tree: Tree, folders: Sequence[str], operators: Sequence[Operator]) -> Iterator[Place]:
    """All places in some folders of a tree where something can be cut out of a function."""
    names = lists_of(knowledge(version_of(tree)))
    for path in sorted({path for folder in folders for path in tree.files("" if folder == "." else folder)}):
        raw = tree.read(path)
        if raw is None or not path.endswith(".c"):
            continue
        worth = [each for each in operators if each.admits(raw, names)]
        if worth:
            yield from _places(path, raw, worth, names)


def _places(
    path: str, raw: bytes, operators: Sequence[Operator], names: Callable[[str], frozenset[bytes]]
) -> Iterator[Place]:
    from lorelint.code.functions import functions

    for fn in functions(path, raw):
        if raw.count(fn.text) == 1:
            for operator in operators:
                yield from _of(fn, operator, names)


def _of(fn: Function, operator: Operator, names: Callable[[str], frozenset[bytes]]) -> Iterator[Place]:
    for (start, end), instead in operator.cuts(fn, names):
        line = fn.first_line + fn.text.count(b"\n", 0, start)
        yield Place(operator.name, operator.rule, fn.path, fn.name, line, fn.text, start, end, instead)


def _cut_all(cuts: Sequence[Place], open_tree: Callable[[], OpenTree], rules: Sequence[Rule]) -> _Part:
    part, clock, tree = _Part(), Clock(), open_tree().tree
    known = {rule.name: rule for rule in clock.timed(rules)}
    for place in cuts:
        one = attempt(tree, place, known[place.rule])
        if one is None:
            part.loud += 1
        else:
            part.cuts.append(one)
    part.seconds = clock.seconds
    return part


def attempt(tree: Tree, place: Place, rule: Rule) -> Cut | None:
    """What the rule makes of the function without the check, and with it; None where it speaks of it as it is."""
    raw = tree.read(place.path)
    assert raw is not None
    whole = _ask(tree, place, rule, raw)
    if whole is None or whole.defects:
        return None
    cut = _ask(tree, place, rule, raw.replace(place.text, place.without))
    back = _ask(tree, place, rule, raw.replace(place.text, place.without).replace(place.without, place.text))
    silences = () if cut is None else cut.silences + cut.doubts
    return Cut(
        operator=place.operator,
        rule=place.rule,
        path=place.path,
        function=place.function,
        line=place.line,
        spoke=cut is not None and bool(cut.defects),
        restored=back is not None and not back.defects,
        why="; ".join(dict.fromkeys(each.reason for each in silences)),
    )


def _ask(tree: Tree, place: Place, rule: Rule, raw: bytes) -> Outcome | None:
    """What the rule says of the function in a tree of its own; None where the function can no longer be read."""
    program = Program(OverlayTree(tree, {place.path: raw}), knowledge(version_of(tree)))
    fn = program.function(place.path, place.function)
    return None if fn is None else Judge(program).judge(rule, fn)
