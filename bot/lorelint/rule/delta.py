"""A series through the rules: every patch before and after, subtracted, and what becomes of it later on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code.program import Program
from lorelint.model.aside import Aside
from lorelint.model.base import Applied, Snapshot
from lorelint.model.finding import Coverage, Doubt, Finding, Judged, Kind, Silence, Status
from lorelint.model.mail import Change as FileChange
from lorelint.model.tree import OverlayTree, Tree, is_source
from lorelint.model.trouble import Failure, Unseen
from lorelint.rule.admission import Admission
from lorelint.rule.answers import Answers
from lorelint.rule.beside import judge_beside
from lorelint.rule.changes import Changes
from lorelint.rule.concern import OPEN, subject_of
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge, order
from lorelint.rule.onepatch import OnePatch, span
from lorelint.rule.reach import Subject, reach
from lorelint.rule.trust import Trust, latest

Spans = Mapping[tuple[int, str, str], tuple[int, int]]
_Identity = tuple[str, str, str, str]


class Delta(Struct, frozen=True):
    """What a series does to the findings of some rules.

    judged   sorted by patch and place
    spans    (patch, path, function) -> first and last line of every function judged, in the tree after
    """

    judged: tuple[Judged, ...]
    silences: tuple[Silence, ...]
    doubts: tuple[Doubt, ...]
    failures: tuple[Failure, ...]
    unseen: tuple[Unseen, ...]
    spans: Spans
    coverage: Coverage

    @property
    def undecided(self) -> tuple[Unseen, ...]:
        """Doubts as a report tells them: what was looked at and could not be decided."""
        found = (
            Unseen("undecided", each.path, each.line, f"{each.rule} in {each.function}(): {each.reason}")
            for each in self.doubts
        )
        return tuple(dict.fromkeys(found))


def delta(
    applied: Applied,
    rules: Sequence[Rule],
    programs: Callable[[Tree], Program],
    *,
    answers: Callable[[Tree], Answers] = lambda tree: Answers(),
    missing: Collection[int] = (),
    aside: Aside | None = None,
) -> Delta:
    """Judge every patch of a series.

    programs  makes the program of a tree; asked once per tree, so it may share caches between them
    answers   outcomes of a tree that are known from before, if any
    missing   numbers of patches that did not come
    aside     another processor, if any
    """
    _ask_at_once(applied, programs)
    walk = _Walk(tuple(sorted(rules, key=lambda rule: rule.name)), frozenset(missing), aside)
    whole = bool(applied.base.tree)
    last: tuple[Tree, Judge] | None = None
    for snapshot, files in zip(applied.snapshots, latest(applied), strict=True):
        before = last[1] if last is not None and _same(last[0], snapshot.before) else None
        before = before or Judge(programs(snapshot.before), answers(snapshot.before), whole=whole)
        after = Judge(programs(snapshot.after), answers(snapshot.after), whole=whole)
        walk.patch(snapshot, Trust(applied.base, files, snapshot), before, after)
        before.answers.save()
        after.answers.save()
        last = (snapshot.after, after)
    return walk.result()


def _ask_at_once(applied: Applied, programs: Callable[[Tree], Program]) -> None:
    """Search the tree for the callers of all changed functions of the series in one go: a search reads it whole."""
    words: set[str] = set()
    for snapshot in applied.snapshots:
        before, after = programs(snapshot.before), programs(snapshot.after)
        for path in sorted(_touched(snapshot)[0]):
            old = {fn.name: fn for fn in before.functions(path)}
            changed = (fn for fn in after.functions(path) if fn.name in old and fn != old[fn.name])
            words.update(fn.name for fn in changed if not fn.static or path.endswith(".h"))
    if words and applied.snapshots:
        tree = applied.snapshots[0].before
        (tree.under if isinstance(tree, OverlayTree) else tree).mentions(sorted(words))


def _same(one: Tree, other: Tree) -> bool:
    """The tree after a patch is most often the tree before the next one, made anew."""
    if one is other:
        return True
    if not (isinstance(one, OverlayTree) and isinstance(other, OverlayTree) and one.under is other.under):
        return False
    return all(one.read(path) == other.read(path) for path in sorted({*one.overlay, *other.overlay}))


def _touched(snapshot: Snapshot) -> tuple[set[str], dict[str, str]]:
    """C files of either side, and where renamed ones were."""
    paths: set[str] = set()
    renamed: dict[str, str] = {}
    for diff in snapshot.patch.diffs:
        paths |= {path for path in (diff.old_path, diff.new_path) if path and is_source(path)}
        if diff.change is FileChange.RENAME and diff.old_path != diff.new_path:
            renamed[diff.new_path] = diff.old_path
    return paths, renamed


def _identity(finding: Finding) -> _Identity:
    return (finding.rule, finding.path, finding.function, finding.anchor)


def by_place(judged: Judged) -> tuple[object, ...]:
    """How findings are sorted in a report."""
    return (judged.patch, *order(judged.finding), judged.status.value)


class _Walk:
    """Gathers, patch by patch."""

    def __init__(self, rules: tuple[Rule, ...], missing: frozenset[int], aside: Aside | None) -> None:
        self.rules = rules
        self.missing = missing
        self.aside = aside
        self.judged: list[Judged] = []
        self.live: dict[_Identity, list[int]] = {}  # brought by this series: places in `judged`
        self.silences: dict[Silence, None] = {}
        self.doubts: dict[Doubt, None] = {}
        self.failures: dict[Failure, None] = {}
        self.unseen: dict[Unseen, None] = {}
        self.spans: dict[tuple[int, str, str], tuple[int, int]] = {}

    def patch(self, snapshot: Snapshot, trust: Trust, before: Judge, after: Judge) -> None:
        paths, renamed = _touched(snapshot)
        changes = Changes(before.program, after.program, paths, renamed)
        admission = Admission(self.rules)
        subjects, cut = reach(changes, admission)
        one = OnePatch(snapshot.patch.seq, trust, changes, before, after, self.missing)
        subjects = (*subjects, *self._out_of_reach(subjects, changes))
        asked = [admission.either(subject.before, subject.after) for subject in subjects]
        if self.aside is not None and subjects:
            judge_beside(one, self.rules, tuple(zip(subjects, asked, strict=True)), self.aside)
        for subject, names in zip(subjects, asked, strict=True):
            if subject.after is not None:
                self.spans[(one.seq, subject.after.path, subject.after.name)] = span(subject.after)
            for rule in self.rules:
                if rule.name in names:
                    one.subject(rule, subject)
        one.finish()
        self.unseen.update(dict.fromkeys((*cut, *self._unseen(one))))
        self.silences.update(dict.fromkeys(one.silences))
        self.doubts.update(dict.fromkeys(one.doubts))
        self.failures.update(dict.fromkeys(one.failures))
        self._settle(one)

    def _out_of_reach(self, subjects: Sequence[Subject], changes: Changes) -> Iterator[Subject]:
        """Functions with a finding of an earlier patch are judged again, wherever they are."""
        known = {fn.key for subject in subjects for fn in (subject.before, subject.after) if fn is not None}
        for path, name in sorted({(path, name) for _, path, name, _ in self.live}):
            fn = changes.after.function(path, name)
            if fn is not None and fn.key not in known:
                yield Subject(changes.partner(fn), fn, touched=False)

    def _unseen(self, one: OnePatch) -> Iterator[Unseen]:
        """What was not seen in the functions judged and in the changed files, and where a budget ended."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for (seq, path, _), lines in self.spans.items():
            if seq == one.seq:
                spans.setdefault(path, []).append(lines)
        for each in one.after.program.unseen:
            inside = any(first <= each.line <= last for first, last in spans.get(each.path, ()))
            skipped = each.kind == "skipped" and each.path in one.changes.paths
            if inside or skipped or each.kind == "cut":
                yield each

    def _settle(self, one: OnePatch) -> None:
        """Statuses of one patch in the light of those before it."""
        for was, finding in one.moved:
            places = self.live.pop(_identity(was), [])
            if places:
                self.live.setdefault(_identity(finding), []).extend(places)
        told = {_identity(each.finding) for each in self.judged}
        for judged in one.judged:
            ident = _identity(judged.finding)
            defect = judged.finding.kind is Kind.DEFECT
            known = ident in self.live and judged.status not in (Status.NEW, Status.UNCERTAIN)
            if defect and (known or (judged.status is Status.BEFORE and ident in told)):
                continue  # said once, at the patch that brought it or first touched it
            if defect and judged.status in OPEN:
                self.live.setdefault(ident, []).append(len(self.judged))
            self.judged.append(judged)
        for finding, grade in one.gone:
            self._ended(one.seq, Judged(finding, Status.FIXED, one.seq, grade))

    def _ended(self, seq: int, judged: Judged) -> None:
        """A finding of an earlier patch of this series ends here; any other is fixed by it."""
        places = self.live.get(_identity(judged.finding), [])
        if not places:
            self.judged.append(judged)
            return
        place = places.pop(0)
        self.judged[place] = replace(self.judged[place], gone_in=seq)
        if not places:
            del self.live[_identity(judged.finding)]
        if self.judged[place].status is Status.EXPOSED:
            self.judged.append(judged)  # it was there before the series, so this is a fix

    def result(self) -> Delta:
        degraded = [each for each in self.unseen if each.kind == "degraded"]
        functions = {(path, name): lines for (_, path, name), lines in self.spans.items()}
        holes = {
            key
            for key, (first, last) in functions.items()
            if any(each.path == key[0] and first <= each.line <= last for each in degraded)
        }
        return Delta(
            judged=tuple(sorted(_beside(self.judged), key=by_place)),
            silences=tuple(sorted(self.silences, key=order)),
            doubts=tuple(sorted(self.doubts, key=order)),
            failures=tuple(sorted(self.failures, key=lambda each: (each.path, each.function, each.rule, each.text))),
            unseen=tuple(sorted(self.unseen, key=lambda each: (each.path, each.line, each.kind, each.text))),
            spans=self.spans,
            coverage=Coverage(
                files=len({path for path, _ in functions}),
                functions=len(functions),
                degraded=len(holes),
                rules=tuple(rule.name for rule in self.rules),
            ),
        )


def _beside(judged: Iterable[Judged]) -> Iterator[Judged]:
    """All defects, and the remarks that stand beside one the series brings."""
    kept = tuple(judged)
    wanted = {(each.patch, subject_of(each.finding)) for each in kept if _brings(each)}
    for each in kept:
        if each.finding.kind is Kind.DEFECT or (each.patch, subject_of(each.finding)) in wanted:
            yield each


def _brings(judged: Judged) -> bool:
    return judged.finding.kind is Kind.DEFECT and judged.status in OPEN
