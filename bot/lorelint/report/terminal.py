"""A report for a person at a terminal: colour and width by parameter, text that fits 80 columns and uses 160."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lorelint.model.base import Base, Grade
from lorelint.model.finding import Concern, Finding, Judged, Kind, Report, Severity, Sibling, Status
from lorelint.model.mail import Series
from lorelint.report import people, prose
from lorelint.report.ink import Ink
from lorelint.report.place import PatchMap, Source, no_source
from lorelint.report.proof import Proofs
from lorelint.report.text import (
    argument,
    clause,
    clean,
    cut,
    listed,
    many,
    once,
    shell,
    width,
    wrap,
)

PROSE = 110  # no prose is wider: long lines are hard to read
LISTED = 8  # places that are listed before the rest is only counted


def terminal(
    report: Report,
    source: Source = no_source,
    *,
    width: int = 80,
    colour: bool = False,
    tree: Sequence[str] | None = None,
) -> str:
    """The whole report. Same report, same source, same bytes.

    tree   the options by which the user named the tree, for commands that are to be pasted: none where it is the one
           the user stands in; by default the name the report has
    """
    if tree is None:
        tree = (f"--tree {argument(report.base.tree)}",) if report.base and report.base.tree else ()
    page = _Page(report, source, max(40, width), Ink(colour), tree)
    return "\n".join(page.lines()).rstrip("\n") + "\n"


class _Page:
    def __init__(self, report: Report, source: Source, columns: int, ink: Ink, tree: Sequence[str]) -> None:
        self.report = report
        self.tree = tree
        self.columns = columns
        self.measure = min(columns, PROSE)
        self.ink = ink
        patches = report.series.patches if report.series else ()
        maps = {patch.seq: PatchMap(patch, source) for patch in patches}
        self.proofs = Proofs(source, maps, columns, self.measure, ink, alone=report.series is None)

    def lines(self) -> Iterator[str]:
        concerns = prose.concerns(self.report)
        remarks = [] if concerns else [j for j in self.report.findings if j.finding.kind is Kind.REMARK]
        if not concerns and not self._odd() and not remarks:
            yield from self._clean()
            return
        yield from self._header()
        for number, concern in enumerate(concerns, 1):
            yield ""
            yield from self._concern(number, len(concerns), concern)
        if concerns:
            yield ""
            yield from self._commands(concerns)
        for judged in remarks:
            yield ""
            yield from self.proofs.finding(judged, set(), {})
        yield from self._old()
        yield from self._people()
        yield from self._problems()
        yield ""
        yield from self._summary(len(concerns))

    def _odd(self) -> bool:
        report = self.report
        return bool(report.troubles or report.failures or self._past()) or (
            report.base is not None and report.base.grade is not Grade.EXACT
        )

    def _past(self) -> list[Judged]:
        return [
            judged
            for judged in self.report.findings
            if judged.finding.kind is Kind.DEFECT and judged.status not in prose.LIVE
        ]

    # -- the head ---------------------------------------------------------------------------------------------

    def _header(self) -> Iterator[str]:
        series = self.report.series
        if series is None:
            yield self.ink(cut(f"scan of {clean(self.report.source)}", self.columns), "title")
        else:
            yield self.ink(cut(clean(series.subject) or "(no subject)", self.columns), "title")
            yield from self._field("from", _who(series))
            if series.mailed:
                yield from self._field("thread", _thread(series))
        if self.report.base is not None:
            yield from self._base(self.report.base)

    def _field(self, name: str, text: str) -> Iterator[str]:
        lines = wrap(text, self.columns, first="  " + f"{name:8}", rest=" " * 10)
        yield "  " + self.ink(f"{name:8}", "dim") + lines[0][10:]
        yield from lines[1:]

    def _base(self, base: Base) -> Iterator[str]:
        tree = clean(base.tree) or ("none of what was tried" if base.tried else "no tree")
        commit = f" at {clean(base.commit[:12])}" if base.commit and base.commit[:12] not in tree else ""
        style = "good" if base.grade is Grade.EXACT else "warning"
        grade = f", {_GRADES[base.grade] if base.tree else 'fragments: the hunks alone were read'}"
        lines = wrap(f"{tree}{commit}{grade}", self.columns, first="  base    ", rest=" " * 10)
        lines[0] = f"  {self.ink('base', 'dim')}{lines[0][6:]}"
        if lines[-1].endswith(grade):
            lines[-1] = lines[-1].removesuffix(grade) + ", " + self.ink(grade[2:], style)
        yield from lines
        for step in base.steps:
            mark = ">" if step.taken else " "
            tried = f" {step.tried}" if step.tried not in ("", base.tree, step.rung) else ""
            head = f"          {mark} {step.rung}{tried}: "
            for line in wrap(head[12:] + step.text, self.columns, first=head[:12], rest=" " * 14):
                yield line if step.taken else self.ink(line, "dim")

    # -- a concern --------------------------------------------------------------------------------------------

    def _concern(self, number: int, total: int, concern: Concern) -> Iterator[str]:
        names = dict.fromkeys(_named(judged.finding) for judged in concern.findings if prose.counts(judged))
        title = cut(f"{number}/{total}  {', '.join(names)}", self.columns - 8)
        yield self.ink(f"--- {title} " + "-" * max(3, self.columns - width(title) - 5), "title")
        yield from self._why_here(concern)
        shown: set[tuple[str, int]] = set()
        said: dict[str, str] = {}
        for judged in concern.findings:
            if judged.status in prose.LIVE:
                yield ""
                yield from self.proofs.finding(judged, shown, said)
        siblings = _siblings(concern.findings)
        if siblings:
            yield ""
            yield from self._elsewhere(siblings)

    def _why_here(self, concern: Concern) -> Iterator[str]:
        """Which patch made it so, and how, when the function itself was not touched."""
        series = self.report.series
        texts: list[str] = []
        if series is not None and series.expected > 1 and concern.patch:
            subject = next((patch.subject for patch in series.patches if patch.seq == concern.patch), "")
            texts.append(f"patch {concern.patch}/{series.expected}: {subject}".rstrip(": "))
        untouched = [f"{judged.finding.function}()" for judged in concern.findings if self.proofs.untouched(judged)]
        because = once(clause(judged.because) for judged in concern.findings if judged.because)
        if untouched:
            names = listed(list(dict.fromkeys(untouched)))
            texts.append(f"{names} {'is' if len(set(untouched)) == 1 else 'are'} not touched by the patch")
        texts += [f"judged again because {reason}" for reason in because]
        for text in texts:
            yield from wrap(text, self.measure, first="    ", rest="      ")

    def _elsewhere(self, siblings: list[Sibling]) -> Iterator[str]:
        yield "elsewhere in the tree:"
        for sibling in siblings[:LISTED]:
            yield from wrap(
                f"{sibling.path}:{sibling.line}: {sibling.function}(): {sibling.text}",
                self.measure,
                first="  ",
                rest="      ",
            )
        if len(siblings) > LISTED:
            yield f"  and {many(len(siblings) - LISTED, 'more place')}"

    def _commands(self, concerns: tuple[Concern, ...]) -> Iterator[str]:
        every = [judged for concern in concerns for judged in concern.findings]
        rules = dict.fromkeys(judged.finding.rule for judged in every if prose.counts(judged))
        commands: list[tuple[str, ...]] = [("lorelint", "explain", argument(rule)) for rule in rules]
        remarks = [judged.finding for judged in every if judged.finding.kind is Kind.REMARK]
        commands += [_why_not(finding, self.report, self.tree) for finding in remarks]
        yield "more:"
        for command in dict.fromkeys(commands):
            for line in shell(command, self.columns - 2):
                yield self.ink(f"  {line}", "dim")

    # -- the rest ---------------------------------------------------------------------------------------------

    def _old(self) -> Iterator[str]:
        past = self._past()
        for status, one, several in _PAST:
            those = [judged for judged in past if judged.status is status]
            if those:
                yield ""
                yield f"{many(len(those), 'finding')} {one if len(those) == 1 else several}:"
                yield from self._short(
                    f"{prose.place(j.finding)}: {prose.statement(j.finding)} [{j.finding.rule}]" for j in those
                )

    def _short(self, texts: Iterable[str]) -> Iterator[str]:
        every = list(texts)
        for text in every[:LISTED]:
            yield from wrap(text, self.measure, first="  ", rest="      ")
        if len(every) > LISTED:
            yield f"  and {len(every) - LISTED} more"

    def _people(self) -> Iterator[str]:
        lines = list(people.section(self.report, self.measure, self.ink))
        yield from ["", *lines] if lines else []

    def _problems(self) -> Iterator[str]:
        report = self.report
        if report.troubles:
            yield ""
            yield self.ink("the input:", "bold")
            yield from self._short(f"{t.where}: {t.text} [{t.kind}]".removeprefix(": ") for t in report.troubles)
        if report.failures:
            yield ""
            yield self.ink("rules that failed:", "bold")
            yield from self._short(
                f"{f.path}: {f.function + '(): ' if f.function else ''}{f.text} [{f.rule}]" for f in report.failures
            )
        if report.unseen:
            yield ""
            yield self.ink(f"not seen: {_unseen(report)}", "bold")
            yield from self._short(
                f"{u.path}{f':{u.line}' if u.line else ''}: {u.text} [{u.kind}]" for u in report.unseen
            )

    def _summary(self, concerns: int) -> Iterator[str]:
        past = self._past()
        old = [f"{n} {word}" for status, word in _COUNTED if (n := sum(1 for j in past if j.status is status))]
        if concerns:
            text = f"{many(concerns, 'concern')}: {prose.tally(self.report)}"
            style = prose_style(self.report)
        else:
            unjudged = self.report.base is not None and not self.report.coverage.functions
            text, style = ("nothing could be judged", "warning") if unjudged else ("nothing new found", "good")
        text += "".join(f"; {each}" for each in (*old, people.summary(self.report)) if each)
        for line in wrap(f"{text}; looked at {_coverage(self.report)}", self.measure, rest="  "):
            yield self.ink(line, style)

    def _clean(self) -> Iterator[str]:
        report = self.report
        where = f", {clean(report.base.tree)} ({report.base.grade.value} base)" if report.base else ""
        yield self.ink(f"clean: {_coverage(report)}{where}", "good")
        if report.unseen:
            yield self.ink(f"not seen: {_unseen(report)}", "dim")
        yield from self._people()


_GRADES = {
    Grade.EXACT: "exact",
    Grade.CLEAN: "clean: full context, but other versions of the files than the patch was made on",
    Grade.MERGED: "merged three-way",
    Grade.APPROXIMATE: "approximate: some hunks were placed with fuzz",
    Grade.FRAGMENTS: "fragments: of files that it does not fit, the hunks alone were read",
}
_PAST = (
    (Status.FIXED, "is fixed", "are fixed"),
    (Status.MOVED, "has moved", "have moved"),
    (Status.BEFORE, "was there before", "were there before"),
)
_COUNTED = ((Status.FIXED, "fixed"), (Status.MOVED, "moved"), (Status.BEFORE, "there before"))


def prose_style(report: Report) -> str:
    """The colour of the last line."""
    kinds = {judged.finding.severity for judged in report.findings if prose.counts(judged)}
    return next((severity.value for severity in Severity if severity in kinds), "good")


def _who(series: Series) -> str:
    name, address = series.author
    came = len(series.patches)
    patches = many(came, "patch", "patches") if came == series.expected else f"{came} of {series.expected} patches"
    who = f"{name} <{address}>" if name or address else "nobody named"  # a bare diff has no author
    return f"{who}, v{series.version}, {patches}"


def _thread(series: Series) -> str:
    if series.cover is not None:
        return series.cover.msgid
    return series.patches[0].msgid if series.patches else series.key


def _siblings(findings: Iterable[Judged]) -> list[Sibling]:
    every: dict[tuple[str, str], Sibling] = {}
    for judged in findings:
        for sibling in judged.finding.siblings:
            every.setdefault((sibling.path, sibling.function), sibling)
    return list(every.values())


def _why_not(finding: Finding, report: Report, tree: Sequence[str]) -> tuple[str, ...]:
    parts = ["lorelint", "why-not", argument(finding.rule), argument(finding.function)]
    if report.series and not report.series.mailed:
        return tuple(parts)  # the author stands in that tree
    parts += tree
    if report.series:
        parts.append(f"--review {argument(report.source)}")
    return tuple(parts)


def _named(finding: Finding) -> str:
    return f"{clean(finding.function)}()" if finding.function else clean(finding.path)


def _coverage(report: Report) -> str:
    seen = report.coverage
    parts = [many(len(report.series.patches), "patch", "patches")] if report.series else []
    parts += [many(seen.files, "file"), many(seen.functions, "function")]
    if seen.degraded:
        parts[-1] += f" ({seen.degraded} parsed in part)"
    parts.append(many(len(seen.rules), "rule"))
    return ", ".join(parts)


def _unseen(report: Report) -> str:
    words_of = {
        "degraded": ("function parsed in part", "functions parsed in part"),
        "unresolved": ("call unresolved", "calls unresolved"),
        "skipped": ("file skipped", "files skipped"),
        "cut": ("budget reached", "budgets reached"),
        "undecided": ("verdict undecided", "verdicts undecided"),
    }
    kinds: dict[str, int] = {}
    for unseen in report.unseen:
        kinds[unseen.kind] = kinds.get(unseen.kind, 0) + 1
    return ", ".join(many(kinds[kind], *words_of.get(kind, (clean(kind), clean(kind)))) for kind in sorted(kinds))
