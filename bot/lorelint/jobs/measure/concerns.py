"""Concerns that reviewers raised in threads, against what lorelint finds and hears there.

For each labelled concern: whether a static rule could tell, whether one found it and else why not, whether the comment
that raised it was put at the place its label names, and whether it was linked to what was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import tomli
from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.base import climb
from lorelint.jobs.review import Reviewed, newest, review
from lorelint.model.base import Grade
from lorelint.model.comment import Anchor, Comment
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Judged, Status
from lorelint.model.mail import Patch, Thread
from lorelint.model.regex import regex
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.stated import Heard, Hearing, Near, Put, Stated
from lorelint.rule.concern import OPEN
from lorelint.rule.door import Rule

NEEDS = ("P", "F", "T", "C", "-")
_WORD = regex(r"[a-z_]\w{3,}")


class Base(Struct, frozen=True):
    """A tree that a thread may be put on. `open` is called when it is needed."""

    name: str
    open: Callable[[], OpenTree | None]


def read_stated(labels: str, catalogue: str, where: str = "labels") -> tuple[Stated, ...]:
    """The labelled concerns, with what the catalogue makes of them ("" for none). Raises LorelintError."""
    try:
        found = [_stated(each) for each in json.loads(labels)["labels"]]
        judged = tomli.loads(catalogue)
        return tuple(_judged(each, judged[each.id]) if each.id in judged else each for each in found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"no labelled concerns: {type(error).__name__}: {error}"
        raise LorelintError(
            what, where=where, remedy="labels.json of concerns, and a catalogue by their ids"
        ) from error


def _stated(raw: Mapping[str, str | None]) -> Stated:
    return Stated(
        id=str(raw["id"]),
        thread=str(raw["thread"]),
        patch=str(raw["patch"]),
        path=raw.get("file") or "",
        function=raw.get("function") or "",
        line=raw.get("diff_line") or "",
        concern=str(raw["concern"]),
        kind=str(raw["kind"]),
        msgid=str(raw["raised_by_message_id"]),
        name=raw.get("raised_by") or "",
    )


def _judged(stated: Stated, raw: Mapping[str, object]) -> Stated:
    if raw["needs"] not in NEEDS:
        raise ValueError(f"{stated.id}: needs is one of {', '.join(NEEDS)}")
    lists: dict[str, tuple[str, ...]] = {}
    for name in ("rules", "siblings", "tells"):
        value = raw.get(name, [])
        if not isinstance(value, list):
            raise ValueError(f"{stated.id}: {name} is a list")
        lists[name] = tuple(map(str, value))
    return replace(
        stated,
        needs=str(raw["needs"]),
        rules=lists["rules"],
        siblings=lists["siblings"],
        tells=lists["tells"],
        note=str(raw.get("note", "")),
    )


def measure_concerns(
    stated: Sequence[Stated],
    threads: Callable[[str], Thread],
    bases: Callable[[str], Sequence[Base]],
    rules: Sequence[Rule],
    *,
    patcher: Patcher | None = None,
) -> Hearing:
    """Review each thread on the nearest of its bases and look every concern up.

    threads  name of a mailbox -> its thread
    bases    name of a mailbox -> the trees it may be put on, the likeliest first
    """
    puts: list[Put] = []
    heard: list[Heard] = []
    for name in dict.fromkeys(each.thread for each in stated):
        thread = threads(name)
        base, tree = _nearest(thread, bases(name), patcher)
        done = review(thread, tree, rules, patcher=patcher)
        found = sum(1 for each in done.report.findings if each.status in OPEN)
        puts.append(Put(name, base, done.applied.base.grade.value, found))
        case = _Case(done, {rule.name for rule in rules})
        heard += [case.heard(each) for each in stated if each.thread == name]
    return Hearing(tuple(puts), tuple(heard))


def _nearest(thread: Thread, bases: Sequence[Base], patcher: Patcher | None) -> tuple[str, OpenTree | None]:
    """The tree on which most of the C files of the series are most surely what the author had."""
    series = newest(thread)
    best: tuple[tuple[int, int], str, OpenTree | None] = ((0, 0), "", None)
    for base in bases:
        tree = base.open()
        if tree is None:
            continue
        applied = climb(series, tree, patcher)
        grades = [each.grade for shot in applied.snapshots for path, each in shot.files.items() if path.endswith(".c")]
        sure = sum(grade in (Grade.EXACT, Grade.CLEAN) for grade in grades)
        rank = (len(Grade) - applied.base.grade.rank, sure)
        if rank > best[0]:
            best = (rank, base.name, tree)
    return best[1], best[2]


class _Case:
    """One thread, reviewed."""

    def __init__(self, done: Reviewed, rules: set[str]) -> None:
        self.report = done.report
        self.rules = rules
        series = done.report.series
        self.patches = {patch.msgid: patch for patch in series.patches} if series else {}
        self.files = {shot.patch.msgid: shot.files for shot in done.applied.snapshots}

    def heard(self, stated: Stated) -> Heard:
        patch = self.patches.get(stated.patch)
        comment = self._comment(stated)
        judged = self._finding(stated)
        found = f"{judged.finding.rule} in {judged.finding.function}() ({judged.status.value})" if judged else ""
        return Heard(
            stated,
            patch.seq if patch else 0,
            found if judged and judged.status in OPEN else "",
            "" if judged and judged.status in OPEN else self._why(stated, patch, found),
            _near(stated, patch, comment),
            comment.role.value if comment else "",
            tuple(dict.fromkeys(self._raised(comment))) if comment else (),
        )

    # -- what was said ----------------------------------------------------------------------------------------

    def _comment(self, stated: Stated) -> Comment | None:
        """The passage of the mail that has most words in common with the label; the first of several."""
        wanted = set(_WORD.findall(stated.concern.lower()))
        mine = [each for each in self.report.comments if each.msgid == stated.msgid]
        return max(mine, key=lambda each: len(wanted & set(_WORD.findall(each.text.lower()))), default=None)

    def _raised(self, comment: Comment) -> Iterator[str]:
        for judged in self.report.findings:
            for each in judged.raised:
                if (each.msgid, each.at) == (comment.msgid, comment.at):
                    yield judged.finding.rule + ("" if each.sure else "?")

    # -- what was found ---------------------------------------------------------------------------------------

    def _finding(self, stated: Stated) -> Judged | None:
        """A finding of one of its rules at its place: one that the series brings before any other."""
        together = {id(each): concern.findings for concern in self.report.concerns for each in concern.findings}
        there = [
            each
            for each in self.report.findings
            if each.finding.rule in stated.rules
            and each.status is not Status.FIXED
            and any(_at(stated, near) for near in together.get(id(each), (each,)))
            and set(stated.siblings) <= {sibling.function for sibling in each.finding.siblings}
            and all(any(words in text for text in _texts(each)) for words in stated.tells)
        ]
        return min(there, key=lambda each: (each.status not in OPEN, each.patch), default=None)

    def _why(self, stated: Stated, patch: Patch | None, found: str) -> str:
        """Why a concern was not found."""
        if not stated.needs:
            return f"not judged against the catalogue ({stated.kind})"
        if not stated.visible:
            return f"no static rule: {stated.note or stated.kind}"
        if not stated.rules:
            return f"no rule of the catalogue: {stated.note or stated.kind}"
        if found:
            return f"not brought by the series: {found}"
        missing = [rule for rule in stated.rules if rule not in self.rules]
        if len(missing) == len(stated.rules):
            return f"no such rule yet: {', '.join(missing)}"
        if patch is None:
            return "its patch is not in the series"
        base = self.files.get(patch.msgid, {}).get(stated.path)
        if base is not None and base.grade is Grade.FRAGMENTS:
            return "the base of its file is not to be had"
        return self._silence(stated) or "the rule did not speak of its place"

    def _silence(self, stated: Stated) -> str:
        """What a rule said of the function instead."""
        for each in self.report.silences:
            if each.rule in stated.rules and (each.path, each.function) == (stated.path, stated.function):
                return f"{each.rule} is silent: {each.reason}"
        for unseen in self.report.unseen:
            if unseen.kind == "undecided" and any(
                unseen.text.startswith(f"{rule} in {stated.function}()") for rule in stated.rules
            ):
                return unseen.text
        return ""


def _texts(judged: Judged) -> tuple[str, ...]:
    finding = judged.finding
    return (finding.message, finding.advice, *finding.facts)


def _at(stated: Stated, judged: Judged) -> bool:
    """Whether a finding is about the function a label names, or goes through it."""
    finding = judged.finding
    if not stated.function:
        return not stated.path or finding.path == stated.path
    if finding.path == stated.path and finding.function == stated.function:
        return True
    spelt = re.compile(rf"\b{re.escape(stated.function)}\(\)")
    return any(spelt.search(text) for text in (finding.message, *(step.text for step in finding.steps)))


def _near(stated: Stated, patch: Patch | None, comment: Comment | None) -> Near:
    if comment is None:
        return Near.UNREAD
    if comment.of != stated.patch:
        return Near.OTHER
    if not stated.line:
        right = comment.anchor is Anchor.MESSAGE or stated.path != "COMMIT_MSG"
        return Near.LINE if right else Near.PATCH
    if comment.path != stated.path or patch is None:
        same = comment.anchor is Anchor.MESSAGE and comment.quote.strip() == stated.line.strip()
        return Near.LINE if same else Near.PATCH
    hunks = [hunk for diff in patch.diffs if diff.path == stated.path for hunk in diff.hunks]
    for hunk in hunks:
        told = {line.mail_line for line in hunk.lines if f"{line.op}{line.text}" == stated.line}
        if told and comment.mail_line in told:
            return Near.LINE
        if told and any(line.mail_line == comment.mail_line for line in hunk.lines):
            return Near.HUNK
    return Near.FILE
