"""One patch: every subject judged on both trees, and a status for each finding."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.model.base import Grade
from lorelint.model.finding import Doubt, Finding, Judged, Kind, Silence, Status
from lorelint.model.trouble import Failure
from lorelint.rule.changes import Changes
from lorelint.rule.door import ChangeView, Rule
from lorelint.rule.engine import Judge
from lorelint.rule.outcome import NOTHING, Outcome
from lorelint.rule.reach import Subject
from lorelint.rule.subtract import Change, Pool, mute, subtract
from lorelint.rule.trust import Trust

_HUNKS_ALONE = "only the hunks are known, and they do not hold all that this stands on"
_BEFORE_UNSEEN = "only the hunks are known"


class OnePatch:
    """Filled by `subject`, finished by `finish`; then the lists below hold what one patch does.

    gone    findings that fired before and no longer do, with their grade
    moved   (before, after) of findings that are elsewhere now
    """

    def __init__(
        self, seq: int, trust: Trust, changes: Changes, before: Judge, after: Judge, missing: Collection[int] = ()
    ) -> None:
        self.seq = seq
        self.trust = trust
        self.changes = changes
        self.before = before
        self.after = after
        self.missing = tuple(sorted(number for number in missing if number < seq))
        self.judged: list[Judged] = []
        self.gone: list[tuple[Finding, Grade]] = []
        self.moved: list[tuple[Finding, Finding]] = []
        self.silences: list[Silence] = []
        self.doubts: list[Doubt] = []
        self.failures: list[Failure] = []
        self._names = {
            pair.before.name: pair.after.name
            for pair in changes.touched
            if pair.elsewhere and pair.before is not None and pair.after is not None
        }
        self._pool = Pool()

    def subject(self, rule: Rule, subject: Subject) -> None:
        """Judge one function by one rule."""
        if rule.sees is ChangeView:
            new, old = self._change(rule, subject), NOTHING
        else:
            new = self._after(rule, subject)
            old = self._before(rule, subject, new)
        if new is NOTHING and old is NOTHING:
            return
        old, new = self._hunks(rule, subject, old, new)
        if new.failure is not None:
            self.failures.append(new.failure)
        difference = subtract(subject, old, new, self._names)
        again = self._again(subject, old, new)
        if again:
            self.silences += new.silences
            self.doubts += new.doubts
        for change in difference.changes:
            if change.status is Status.BEFORE and not again and change.finding.kind is Kind.DEFECT:
                continue
            self._keep(subject, change, new)
        for was in difference.gone:
            self.gone.append((was, self.trust.finding(was)))
            if subject.touched:
                self._pool.gone.append((was, _lines(self.before.program, was)))

    def ask(self, rule: Rule, subject: Subject) -> None:
        """Have worked out what `subject` asks of one tree at a time."""
        if rule.sees is not ChangeView:
            self._before(rule, subject, self._after(rule, subject))

    def _change(self, rule: Rule, subject: Subject) -> Outcome:
        """What a rule about changes says of a function the patch touches."""
        if subject.after is None or not subject.touched or subject.moved:
            return NOTHING
        return self.after.change(rule, self.before, subject.before, subject.after)

    def _after(self, rule: Rule, subject: Subject) -> Outcome:
        """What the rule says after: what it said before, where nothing it read differs.

        The tree before comes first, because what is said of it may be known from another time. Where a finding holds
        lines of a changed file, which may have moved, the rule is asked again.
        """
        if subject.after is None:
            return NOTHING
        if subject.before is not None and not (subject.touched or subject.entered):
            old = self.before.judge(rule, subject.before)
            if old is NOTHING:
                return old
            if old.failure is None and not self.changes.differs(old.reads) and not self._moved(old):
                self.after.taken(rule, subject.after, old)
                return old
        return self.after.judge(rule, subject.after)

    def _moved(self, outcome: Outcome) -> bool:
        if outcome.findings:
            return any(len(key) > 1 and key[1] in self.changes.paths for key in outcome.reads)
        return any(each.line and each.path in self.changes.paths for each in outcome.unseen)

    def _before(self, rule: Rule, subject: Subject, new: Outcome) -> Outcome:
        """What the rule said before. Where nothing it read differs it said the same, and is not asked."""
        if subject.before is None:
            return NOTHING
        same = not subject.touched and subject.after is not None and new.failure is None
        if same and not self.changes.differs(new.reads):
            return new
        return self.before.judge(rule, subject.before)

    def _hunks(self, rule: Rule, subject: Subject, old: Outcome, new: Outcome) -> tuple[Outcome, Outcome]:
        """What may be said where hunks are all that is known of a file."""
        fn = subject.after
        if fn is None or self.trust.file(fn.path) is not Grade.FRAGMENTS:
            return old, new
        new = mute(new, lambda finding: self.trust.speaks(finding, fn), _HUNKS_ALONE)
        was = subject.before
        seen = self.trust.new(fn) if was is None else self.trust.whole_before(was)
        if not seen:
            unknown = Doubt(rule.name, fn.path, fn.name, fn.line, "", _BEFORE_UNSEEN)
            old = replace(old, verdicts=(*old.verdicts, unknown))
        return old, new

    def _again(self, subject: Subject, old: Outcome, new: Outcome) -> bool:
        """Whether anything that matters for the verdict differs, as far as the reads tell."""
        if subject.touched or subject.entered:
            return True
        facts = self.changes.facts.keys()
        return not (facts.isdisjoint(old.reads) and facts.isdisjoint(new.reads))

    def _keep(self, subject: Subject, change: Change, new: Outcome) -> None:
        finding, status, because = change.finding, change.status, change.because
        if status is Status.NEW and self.missing and not self.trust.named(finding):
            status = Status.UNCERTAIN
            because = f"patch {self.missing[0]} of the series did not come"
        if not because and not subject.touched:
            because = self._because(subject, finding, new)
        self.judged.append(Judged(finding, status, self.seq, self.trust.finding(finding), because))
        if change.was is not None and change.was.fingerprint != finding.fingerprint:
            self.moved.append((change.was, finding))
        if change.status is Status.NEW and subject.touched and finding.kind is Kind.DEFECT:
            self._pool.came.append((finding, _lines(self.after.program, finding)))

    def _because(self, subject: Subject, finding: Finding, new: Outcome) -> str:
        """The changed fact behind a verdict on a function that is as it was."""
        said = " ".join((finding.message, finding.anchor, *(step.text for step in finding.steps), *finding.facts))
        return self.changes.why(new.reads, subject.after, said) or subject.because or self._somewhere(new)

    def _somewhere(self, new: Outcome) -> str:
        paths = sorted({key[1] for key in new.reads if len(key) > 1 and key[1] in self.changes.paths})
        return f"{paths[0]} changed" if paths else ""

    def finish(self) -> None:
        """Turn what went in one function and came in another, line for line, into a move."""
        for was, finding in self._pool.moves():
            self.moved.append((was, finding))
            self.gone = [each for each in self.gone if each[0] is not was]
            self.judged = [
                Judged(each.finding, Status.MOVED, each.patch, each.grade, f"it was in {was.function}() before")
                if each.finding is finding
                else each
                for each in self.judged
            ]


def _lines(program: Program, finding: Finding) -> tuple[str, ...]:
    """The lines of code a finding stands on in its own file, without white space."""
    source = program.memo(("lines of", finding.path), lambda: (program.raw(finding.path) or b"").split(b"\n"))
    own = [step.line for step in finding.steps if step.path == finding.path]
    return tuple(
        "".join(source[line - 1].decode("utf-8", "surrogateescape").split()) for line in own if 0 < line <= len(source)
    )


def span(fn: Function) -> tuple[int, int]:
    return (fn.first_line, fn.end_line)
