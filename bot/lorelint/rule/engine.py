"""One rule on one function of one tree: its verdicts, and every fact that was read for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from lorelint.code.ir import Function
from lorelint.code.program import Key, Program
from lorelint.code.work import Spent, metered
from lorelint.model.finding import Doubt, Finding, Silence, Verdict
from lorelint.model.trouble import Failure, Unseen
from lorelint.rule.answers import Answers
from lorelint.rule.door import ChangeView, Rule, TreeView
from lorelint.rule.outcome import NOTHING, Outcome

IN_FUNCTION = 150_000  # steps of one rule in one function; in mm and fs/xfs of linux 6.12 none takes more than 63,000
IN_FILE = 500_000  # in the functions of one file; there none takes more than 65,000


class Judge:
    """Runs rules on functions of one tree, each pair once, also over several runs where answers are kept."""

    def __init__(self, program: Program, answers: Answers | None = None, *, whole: bool = True) -> None:
        self.program = program
        self.answers = answers or Answers()
        self.whole = whole
        self._view = TreeView(program, (), whole=whole)
        self._known: dict[tuple[str, int, Function], Outcome] = {}
        self._admitted: dict[tuple[str, bytes], bool] = {}  # by rule and text: each is asked for several times
        self._spent: dict[tuple[str, str], int] = {}  # by rule and file
        self._paid: dict[tuple[str, str], set[Key]] = {}  # answers that this is for
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
        outcome = _too_much(rule, fn) if self._over(rule, fn) else self._run(rule, fn, self._view.narrowed((fn,)))
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
        asked = (rule.name, fn.text)
        admitted = self._admitted.get(asked)
        if admitted is None:
            admitted = self._admitted[asked] = rule.tokens.admit(fn.text)
        if not admitted:
            return NOTHING
        known = self._known.get((rule.name, fn.line, fn))
        if known is None and not self._over(rule, fn):
            known = self.answers.outcome(rule.name, fn)
            if known is not None:
                self.taken(rule, fn, known)
        return known

    def _over(self, rule: Rule, fn: Function) -> bool:
        """Whether the rule has spent all that it may in the file of a function."""
        return self._spent.get((rule.name, fn.path), 0) > IN_FILE

    def taken(self, rule: Rule, fn: Function, outcome: Outcome) -> None:
        """Take over an outcome that was worked out elsewhere, with what was not seen for it."""
        key, place = (rule.name, fn.line, fn), (rule.name, fn.path)
        if outcome.cost and key not in self._known:
            self._spent[place] = self._spent.get(place, 0) + outcome.cost
        self._known[key] = outcome
        for each in outcome.unseen:
            self.program.miss(each)

    def _run(self, rule: Rule, fn: Function, view: TreeView) -> Outcome:
        failure, steps = None, 0
        with self.program.recording() as reads, metered(IN_FUNCTION) as meter:
            verdicts: Iterable[Verdict] = ()
            try:
                verdicts = tuple(rule.run(view))
            except Spent:
                steps = IN_FUNCTION + 1
            except Exception as error:  # a rule of a stranger's pack may raise anything; the others go on
                failure = Failure(rule.name, fn.path, fn.name, f"{type(error).__name__}: {_one_line(str(error))}")
        apart = {key for key in reads if key[0] in ("unseen", "work")}
        steps += meter.own + sum(int(key[2]) for key in apart if key[0] == "work")
        if steps > IN_FUNCTION:
            return _cut(rule, fn, "more ways through it than are followed", IN_FUNCTION)
        paid = self._paid.setdefault((rule.name, fn.path), set())  # what several functions ask for costs the file once
        cost = meter.own + sum(int(key[2]) for key in apart - paid if key[0] == "work")
        paid |= apart
        kept = dict.fromkeys(sorted(verdicts, key=order))
        missed = sorted(key for key in apart if key[0] == "unseen")
        unseen = tuple(Unseen(kind, path, int(line), text) for _, kind, path, line, text in missed)
        return Outcome(tuple(kept), frozenset(reads - apart), unseen, failure, cost)


def _cut(rule: Rule, fn: Function, why: str, cost: int) -> Outcome:
    """The outcome of a rule that could not look at all of a function: it is not known what it would say."""
    doubt = Doubt(rule.name, fn.path, fn.name, fn.line, "", why)
    return Outcome((doubt,), frozenset({("file", fn.path)}), cost=cost)


def _too_much(rule: Rule, fn: Function) -> Outcome:
    """Of a function behind those for which the rule has spent all that it may in one file."""
    return replace(_cut(rule, fn, "the functions before it in the file took all the steps there are", 0), again=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def order(verdict: Verdict) -> tuple[object, ...]:
    """How verdicts are sorted everywhere: by place, then by what they say."""
    said = verdict.message if isinstance(verdict, Finding) else verdict.reason
    anchor = "" if isinstance(verdict, Silence) else verdict.anchor
    return (verdict.path, verdict.line, verdict.rule, verdict.function, anchor, type(verdict).__name__, said)
