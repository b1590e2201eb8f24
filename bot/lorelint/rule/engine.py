"""One rule on one function of one tree: its verdicts, and every fact that was read for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lorelint.code.ir import Function
from lorelint.code.program import Key, Program
from lorelint.model.finding import Doubt, Finding, Kind, Silence, Verdict
from lorelint.model.trouble import Failure
from lorelint.rule.door import Rule, TreeView


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule on one function.

    reads   keys of the facts that were looked up; the same facts give the same verdicts
    """

    verdicts: tuple[Verdict, ...] = ()
    reads: frozenset[Key] = field(default=frozenset(), repr=False)
    failure: Failure | None = None

    @property
    def defects(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.kind is Kind.DEFECT)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Finding))

    @property
    def silences(self) -> tuple[Silence, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Silence))

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Doubt))


class Judge:
    """Runs rules on functions of one tree, each pair once."""

    def __init__(self, program: Program, *, whole: bool = True) -> None:
        self.program = program
        self.whole = whole
        self._view = TreeView(program, (), whole=whole)
        self._known: dict[tuple[str, int, Function], Outcome] = {}

    def judge(self, rule: Rule, fn: Function) -> Outcome:
        """The outcome of `rule` on `fn`. What the rule raises becomes its failure."""
        key = (rule.name, fn.line, fn)
        if key not in self._known:
            self._known[key] = self._run(rule, fn) if rule.tokens.admit(fn.text) else Outcome()
        return self._known[key]

    def _run(self, rule: Rule, fn: Function) -> Outcome:
        with self.program.recording() as reads:
            verdicts: Iterable[Verdict] = ()
            failure = None
            try:
                verdicts = tuple(rule.run(self._view.narrowed((fn,))))
            except Exception as error:  # a rule of a stranger's pack may raise anything; the others go on
                failure = Failure(rule.name, fn.path, fn.name, f"{type(error).__name__}: {_one_line(str(error))}")
        kept = dict.fromkeys(sorted(verdicts, key=order))
        return Outcome(tuple(kept), frozenset(reads), failure)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def order(verdict: Verdict) -> tuple[object, ...]:
    """How verdicts are sorted everywhere: by place, then by what they say."""
    said = verdict.message if isinstance(verdict, Finding) else verdict.reason
    anchor = "" if isinstance(verdict, Silence) else verdict.anchor
    return (verdict.path, verdict.line, verdict.rule, verdict.function, anchor, type(verdict).__name__, said)


def admitted(rules: Sequence[Rule], text: bytes) -> tuple[Rule, ...]:
    """The rules whose tokens stand in a text."""
    return tuple(rule for rule in rules if rule.tokens.admit(text))
