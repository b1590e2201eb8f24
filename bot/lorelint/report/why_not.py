"""The answer to ``why-not`` as text: per definition of the function, what the rule made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lorelint.model.answer import WhyNot, WhyNotAt
from lorelint.model.finding import Kind, Step
from lorelint.report.ink import Ink
from lorelint.report.json import SCHEMA, Document
from lorelint.report.text import clean, cut, many, source, width, wrap

LineAt = Callable[[str, int], str | None]
"""(path, 1-based line) -> the line, None where there is none or no tree is at hand."""


def no_line(path: str, line: int) -> str | None:
    """The `LineAt` of an answer whose tree is not at hand."""
    return None


def text(answer: WhyNot, line_at: LineAt = no_line, *, columns: int = 80, colour: bool = False) -> str:
    """The whole answer."""
    return "\n".join(_Page(answer, line_at, columns, Ink(colour)).lines()) + "\n"


class _Page:
    def __init__(self, answer: WhyNot, line_at: LineAt, columns: int, ink: Ink) -> None:
        self.answer = answer
        self.line_at = line_at
        self.columns = columns
        self.ink = ink

    def lines(self) -> Iterator[str]:
        answer = self.answer
        where = f" ({answer.tree})" if answer.tree else ""
        for line in wrap(f"{answer.rule} on {answer.function}(){where}", self.columns, rest="    "):
            yield self.ink(line, "title")
        for note in answer.notes:
            yield from wrap(note, self.columns, first="  ", rest="  ")
        for at in answer.judged:
            yield ""
            yield from self._at(at)

    def _at(self, at: WhyNotAt) -> Iterator[str]:
        place = clean(f"{at.path}:{at.line}")
        verdict = _verdict(at)
        style = "warning" if verdict.startswith("it speaks") else "good"
        yield f"{self.ink(place, 'bold')}: {self.ink(verdict, style)}"
        for group in at.missing:
            yield from self._told(f"nothing in it says {group.replace(' | ', ', ')}; the rule looks no further", ())
        for finding in at.findings:
            yield from self._told(f"{finding.message} (line {finding.line})", finding.steps)
        for silence in at.silences:
            yield from self._told(f"line {silence.line}: {silence.reason}", silence.steps)
        for doubt in at.doubts:
            yield from self._told(f"line {doubt.line}: cannot tell: {doubt.reason}", ())
        for failure in at.failures:
            yield from self._told(f"the rule failed: {failure.text}", ())
        for note in at.notes:
            yield from self._told(note, ())

    def _told(self, told: str, steps: Iterable[Step]) -> Iterator[str]:
        yield from wrap(told, self.columns, first="  * ", rest="    ")
        for number, step in enumerate(steps, 1):
            yield from wrap(step.text, self.columns, first=f"    {number}. ", rest="       ")
            place = clean(f"{step.path}:{step.line}")
            code = self.line_at(step.path, step.line)
            if code is None:
                yield "       " + self.ink(place, "place")
                continue
            room = max(12, self.columns - 10 - width(place))
            yield f"       {self.ink(place + ':', 'place')}  {self.ink(cut(source(code).strip(), room), 'dim')}"


def _verdict(at: WhyNotAt) -> str:
    defects = [each for each in at.findings if each.kind is Kind.DEFECT]
    if defects:
        return f"it speaks, {many(len(defects), 'time')}"
    if at.failures:
        return "it failed"
    if at.doubts:
        return "it cannot tell"
    return f"it is silent, with {many(len(at.findings), 'remark')}" if at.findings else "it is silent"


def document(answer: WhyNot) -> Document:
    """The answer as plain values."""
    return {
        "schema": SCHEMA,
        "rule": answer.rule,
        "function": answer.function,
        "tree": answer.tree,
        "notes": list(answer.notes),
        "judged": [
            {
                "path": at.path,
                "function": at.function,
                "line": at.line,
                "verdict": _verdict(at).split(",")[0],
                "missing": list(at.missing),
                "findings": [
                    {"line": f.line, "message": f.message, "kind": f.kind.value, "steps": _steps(f.steps)}
                    for f in at.findings
                ],
                "silences": [{"line": s.line, "reason": s.reason, "steps": _steps(s.steps)} for s in at.silences],
                "doubts": [{"line": d.line, "anchor": d.anchor, "reason": d.reason} for d in at.doubts],
                "failures": [f.text for f in at.failures],
                "notes": list(at.notes),
            }
            for at in answer.judged
        ],
    }


def _steps(steps: Iterable[Step]) -> list[Document]:
    return [{"path": step.path, "line": step.line, "text": step.text} for step in steps]
