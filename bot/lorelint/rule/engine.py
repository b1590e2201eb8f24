"""One rule on one function of one tree: its verdicts, and every fact that was read for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.model.finding import Finding, Silence, Verdict
from lorelint.model.trouble import Failure, Unseen
from lorelint.rule.answers import Answers
from lorelint.rule.door import ChangeView, Rule, TreeView
from lorelint.rule.outcome import NOTHING, Outcome


class Judge:
    """Runs rules on functions of one tree, each pair once, also over several runs where answers are kept."""

    def __init__(self, program: Program, answers: Answers | None = None, *, whole: bool = True) -> None:
        self.program = program
        self.answers = answers or Answers()
        self.whole = whole
        self._view = TreeView(program, (), whole=whole)
        self._known: dict[tuple[str, int, Function], Outcome] = {}
        self.heard: Callable[[Rule, Function, Outcome], None] | None = None  # is told what had to be worked out

    def judge(self, rule: Rule, fn: Function) -> Outcome:
        """The outcome of `rule` on `fn`. What the rule raises becomes its failure.

        A rule about changes has nothing to say of one tree.
        """
        if rule.sees is ChangeView:
            return NOTHING
        known = self.known(rule, fn)
        if known is not None:
            return known
        outcome = self._run(rule, fn, self._view.narrowed((fn,)))
        self.learn(rule, fn, outcome)
        if self.heard is not None:
            self.heard(rule, fn, outcome)
        return outcome

    def learn(self, rule: Rule, fn: Function, outcome: Outcome) -> None:
        """Know an outcome that was just worked out, here or in another process."""
        self.taken(rule, fn, outcome)
        self.answers.learned(rule.name, fn, outcome)

    def change(self, rule: Rule, before: Judge, was: Function | None, fn: Function) -> Outcome:
        """The outcome of a rule about changes on a function that was `was` in the tree of `before`."""
        if not any(rule.tokens.admit(each.text) for each in (was, fn) if each is not None):
            return NOTHING
        return self._run(rule, fn, ChangeView(self._view, before._view, ((was, fn),)))

    def known(self, rule: Rule, fn: Function) -> Outcome | None:
        """The outcome, where it takes no work to tell."""
        if not rule.tokens.admit(fn.text):
            return NOTHING
        known = self._known.get((rule.name, fn.line, fn))
        if known is None:
            known = self.answers.outcome(rule.name, fn)
            if known is not None:
                self.taken(rule, fn, known)
        return known

    def taken(self, rule: Rule, fn: Function, outcome: Outcome) -> None:
        """Take over an outcome that was worked out elsewhere, with what was not seen for it."""
        self._known[rule.name, fn.line, fn] = outcome
        for each in outcome.unseen:
            self.program.miss(each)

    def _run(self, rule: Rule, fn: Function, view: TreeView) -> Outcome:
        with self.program.recording() as reads:
            verdicts: Iterable[Verdict] = ()
            failure = None
            try:
                verdicts = tuple(rule.run(view))
            except Exception as error:  # a rule of a stranger's pack may raise anything; the others go on
                failure = Failure(rule.name, fn.path, fn.name, f"{type(error).__name__}: {_one_line(str(error))}")
        kept = dict.fromkeys(sorted(verdicts, key=order))
        missed = {key for key in reads if key[0] == "unseen"}
        unseen = tuple(Unseen(kind, path, int(line), text) for _, kind, path, line, text in sorted(missed))
        return Outcome(tuple(kept), frozenset(reads - missed), unseen, failure)


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
