"""What a worker of a sweep does with one series: review it on the one tree, and hand back what is kept. Pure.

The tree is one for the whole sweep, so what it holds already is reviewed all the same: most of an archive was applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.due import Done, Due, subsystems_of
from lorelint.jobs.review import newest, review
from lorelint.kernel.maintainers import Maintainers
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Report
from lorelint.model.mail import FileDiff, Hunk, Message, Patch, Series, Thread
from lorelint.model.memory import Memory
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.tree import is_source
from lorelint.report import json
from lorelint.rule.door import Rule

NO_C = "touches no C"


class Bench(Struct, frozen=True):
    """All that it takes. `threads` and `clock` are as `jobs.due` has them."""

    source: OpenTree
    maintainers: Maintainers
    threads: Callable[[Sequence[bytes], str], Sequence[Thread]]
    rules: Sequence[Rule]
    patcher: Patcher
    version: str
    memory: Memory | None
    stamp: str
    clock: Callable[[], float]


def sweep_one(due: Due, bench: Bench) -> Done:
    """Raises LorelintError where the mails hold no such series."""
    start = bench.clock()
    threads = bench.threads(due.mails, due.first)
    if not threads:
        raise LorelintError("its mails hold no series", where=due.first)
    series = newest(threads[0])
    paths = [diff.path for patch in series.patches for diff in patch.diffs]
    if not any(map(is_source, paths)):
        return Done(None, applied=NO_C, seconds=bench.clock() - start)
    done = review(
        threads[0],
        bench.source,
        bench.rules,
        patcher=bench.patcher,
        version=bench.version,
        memory=bench.memory,
        stamp=bench.stamp,
    )
    base = done.report.base
    return Done(
        report=slim(done.report),
        document=json.dump(json.document(done.report)).encode(),
        tree=bench.source.name,
        commit=base.commit if base else "",
        grade=base.grade.value if base else "",
        seconds=bench.clock() - start,
        subsystems=subsystems_of(bench.maintainers, bench.maintainers.of(paths)),
    )


def slim(report: Report) -> Report:
    """A report without the text of mails and patches: it goes from process to process, and is the smaller by ten."""
    series = report.series
    return replace(report, series=_series(series) if series else None, comments=(), silences=())


def _series(series: Series) -> Series:
    patches = tuple(_patch(patch) for patch in series.patches)
    return replace(series, patches=patches, cover=_mail(series.cover) if series.cover else None)


def _patch(patch: Patch) -> Patch:
    diffs = tuple(_diff(diff) for diff in patch.diffs)
    return replace(patch, message="", body="", diffs=diffs, mail=_mail(patch.mail))


def _mail(mail: Message) -> Message:
    return replace(mail, body="", raw=b"")


def _diff(diff: FileDiff) -> FileDiff:
    hunks: tuple[Hunk, ...] = tuple(replace(hunk, lines=()) for hunk in diff.hunks)
    return replace(diff, hunks=hunks)
