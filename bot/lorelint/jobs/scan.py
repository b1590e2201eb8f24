"""Every function of some files judged as if it were new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.kernel.load import knowledge, known_versions
from lorelint.kernel.version import kernel_version
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Coverage, Doubt, Finding, Judged, Kind, Report, Silence, Status, Verdict
from lorelint.model.memory import Memory
from lorelint.model.tree import EmptyTree, OverlayTree, Tree, is_source
from lorelint.model.trouble import Failure, Trouble, Unseen
from lorelint.rule.admission import Admission
from lorelint.rule.answers import FileAnswers, answers_of
from lorelint.rule.concern import concerns, subject_of
from lorelint.rule.delta import by_place
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge, order

KEPT = 200  # files after which what was said so far is kept
PARSED = 2000  # files held in memory; past them everything is read anew as it is needed


def lone(name: str, content: bytes, under: Tree | None = None) -> Tree:
    """A C file outside any tree as a tree: alone, or laid over one it may include from."""
    return OverlayTree(under or EmptyTree(name), {name: content}, name if under is None else "")


def version_of(tree: Tree) -> tuple[int, int]:
    """The version of a kernel tree; the newest known for any other tree."""
    try:
        return kernel_version(tree)
    except LorelintError:
        return known_versions()[-1]


def scan(
    tree: Tree,
    paths: Sequence[str],
    rules: Sequence[Rule],
    *,
    version: tuple[int, int] | None = None,
    source: str = "",
    of: str = "",
    memory: Memory | None = None,
    stamp: str = "",
) -> Report:
    """Judge all functions below some paths of a tree.

    paths    files or folders, relative to the tree; "" is all of it
    version  of the kernel, for the lists; by default that of the tree
    source   what the user named
    of       lorelint and its packs with their versions
    memory   of what was worked out before, by the very code that `stamp` stands for
    Raises LorelintError for a path below which there is no C file.
    """
    ordered = tuple(sorted(rules, key=lambda rule: rule.name))
    know = knowledge(version or version_of(tree))
    program = Program(tree, know)
    run = _Run(program, Judge(program, answers_of(tree, know, memory, stamp)), ordered)
    files = _files(tree, paths)
    for number, path in enumerate(files, 1):
        run.file(path)
        if number % KEPT == 0:
            run.judge.answers.save()
            run.lighten()
    run.judge.answers.save()
    judged = tuple(sorted(run.kept(), key=by_place))
    spans = {(0, path, name): lines for (path, name), lines in run.spans.items()}
    return Report(
        source=source or tree.name,
        series=None,
        base=None,
        findings=judged,
        concerns=concerns(judged, ordered, spans),
        silences=tuple(sorted(dict.fromkeys(run.silences), key=order)),
        troubles=tuple(run.troubles),
        failures=tuple(run.failures),
        unseen=tuple(run.unseen(files)),
        coverage=Coverage(len(files), run.functions, run.degraded(), tuple(rule.name for rule in ordered)),
        version=of,
    )


def _files(tree: Tree, paths: Sequence[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for path in paths:
        below = tree.files(path.rstrip("/"))
        if not below and is_source(path) and tree.read(path) is not None:
            below = (path,)
        if not below:
            what = "no such file or folder, or no C file in it" if tree.read(path) is None else "not a C file"
            where = f"{tree.name}: {path}" if path and path != tree.name else tree.name
            raise LorelintError(what, where=where, remedy="name a C file or a folder, relative to the top of the tree")
        found |= set(below)
    return tuple(sorted(found))


class _Run(Struct):
    """Gathers, file by file."""

    program: Program
    judge: Judge
    rules: tuple[Rule, ...]
    judged: list[Judged] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    spans: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    functions: int = 0

    def file(self, path: str) -> None:
        """Judge the functions of one file; nothing of it is read where all rules have been asked before."""
        if all(self._again(rule, path) for rule in self.rules):
            known = [self.judge.answers.of(rule.name, path) for rule in self.rules]
            self.functions += max((each.functions for each in known), default=0)
            self._placed(path, known)
            for each in known:
                self._told(each)
            return
        raw = self.program.raw(path)
        if raw is None:
            self.troubles.append(Trouble("unreadable", path, "not read: over 1 MiB, or gone"))
            return
        rules = tuple(rule for rule in self.rules if rule.tokens.admit(raw))
        functions = self.program.functions(path) if rules else ()
        self.functions += len(functions)
        if path.endswith(".c") and raw.strip() and not functions and not self.program.functions(path):
            self.troubles.append(Trouble("unreadable", path, "no function could be read in it"))
            return
        admission = Admission(rules)
        for fn in functions:
            names = admission.of(fn.text)
            for rule in rules:
                if rule.name in names:
                    self._one(rule, fn)
        for rule in self.rules:
            self.judge.answers.whole(rule.name, path, len(functions) if rule in rules else 0)

    def lighten(self) -> None:
        """Forget what was read and worked out, but for what is to be told, where it has become much."""
        if len(self.program.cache.functions) > PARSED:
            fresh = Program(self.program.tree, self.program.know)
            for each in self.program.unseen:
                fresh.miss(each)
            self.program, self.judge = fresh, Judge(fresh, self.judge.answers)

    def _again(self, rule: Rule, path: str) -> bool:
        return self.judge.answers.of(rule.name, path).functions >= 0

    def _placed(self, path: str, known: Sequence[FileAnswers]) -> None:
        """Where the functions stand, as when they are judged in the order of the file: of two of one name the last."""
        places = {place: answer.span for each in known for place, answer in each.answers.items()}
        for name, line in sorted(places, key=lambda place: place[1]):
            self.spans[path, name] = places[name, line]

    def _told(self, known: FileAnswers) -> None:
        """What was said of a file before."""
        for each in known.answers.values():
            self._verdicts(each.verdicts)
            for missed in each.unseen:
                self.program.miss(missed)

    def _one(self, rule: Rule, fn: Function) -> None:
        self.spans[fn.key] = (fn.first_line, fn.end_line)
        outcome = self.judge.judge(rule, fn)
        self._verdicts(outcome.verdicts)
        if outcome.failure is not None:
            self.failures.append(outcome.failure)

    def _verdicts(self, verdicts: Sequence[Verdict]) -> None:
        for each in verdicts:
            match each:
                case Finding():
                    self.judged.append(Judged(each, Status.NEW, 0, Grade.EXACT))
                case Silence():
                    self.silences.append(each)
                case Doubt():
                    self.doubts.append(each)

    def kept(self) -> Iterator[Judged]:
        """Defects, and the remarks beside them."""
        wanted = {subject_of(each.finding) for each in self.judged if each.finding.kind is Kind.DEFECT}
        for each in self.judged:
            if each.finding.kind is Kind.DEFECT or subject_of(each.finding) in wanted:
                yield each

    def _holes(self) -> Iterator[tuple[Unseen, tuple[str, str]]]:
        """What was not seen in the functions judged, with the function."""
        spans: dict[str, list[tuple[int, int, str]]] = {}
        for (path, name), (first, last) in self.spans.items():
            spans.setdefault(path, []).append((first, last, name))
        for each in self.program.unseen:
            for first, last, name in spans.get(each.path, ()):
                if first <= each.line <= last:
                    yield each, (each.path, name)
                    break

    def degraded(self) -> int:
        return len({key for each, key in self._holes() if each.kind == "degraded"})

    def unseen(self, files: Sequence[str]) -> Iterator[Unseen]:
        """What was not seen of what was asked for, and the doubts."""
        inside = dict.fromkeys(each for each, _ in self._holes())
        asked = frozenset(files)
        for each in self.program.unseen:
            if each in inside or each.kind == "cut" or (each.kind == "skipped" and each.path in asked):
                yield each
        for doubt in sorted(dict.fromkeys(self.doubts), key=order):
            yield Unseen("undecided", doubt.path, doubt.line, f"{doubt.rule} in {doubt.function}(): {doubt.reason}")
