"""One finding at a terminal: its place in the source, the steps of its proof, its facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from lorelint.model.finding import Judged, Kind, Step
from lorelint.report import excerpt, people, prose
from lorelint.report.chain import Link, links, span
from lorelint.report.fix import diff
from lorelint.report.ink import Ink
from lorelint.report.place import PatchMap, Source
from lorelint.report.text import clean, cut, listed, once, source, width, words, wrap


class Proofs:
    """Writes findings of one report.

    patches   where the lines of each patch stand in the tree after it
    columns   of the terminal; `measure` are those of prose
    alone     there is no series: nothing is newer than anything
    """

    def __init__(
        self,
        source: Source,
        patches: Mapping[int, PatchMap],
        columns: int,
        measure: int,
        ink: Ink,
        *,
        alone: bool,
    ) -> None:
        self.source = source
        self.patches = patches
        self.columns = columns
        self.measure = measure
        self.ink = ink
        self.alone = alone

    def untouched(self, judged: Judged) -> bool:
        patches = self.patches.get(judged.patch)
        if patches is None or not prose.counts(judged):
            return False
        finding = judged.finding
        span = excerpt.function_span(finding.line, partial(self.source, judged.patch, finding.path))
        return span is not None and not patches.touches(finding.path, *span)

    def finding(self, judged: Judged, shown: set[tuple[str, int]], said: dict[str, str]) -> Iterator[str]:
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
        yield from self._fix(judged)
        for raiser in people.raisers(judged):
            yield from wrap(raiser, self.measure, first="  = ", rest="    ")
        yield self.ink(cut(f"  {_standing(judged, self.alone)}", self.columns), "dim")

    def _fix(self, judged: Judged) -> Iterator[str]:
        """What could be written instead, as a diff."""
        fix = judged.finding.fix
        lines = diff(fix, partial(self.source, judged.patch, fix.path)) if fix is not None else []
        if fix is None or not lines:
            return
        yield from wrap(f"fix: {fix.text}", self.measure, first="  ", rest="       ")
        for line in lines[2:]:
            style = {"+": "added", "-": "error"}.get(line[:1], "dim")
            shown = line[:1] + source(line[1:]) if line[:1] in "+- " else line
            yield self.ink(cut(f"     {shown}".rstrip(), self.columns), style)

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
