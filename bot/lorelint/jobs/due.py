"""Review one series that is due: choose the tree, see whether it was applied already, review it. Pure over ports.

Runs in a process of its own (`lorelint.edge.apart`), so what goes in and comes out are plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct, field

from lorelint.jobs.applied import held
from lorelint.jobs.base import climb
from lorelint.jobs.review import newest, review
from lorelint.kernel.maintainers import Charge, Maintainers, maintainers
from lorelint.model.base import Applied, Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Report
from lorelint.model.graph import Graph, Layout
from lorelint.model.mail import Series, Thread
from lorelint.model.memory import Memory
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.report import json
from lorelint.rule.door import Rule

MAX_TREES = 12  # that are tried for one series
MAX_SUBSYSTEMS = 20  # that a series is found by
MAX_PEOPLE = 60  # of those who are named for its files
MAX_SOURCE = 4 << 20  # bytes of source that go with a report


class Due(Struct, frozen=True):
    """A series to review: all mails of its thread, the Message-ID of its first, the lists it came over."""

    first: str
    inboxes: tuple[str, ...]
    mails: tuple[bytes, ...] = ()


class Done(Struct, frozen=True):
    """What came of it.

    report    None where the series was applied already
    document  the JSON report
    tried     (tree, what came of it), in order; tree and commit are those that were taken, grade the base's
    applied   where it was applied already, "" for nowhere
    sources   (patch, path) -> the file after the patch, of the files a letter may quote
    exhibits  (fingerprint, source around the finding), see `jobs.exhibit`
    subsystems  of the files of the series, as MAINTAINERS calls them; people whom it names for them
    """

    report: Report | None
    document: bytes = b""
    tree: str = ""
    commit: str = ""
    grade: str = ""
    tried: tuple[tuple[str, str], ...] = ()
    applied: str = ""
    seconds: float = 0.0
    sources: dict[tuple[int, str], bytes] = field(default_factory=dict)
    exhibits: tuple[tuple[str, bytes], ...] = ()
    subsystems: tuple[str, ...] = ()
    people: tuple[tuple[str, str], ...] = ()

    def trees(self) -> dict[int, OverlayTree]:
        """The trees after each patch, as far as they came along."""
        files: dict[int, dict[str, bytes | None]] = {}
        for (seq, path), content in self.sources.items():
            files.setdefault(seq, {})[path] = content
        return {seq: OverlayTree(EmptyTree(), each) for seq, each in files.items()}


class Trees(Protocol):
    """What series are reviewed against."""

    def order(self, base: str, inboxes: Iterable[str], places: Iterable[str]) -> tuple[str, ...]:
        """Names of all trees, the most promising first. `places` are those that MAINTAINERS names (T:)."""

    def open(self, name: str) -> OpenTree:
        """Raises LorelintError where it is not there."""


class Bench(Struct, frozen=True):
    """All that reviewing takes.

    threads  the bytes of mails, the Message-ID of one -> its thread, its series last
    clock    seconds
    lay      draws the calls around a finding; None: they are kept without a picture
    """

    trees: Trees
    threads: Callable[[Sequence[bytes], str], Sequence[Thread]]
    rules: Sequence[Rule]
    patcher: Patcher
    version: str
    memory: Memory | None
    stamp: str
    clock: Callable[[], float]
    lay: Callable[[Graph], Layout] | None = None


def review_due(due: Due, bench: Bench) -> Done:
    """Raises LorelintError where the mails hold no such series."""
    from lorelint.jobs.exhibit import exhibits

    start = bench.clock()
    threads = bench.threads(due.mails, due.first)
    if not threads:
        raise LorelintError("its mails hold no series", where=due.first)
    thread = threads[0]
    series = newest(thread)
    area = _area(series, bench)
    place = _place(series, due, bench, area)
    if place.applied:
        return Done(None, tried=place.tried, applied=place.applied, seconds=bench.clock() - start)
    done = review(
        thread,
        place.source,
        bench.rules,
        patcher=bench.patcher,
        version=bench.version,
        memory=bench.memory,
        stamp=bench.stamp,
        applied=place.laid,
    )
    base = done.report.base
    return Done(
        report=done.report,
        document=json.dump(json.document(done.report)).encode(),
        tree=place.name,
        commit=base.commit if base else "",
        grade=base.grade.value if base else "",
        tried=place.tried,
        seconds=bench.clock() - start,
        sources=_sources(done.report, done.applied),
        exhibits=exhibits(done.report, done.applied, place.source.version if place.source else None, bench.lay),
        subsystems=area.subsystems,
        people=area.people,
    )


class _Place(Struct, frozen=True):
    """The best tree of those that were tried; without a tree the hunks alone."""

    tried: tuple[tuple[str, str], ...]
    name: str = ""
    source: OpenTree | None = None
    laid: Applied | None = None
    applied: str = ""


def _place(series: Series, due: Due, bench: Bench, area: _Area) -> _Place:
    tried: list[tuple[str, str]] = []
    opened = list(_opened(series, due, bench, area, tried))
    for name, source in opened:
        if held(series, source.tree):
            at = f" at {source.commit[:12]}" if source.commit else ""
            return _Place((*tried, (name, "holds the series already")), applied=f"{name} holds it{at}")
    best: tuple[str, OpenTree, Applied] | None = None
    for name, source in opened:
        laid = climb(series, source, bench.patcher)
        tried.append((name, f"{laid.base.grade.value}: {laid.base.tree or 'the hunks alone'}"))
        if best is None or laid.base.grade.rank < best[2].base.grade.rank:
            best = (name, source, laid)
        if laid.base.grade is Grade.EXACT:
            break
    return _Place(tuple(tried)) if best is None else _Place(tuple(tried), *best)


def _opened(
    series: Series, due: Due, bench: Bench, area: _Area, tried: list[tuple[str, str]]
) -> Iterator[tuple[str, OpenTree]]:
    """The trees in their order; what cannot be opened is written down and passed by."""
    names = bench.trees.order(series.hint.base_commit, due.inboxes, area.trees)
    for name in names[:MAX_TREES]:
        try:
            yield name, bench.trees.open(name)
        except LorelintError as error:
            tried.append((name, error.what))


class _Area(Struct, frozen=True):
    """What MAINTAINERS of the first tree says of the files of a series."""

    trees: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    people: tuple[tuple[str, str], ...] = ()


def _area(series: Series, bench: Bench) -> _Area:
    paths = [diff.path for patch in series.patches for diff in patch.diffs]
    for name in bench.trees.order("", (), ()):
        try:
            known = maintainers(bench.trees.open(name).tree)
        except LorelintError:
            continue
        charge = known.of(paths)
        people = (*charge.maintainers, *charge.reviewers, *charge.aliases)
        return _Area(charge.trees, subsystems_of(known, charge), people[:MAX_PEOPLE])
    return _Area()


def subsystems_of(known: Maintainers, charge: Charge) -> tuple[str, ...]:
    """The subsystems of some files by who is in charge of them; not that everything belongs to everybody."""
    whole = {section.name for section in known.sections if section.everything}
    named = [each for each in charge.subsystems if each not in whole]
    return tuple(named[:MAX_SUBSYSTEMS])


def _sources(report: Report, applied: Applied) -> dict[tuple[int, str], bytes]:
    """The files a letter may quote: those of a patch, and those on the way of a finding about it."""
    spoken = [judged for judged in report.findings if judged.mailable]
    found: dict[tuple[int, str], bytes] = {}
    left = MAX_SOURCE
    for snapshot in applied.snapshots:
        seq = snapshot.patch.seq
        about = [judged.finding for judged in spoken if judged.patch == seq]
        paths = {diff.path for diff in snapshot.patch.diffs if about}
        paths |= {step.path for finding in about for step in finding.steps} | {finding.path for finding in about}
        for path in sorted(paths):
            content = snapshot.after.read(path)
            if content is not None and len(content) <= left:
                found[seq, path] = content
                left -= len(content)
    return found
