"""What people said in the thread beside what the rules found: comments put into the tree, findings that were raised.

A finding is raised where a reviewer spoke of the same place (the function of the finding, or one that the proofs of
its concern go through) in words of the rule's vocabulary. Words that only hint, or a place that is not sure, make the
link unsure: both are shown and the mail is held. Authors and robots raise nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code.program import Program
from lorelint.mail.comments import comments
from lorelint.model.base import Applied
from lorelint.model.comment import Comment, Raised, Role
from lorelint.model.finding import Concern, Finding, Judged
from lorelint.model.mail import Series, Thread
from lorelint.model.regex import regex
from lorelint.model.tree import Tree
from lorelint.model.trouble import Trouble
from lorelint.report.place import PatchMap, Source
from lorelint.rule.door import Rule, Vocabulary
from lorelint.rule.vocabulary import Met, met

NEAR = 5  # lines between a comment outside any function and a step of a proof that are one place
SPELT = 6  # letters; a comment that spells the name of a finding's function speaks of that function
MOST = 20  # comments that are linked to one finding
MAX_SPOKEN = 2_000_000  # characters of comments that are looked through for words, in one thread

_IDENTIFIER = regex(r"[A-Za-z_]\w*")


class Heard(Struct, frozen=True):
    """The comments on a series, and the findings with what raised them."""

    comments: tuple[Comment, ...]
    judged: tuple[Judged, ...]
    troubles: tuple[Trouble, ...]


def hear(
    thread: Thread,
    series: Series,
    applied: Applied,
    judged: Sequence[Judged],
    concerns: Sequence[Concern],
    rules: Sequence[Rule],
    program: Callable[[Tree], Program],
) -> Heard:
    """What the thread says of the series, put beside what was found in it."""
    found = comments(thread)
    functions = _Functions(applied, program)
    maps = _maps(series, applied, {each.of for each in found.comments})
    placed = tuple(_placed(each, maps, functions) for each in found.comments)
    ears = _Ears(series, placed, rules, functions)
    troubles = list(found.troubles)
    if ears.deaf:
        troubles.append(Trouble("too-large", thread.source, f"{ears.deaf} comments were not linked to findings"))
    together = {id(each): concern.findings for concern in concerns for each in concern.findings}
    raised = (replace(each, raised=ears.raised(each, together.get(id(each), (each,)))) for each in judged)
    return Heard(placed, tuple(raised), tuple(troubles))


class _Functions:
    """Which function a line of the tree after a patch lies in."""

    def __init__(self, applied: Applied, program: Callable[[Tree], Program]) -> None:
        self._after = {snapshot.patch.seq: snapshot.after for snapshot in applied.snapshots}
        self._program = program
        self._programs: dict[int, Program] = {}

    def at(self, seq: int, path: str, line: int) -> str:
        """Its name, "" for none."""
        if seq not in self._after or not path.endswith((".c", ".h")):
            return ""
        if seq not in self._programs:
            self._programs[seq] = self._program(self._after[seq])
        around = [fn for fn in self._programs[seq].functions(path) if fn.first_line <= line <= fn.end_line]
        return around[-1].name if around else ""


def _maps(series: Series, applied: Applied, wanted: set[str]) -> dict[str, PatchMap]:
    """For each patch that is spoken of, by message-id, where its lines lie in the tree after it."""
    trees = {snapshot.patch.seq: snapshot.after for snapshot in applied.snapshots}
    return {
        patch.msgid: PatchMap(patch, _source(trees[patch.seq]))
        for patch in series.patches
        if patch.msgid in wanted and patch.seq in trees
    }


def _source(tree: Tree) -> Source:
    texts: dict[str, list[str]] = {}

    def line(patch: int, path: str, number: int) -> str | None:
        if path not in texts:
            raw = tree.read(path)
            texts[path] = [] if raw is None else raw.decode("utf-8", "surrogateescape").split("\n")
        return texts[path][number - 1] if 0 < number <= len(texts[path]) else None

    return line


def _placed(comment: Comment, maps: Mapping[str, PatchMap], functions: _Functions) -> Comment:
    place = maps[comment.of].place(comment.mail_line) if comment.of in maps and comment.path else None
    if place is None:
        return comment
    path, line = place
    return replace(comment, line=line, function=functions.at(comment.patch, path, line))


class _Ears:
    """Links comments to findings."""

    def __init__(self, series: Series, placed: Sequence[Comment], rules: Sequence[Rule], functions: _Functions) -> None:
        self._words = {rule.name: rule.words for rule in rules}
        self._functions = functions
        self._paths = {diff.path for patch in series.patches for diff in patch.diffs}
        posted = {patch.msgid for patch in series.patches} | ({series.cover.msgid} if series.cover else set())
        mine = [each for each in placed if each.role is Role.REVIEWER and each.of in posted]
        room = list(accumulate(len(each.text) for each in mine))
        self._comments = mine[: bisect_right(room, MAX_SPOKEN)]
        self.deaf = len(mine) - len(self._comments)
        self._met: dict[tuple[str, int, tuple[str, ...]], Met | None] = {}

    def raised(self, judged: Judged, concern: Sequence[Judged]) -> tuple[Raised, ...]:
        """The comments that speak of a finding, in the order they were made; `concern` is what is told with it."""
        finding = judged.finding
        places = {place for each in concern for place in self._places(each)}
        also = tuple(dict.fromkeys(each.lower() for each in _IDENTIFIER.findall(finding.anchor) if "_" in each))
        found: list[Raised] = []
        for number, comment in enumerate(self._comments):
            same = _same(comment, finding, places)
            if not same and comment.patch not in (0, judged.patch) and comment.path != finding.path:
                continue
            spoken = self._spoken(finding.rule, number, also)
            if spoken is not None and (same or spoken.named):
                found.append(Raised(comment.msgid, comment.name, comment.at, same and spoken.named, spoken.words))
        return tuple(found[:MOST])

    def _spoken(self, rule: str, number: int, also: tuple[str, ...]) -> Met | None:
        key = (rule, number, also)
        if key not in self._met:
            self._met[key] = met(self._words.get(rule, Vocabulary()), self._comments[number].text, also)
        return self._met[key]

    def _places(self, judged: Judged) -> set[tuple[str, str, int]]:
        """(path, function, line) of a finding and of its proof, as far as it goes through what the series touches."""
        finding = judged.finding
        steps = {(step.path, step.line) for step in finding.steps if step.path in self._paths}
        places = {(path, self._functions.at(judged.patch, path, line), line) for path, line in steps}
        return {(finding.path, finding.function, finding.line), *places}


def _same(comment: Comment, finding: Finding, places: Iterable[tuple[str, str, int]]) -> bool:
    """Whether a comment is about the place of a finding: by where it stands, or since it names the function."""
    if len(finding.function) >= SPELT and finding.function in _IDENTIFIER.findall(comment.text):
        return True
    for path, function, line in places:
        if comment.path != path or not comment.line:
            continue
        if comment.function == function if comment.function else abs(comment.line - line) <= NEAR:
            return True
    return False
