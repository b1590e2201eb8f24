"""A report for a person at a terminal: colour and width by parameter, text that fits 80 columns and uses 160."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from lorelint.model.base import Base, Grade
from lorelint.model.finding import Concern, Finding, Judged, Kind, Report, Severity, Sibling, Status, Step
from lorelint.model.mail import Series
from lorelint.report import excerpt, prose
from lorelint.report.chain import Link, links, span
from lorelint.report.ink import Ink
from lorelint.report.place import PatchMap, Source, no_source
from lorelint.report.text import (
    argument,
    clause,
    clean,
    cut,
    listed,
    many,
    once,
    shell,
    source,
    width,
    words,
    wrap,
)

PROSE = 110  # no prose is wider: long lines are hard to read
LISTED = 8  # places that are listed before the rest is only counted


def terminal(
    report: Report, source: Source = no_source, *, width: int = 80, colour: bool = False, tree: str = ""
) -> str:
    """The whole report. Same report, same source, same bytes.

    tree   how the user named the tree, for commands that are to be pasted; by default the name the report has
    """
    page = _Page(report, source, max(40, width), Ink(colour), tree or (report.base.tree if report.base else ""))
    return "\n".join(page.lines()).rstrip("\n") + "\n"


class _Page:
    def __init__(self, report: Report, source: Source, columns: int, ink: Ink, tree: str) -> None:
        self.report = report
        self.tree = tree
        self.source = source
        self.columns = columns
        self.measure = min(columns, PROSE)
        self.ink = ink
        patches = report.series.patches if report.series else ()
        self.patches = {patch.seq: PatchMap(patch, source) for patch in patches}

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
            yield from self._finding(judged, set(), {})
        yield from self._old()
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
            yield self.ink(cut(clean(series.subject), self.columns), "title")
            yield from self._field("from", _who(series))
            yield from self._field("thread", _thread(series))
        if self.report.base is not None:
            yield from self._base(self.report.base)

    def _field(self, name: str, text: str) -> Iterator[str]:
        lines = wrap(text, self.columns, first="  " + f"{name:8}", rest=" " * 10)
        yield "  " + self.ink(f"{name:8}", "dim") + lines[0][10:]
        yield from lines[1:]

    def _base(self, base: Base) -> Iterator[str]:
        tree = clean(base.tree) or "no tree"
        commit = f" at {clean(base.commit[:12])}" if base.commit and base.commit[:12] not in tree else ""
        style = "good" if base.grade is Grade.EXACT else "warning"
        grade = f", {_GRADES[base.grade]}"
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
                yield from self._finding(judged, shown, said)
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
        untouched = [f"{judged.finding.function}()" for judged in concern.findings if self._untouched(judged)]
        because = once(clause(judged.because) for judged in concern.findings if judged.because)
        if untouched:
            names = listed(list(dict.fromkeys(untouched)))
            texts.append(f"{names} {'is' if len(set(untouched)) == 1 else 'are'} not touched by the patch")
        texts += [f"judged again because {reason}" for reason in because]
        for text in texts:
            yield from wrap(text, self.measure, first="    ", rest="      ")

    def _untouched(self, judged: Judged) -> bool:
        patches = self.patches.get(judged.patch)
        if patches is None or not prose.counts(judged):
            return False
        finding = judged.finding
        span = excerpt.function_span(finding.line, partial(self.source, judged.patch, finding.path))
        return span is not None and not patches.touches(finding.path, *span)

    def _finding(self, judged: Judged, shown: set[tuple[str, int]], said: dict[str, str]) -> Iterator[str]:
        finding = judged.finding
        remark = finding.kind is Kind.REMARK
        word = "remark" if remark else finding.severity.value
        head = f"{clean(prose.place(finding))}: {word}: "
        lines = wrap(f"{head}{finding.message} [{finding.rule}]", self.measure, rest="    ")
        yield self._headline(lines[0], clean(prose.place(finding)), word)
        yield from lines[1:]
        if (finding.path, finding.line) not in shown and not remark:
            shown.add((finding.path, finding.line))
            yield from self._excerpt(judged)
        yield from self._steps(judged, said)
        facts = [fact for fact in once(finding.facts) if words(fact).lower() not in said]
        said.update((words(fact).lower(), finding.rule) for fact in facts)
        for fact in facts:
            yield from wrap(fact, self.measure, first="  * ", rest="    ")
        if finding.advice:
            yield from wrap(finding.advice, self.measure, first="  -> ", rest="     ")
        yield self.ink(cut(f"  {_standing(judged, self.report.series is None)}", self.columns), "dim")

    def _headline(self, line: str, place: str, word: str) -> str:
        if not self.ink.colour or not line.startswith(f"{place}: {word}:"):
            return line
        rest = line[len(place) + 2 + len(word) + 1 :]
        return f"{self.ink(place, 'bold')}: {self.ink(word + ':', word)}{rest}"

    def _excerpt(self, judged: Judged) -> Iterator[str]:
        finding = judged.finding
        line_at = partial(self.source, judged.patch, finding.path)
        if line_at(finding.line) is None:
            return
        steps = [step.line for step in finding.steps if step.path == finding.path]
        loop = excerpt.loop_around(finding.line, steps, line_at)
        lines = excerpt.chosen(finding.line, loop, steps, line_at)
        patches = self.patches.get(judged.patch)
        digits = max(4, len(str(lines[-1])) if lines else 0)
        before = 0
        yield ""
        for at in lines:
            if before and at != before + 1:
                inside = loop is not None and loop.head < at <= loop.back
                yield self.ink(f"  {'...':>{digits}}   {'|' if inside else ''}".rstrip(), "dim")
            before = at
            added = patches is not None and patches.added(finding.path, at)
            yield from self._code(at, line_at(at) or "", digits, added, _arrow(at, loop), at == finding.line)
        yield ""

    def _code(self, at: int, text: str, digits: int, added: bool, arrow: str, place: bool) -> Iterator[str]:
        gutter = f"  {at:>{digits}} "
        text = cut(source(text), self.columns - digits - 5 - len(arrow))
        number = self.ink(gutter, "dim")
        if not text:
            arrow = arrow.rstrip()
        line = f"{self.ink('+', 'added') if added else ' '} {self.ink(arrow, 'mark')}"
        yield f"{number}{line}{self.ink(text, 'added') if added else text}".rstrip()
        if place and text:
            indent = len(text) - len(text.lstrip())
            body = arrow and ("|  " if arrow[0] in "|," else "   ")
            under = " " * indent + "^" + "~" * (width(text.strip()) - 1)
            yield f"{' ' * len(gutter)}  {self.ink(body + under, 'mark')}"

    def _steps(self, judged: Judged, said: dict[str, str]) -> Iterator[str]:
        """The proof; what an earlier finding of the concern has shown already is not shown again."""
        steps = links(judged.finding.steps)
        room = len(str(len(steps)))
        again: list[int] = []
        rule = judged.finding.rule
        for number, step in enumerate(steps, 1):
            before = said.setdefault(f"{step.place} {step.text}", rule)
            if before != rule:
                again.append(number)
                if number < len(steps):
                    continue
            if again:
                yield self.ink(f"  {span(again):>{room}}. as shown for {clean(said_by(steps, again, said))}", "dim")
            if before != rule:
                continue
            again = []
            first = f"  {number:>{room}}. "
            yield from wrap(step.text, self.measure, first=first, rest=" " * len(first))
            for line in step.lines:
                yield self._grep(judged.patch, Step(step.path, line, ""), " " * len(first))

    def _grep(self, patch: int, step: Step, indent: str) -> str:
        """``path:line:  code``, as grep -n would print it; ``+`` where the patch wrote the line."""
        place = clean(f"{step.path}:{step.line}")
        text = self.source(patch, step.path, step.line)
        if text is None:
            return indent + self.ink(place, "place")
        patches = self.patches.get(patch)
        added = patches is not None and patches.added(step.path, step.line)
        code = cut(source(text).strip(), max(12, self.columns - len(indent) - width(place) - 4))
        mark = "+" if added else " "
        return f"{indent}{self.ink(place + ':', 'place')} {self.ink(mark + code, 'added' if added else 'dim')}"

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
        text += "".join(f"; {each}" for each in old)
        for line in wrap(f"{text}; looked at {_coverage(self.report)}", self.measure, rest="  "):
            yield self.ink(line, style)

    def _clean(self) -> Iterator[str]:
        report = self.report
        where = f", {clean(report.base.tree)} ({report.base.grade.value} base)" if report.base else ""
        yield self.ink(f"clean: {_coverage(report)}{where}", "good")
        if report.unseen:
            yield self.ink(f"not seen: {_unseen(report)}", "dim")


_GRADES = {
    Grade.EXACT: "exact",
    Grade.CLEAN: "clean: it applies, on files that are not those the author had",
    Grade.MERGED: "merged three-way",
    Grade.APPROXIMATE: "approximate: some hunks were placed with fuzz",
    Grade.FRAGMENTS: "fragments: the hunks alone were read",
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


def said_by(steps: list[Link], numbers: list[int], said: dict[str, str]) -> str:
    """The rules that have shown these steps."""
    return listed(list(dict.fromkeys(said[f"{steps[n - 1].place} {steps[n - 1].text}"] for n in numbers)))


def _arrow(at: int, loop: excerpt.Loop | None) -> str:
    """Three columns beside a line: the way back round the loop. None where there is no loop."""
    if loop is None:
        return ""
    if at == loop.head:
        return ",->"
    if at == loop.back:
        return "'--"
    return "|  " if loop.head < at < loop.back else "   "


def _who(series: Series) -> str:
    name, address = series.author
    came = len(series.patches)
    patches = many(came, "patch", "patches") if came == series.expected else f"{came} of {series.expected} patches"
    return f"{name} <{address}>, v{series.version}, {patches}"


def _thread(series: Series) -> str:
    if series.cover is not None:
        return series.cover.msgid
    return series.patches[0].msgid if series.patches else series.key


def _standing(judged: Judged, alone: bool) -> str:
    """Where a finding stands; outside a series (`alone`) there is nothing it could be newer than."""
    finding = judged.finding
    parts = [judged.status.value] if finding.kind is Kind.DEFECT and not alone else []
    if judged.gone_in:
        parts.append(f"gone again in patch {judged.gone_in}")
    parts.append(f"confidence {finding.confidence:.2f}")
    if not alone:
        parts.append(f"{judged.grade.value} base")
    if finding.kind is Kind.DEFECT:
        parts.append(f"fingerprint {finding.fingerprint}")
    return ", ".join(parts)


def _siblings(findings: Iterable[Judged]) -> list[Sibling]:
    every: dict[tuple[str, str], Sibling] = {}
    for judged in findings:
        for sibling in judged.finding.siblings:
            every.setdefault((sibling.path, sibling.function), sibling)
    return list(every.values())


def _why_not(finding: Finding, report: Report, tree: str) -> tuple[str, ...]:
    parts = ["lorelint", "why-not", argument(finding.rule), argument(finding.function)]
    if tree:
        parts.append(f"--tree {argument(tree)}")
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
