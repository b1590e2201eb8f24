"""What made a rule silent on a function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.jobs.base import climb
from lorelint.jobs.review import newest
from lorelint.jobs.scan import version_of
from lorelint.kernel.applied import knowledge_of
from lorelint.kernel.load import knowledge
from lorelint.model.answer import WhyNot, WhyNotAt
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Finding, Kind, Step
from lorelint.model.mail import Thread
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.tree import Tree
from lorelint.rule.door import ChangeView, Rule
from lorelint.rule.engine import Judge

MANY = 50  # definitions of one name that are judged


def why_not(rule: Rule, function: str, tree: Tree, *, path: str = "", version: tuple[int, int] | None = None) -> WhyNot:
    """What a rule makes of every definition of a function in a tree.

    function  its name, or ``path:name``
    path      only the definition in this file
    """
    program = Program(tree, knowledge(version or version_of(tree)))
    return _answer(rule, function, path, program, Judge(program))


def why_not_after(
    rule: Rule,
    function: str,
    thread: Thread,
    source: OpenTree | None,
    *,
    patcher: Patcher | None = None,
    pinned: bool = False,
    revision: int | None = None,
    patch: int = 0,
) -> WhyNot:
    """The same on the tree after a patch of a thread's series (0: the last).

    Raises LorelintError where there is no series, or no such patch in it.
    """
    applied = climb(newest(thread, revision), source, patcher, pinned=pinned)
    there = {snapshot.patch.seq: snapshot for snapshot in applied.snapshots}
    seq = patch or max(there, default=0)
    if seq not in there:
        numbers = ", ".join(str(each) for each in sorted(there)) or "none"
        raise LorelintError(f"has no patch {seq}", where=thread.source, remedy=f"these came: {numbers}")
    program = Program(there[seq].after, knowledge_of(applied, source))
    judge = Judge(program, whole=bool(applied.base.tree))
    path, _, name = function.rpartition(":")
    touched = tuple(
        each for snapshot in applied.snapshots for each in sorted(snapshot.files) if program.function(each, name)
    )
    return _answer(rule, name, path, program, judge, first=tuple(dict.fromkeys(touched)))


def _answer(rule: Rule, function: str, path: str, program: Program, judge: Judge, first: Sequence[str] = ()) -> WhyNot:
    named, _, name = function.rpartition(":")
    path = path or named
    paths = (path,) if path else tuple(dict.fromkeys((*first, *program.mentions(name))))
    definitions = [fn for each in paths for fn in program.functions(each) if fn.name == name]
    notes: list[str] = []
    if not definitions:
        where = f"{path} of {program.tree.name}" if path else program.tree.name or "the hunks"
        notes.append(f"no function of that name in {where}")
        notes += [f"{name} is mentioned in {each}" for each in paths[:5] if not path]
    elif len(definitions) > MANY:
        notes.append(f"{len(definitions)} functions of that name: {MANY} were looked at")
    judged = tuple(_at(rule, fn, judge) for fn in definitions[:MANY])
    return WhyNot(rule.name, name, program.tree.name, tuple(notes), judged)


def _at(rule: Rule, fn: Function, judge: Judge) -> WhyNotAt:
    missing = tuple(
        " | ".join(group) for group in rule.tokens.groups if not any(word.encode() in fn.text for word in group)
    )
    outcome = judge.judge(rule, fn)
    notes = [f"line {line} could not be parsed" for line in judge.program.cfg(fn).opaque]
    nothing = not outcome.verdicts and outcome.failure is None
    if nothing and rule.sees is ChangeView:
        notes.append("the rule is about what a patch changes, and `review` asks it: of one tree it has nothing to say")
    elif nothing and missing:
        notes.append("the rule found nothing it could judge: words it needs are missing")
    elif nothing:
        notes.append("the rule found nothing it could judge: its words are there, the shape of the code is not")
    return WhyNotAt(
        fn.path,
        fn.name,
        fn.line,
        missing if nothing else (),
        outcome.findings,
        outcome.silences,
        outcome.doubts,
        () if outcome.failure is None else (outcome.failure,),
        tuple(notes),
    )


def render(answer: WhyNot) -> str:
    """The answer as plain text."""
    lines = [f"{answer.rule} on {answer.function}() in {answer.tree or 'the hunks alone'}"]
    lines += [f"  {note}" for note in answer.notes]
    for at in answer.judged:
        lines += ["", f"{at.path}:{at.line}: {at.function}()", *(f"  {line}" for line in _lines(at))]
    return "\n".join(lines) + "\n"


def _lines(at: WhyNotAt) -> Iterator[str]:
    for finding in at.findings:
        yield f"{_spoken(finding)} at line {finding.line}: {finding.message}"
        yield from _steps(finding.steps)
    for silence in at.silences:
        yield f"silent at line {silence.line}: {silence.reason}"
        yield from _steps(silence.steps)
    for doubt in at.doubts:
        about = f" about {doubt.anchor}" if doubt.anchor else ""
        yield f"undecided at line {doubt.line}{about}: {doubt.reason}"
    for failure in at.failures:
        yield f"the rule failed: {failure.text}"
    for group in at.missing:
        yield f"missing: {group}"
    yield from at.notes


def _spoken(finding: Finding) -> str:
    return f"it speaks ({finding.severity})" if finding.kind is Kind.DEFECT else "silent, with a remark"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield f"    {step.path}:{step.line}: {step.text}"
