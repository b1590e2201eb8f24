"""What the author's commands are built of: a checkout, what is in hand there, dismissals, hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from lorelint.model.errors import LorelintError
from lorelint.model.work import Dismissal, Span, Work
from lorelint.wire import House, Lines, lines_of

if TYPE_CHECKING:
    from lorelint.edge.dismissals import DismissalFile
    from lorelint.edge.repository import GitRepository
    from lorelint.jobs.check import Checked
    from lorelint.model.finding import Judged
    from lorelint.model.mail import Thread
    from lorelint.report.sarif import RuleHelp
    from lorelint.rule.door import Rule

_TRACKING = 32 << 20  # bytes of what b4 keeps about a series that are read


class Outcome(Struct, frozen=True):
    """A check, the lines of the trees it speaks of, and the reasons of what was dismissed by fingerprint."""

    checked: Checked
    line: Lines
    reasons: dict[str, str]


_Loaded = tuple[tuple["Rule", ...], str, str]  # the rules, their version, what stands for the code that judges


class _Loading:
    """A thread that loads the rules, and has ended when it is asked for them: nothing forks beside a thread."""

    def __init__(self, load: Callable[[], _Loaded]) -> None:
        self._load = load
        self._told: _Loaded | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with suppress(Exception):  # it is met again by who asks
            self._told = self._load()

    def result(self) -> _Loaded:
        """Raises LorelintError as `House.rules` does."""
        self._thread.join()
        return self._load() if self._told is None else self._told


class Desk:
    """An author's checkout, and what is kept for its author.

    data         the folder of the user's data that is ours
    only, stage  which rules are asked, as `House.rules` has it
    """

    def __init__(
        self, house: House, data: Path, checkout: str = "", only: Sequence[str] = (), stage: str = "queue"
    ) -> None:
        self.house = house
        self.data = data
        self._only = only
        self._stage = stage
        self._named = checkout
        self._repository: GitRepository | None = None
        self._loading: _Loading | None = None

    def prepare(self) -> None:
        """Begin to load the rules: they are there by the time that git has told what is in hand."""
        self._loading = _Loading(self._load)

    def _load(self) -> _Loaded:
        from lorelint.jobs import check  # noqa: F401 - it is what takes the time

        house = self.house
        return house.rules(self._only, self._stage), house.version(), house.stamp()

    def _loaded(self) -> _Loaded:
        return self._load() if self._loading is None else self._loading.result()

    @property
    def repository(self) -> GitRepository:
        """The checkout the user named or stands in. Raises LorelintError where there is none."""
        if self._repository is None:
            from lorelint.edge.git import Git, text
            from lorelint.edge.repository import GitRepository

            here = Path(self.house.find(self._named)).expanduser() if self._named else self.house.cwd
            top = Git(here).run("rev-parse", "--show-toplevel")
            if top.code != 0:
                remedy = (
                    "run it inside a clone of the kernel, or name one with --tree; `lorelint review` takes patch files"
                )
                raise LorelintError("not a git checkout", where=str(here), remedy=remedy)
            self._repository = GitRepository(Path(text(top.out).rstrip("\n")), self.house.beside)
        return self._repository

    # -- what is in hand --------------------------------------------------------------------------------------

    def span(self, named: str = "", tip: str = "") -> Span:
        """What is named, or what `tip` (HEAD where it is not given) has and its upstream has not."""
        from lorelint.edge.span import find_span

        return find_span(self.repository, named, tip)

    def work(self, span: Span, pending: str = "", index_file: str = "") -> Work:
        from lorelint.edge.work import lay_out

        return lay_out(self.repository, span, pending, index_file)

    def head(self) -> Span:
        """No commits at all: only what is not committed."""
        commit = self.repository.resolve("HEAD")
        if commit is None:
            raise LorelintError("has no commit yet", where=str(self.repository.path), remedy="commit something first")
        return Span(commit, commit, "HEAD", "")

    def tracked(self, path: str) -> str:
        """The range of the series that `b4 review` is looking at, as its tracking file (b4 0.16) says; "" for none."""
        import json

        try:
            with Path(path).open("rb") as file:
                series = json.loads(file.read(_TRACKING))["series"]
            first, change_id = series["first-patch-commit"], series["change-id"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""
        branch = f"b4/review/{change_id}"
        there = all(self.repository.resolve(str(each)) for each in (first, branch))
        return f"{first}~1..{branch}~1" if there else ""  # its tip holds what b4 keeps

    def mailed(self, thread: Thread, named: str = "") -> tuple[Work, int] | None:
        """The work that holds the patch of a mail, and its number there; None where no commit makes that change.

        named  the range to look in; the branch that is checked out where it is not given
        """
        from lorelint.jobs.check import place_of

        patch = next((each for series in thread.series for each in series.patches), None)
        if patch is None:
            return None
        try:
            work = self.work(self.span(named))
        except LorelintError:
            return None
        seq = place_of(patch, work.series.patches)
        return (work, seq) if seq else None

    # -- check ------------------------------------------------------------------------------------------------

    def check(self, work: Work, only: int = 0) -> Outcome:
        from lorelint.edge.aside import fork
        from lorelint.jobs.check import check

        rules, version, stamp = self._loaded()
        return self._outcome(
            check(
                work,
                rules,
                only=only,
                dismissals=self.dismissed.read(),
                version=version,
                memory=self.house.index_file,
                stamp=stamp,
                aside=fork,
            )
        )

    def review(self, thread: Thread) -> Outcome:
        """A patch that no commit here makes: laid on HEAD, or where it fits best. Raises LorelintError."""
        from lorelint.edge.aside import fork
        from lorelint.edge.patch import GnuPatch
        from lorelint.edge.trees import open_tree
        from lorelint.jobs.check import checked
        from lorelint.jobs.review import review

        rules, version, stamp = self._loaded()
        done = review(
            thread,
            open_tree(str(self.repository.path), (), self.house.beside),
            rules,
            patcher=GnuPatch(),
            version=version,
            memory=self.house.index_file,
            stamp=stamp,
            aside=fork,
        )
        return self._outcome(checked(done.report, done.applied, self.dismissed.read()))

    def _outcome(self, checked: Checked) -> Outcome:
        from lorelint.edge.dismissals import remember
        from lorelint.jobs.check import counts

        remember(self.data, [_named(each, "") for each in checked.report.findings if counts(each)])
        trees = {each.patch.seq: each.after for each in checked.applied.snapshots}
        reasons = {each.fingerprint: each.reason for each in self.dismissed.read().values()}
        return Outcome(checked, lines_of(trees), reasons)

    def helps(self, names: Sequence[str]) -> tuple[RuleHelp, ...]:
        """What is shown beside findings of rules, sorted by name."""
        from lorelint.report.sarif import RuleHelp
        from lorelint.rule.explain import doc, explain

        rules = self.house.rules(names) if names else ()
        return tuple(RuleHelp(rule.name, doc(rule).summary, explain(rule)) for rule in rules)

    # -- dismissals -------------------------------------------------------------------------------------------

    @property
    def dismissed(self) -> DismissalFile:
        from lorelint.edge.dismissals import DismissalFile

        return DismissalFile(self.data)

    def dismiss(self, fingerprint: str, reason: str, date: str) -> Dismissal:
        """Let a finding that was shown stand. Raises LorelintError where none of that fingerprint was shown here."""
        from lorelint.edge.dismissals import SEEN, DismissalFile

        seen = DismissalFile(self.data, SEEN).read()
        near = [each for each in seen if each.startswith(fingerprint.lower())]
        if len(near) != 1:
            why = "no finding of that fingerprint was shown here" if not near else "several findings begin so"
            remedy = "run `lorelint check` and take it from there" if not near else "give more of its digits"
            raise LorelintError(why, where=fingerprint, remedy=remedy)
        one = replace(seen[near[0]], reason=reason, date=date)
        self.dismissed.change(lambda known: known.__setitem__(one.fingerprint, one))
        return one

    def restore(self, fingerprint: str) -> None:
        """Count a dismissed finding again. Raises LorelintError where it was not dismissed."""
        near = [each for each in self.dismissed.read() if each.startswith(fingerprint.lower())]
        if len(near) != 1:
            why = "it was not dismissed" if not near else "several begin so"
            raise LorelintError(why, where=fingerprint, remedy="`lorelint dismiss` lists them")
        self.dismissed.change(lambda known: known.__delitem__(near[0]))

    def baseline(self, checked: Checked, date: str) -> int:
        """Let all stand that a check has found; how many they are."""
        from lorelint.jobs.check import counts

        reason = "stood when the baseline was taken"
        every = [
            replace(_named(each, reason), by="baseline", date=date) for each in checked.report.findings if counts(each)
        ]
        self.dismissed.change(lambda known: known.update({each.fingerprint: each for each in every}))
        return len(every)

    # -- hooks ------------------------------------------------------------------------------------------------

    def install(self, kind: str, program: Sequence[str]) -> list[str]:
        """Write a hook, or b4's settings; gives what was written, a line each."""
        from lorelint.edge.hooks import B4Settings, Hooks, b4_commands

        if kind != "b4":
            return [str(Hooks(self.repository).install(kind, program))]
        done = B4Settings(self.repository).install(b4_commands(program, self.rules_version()))
        return [f"git config {key} = {command}" for key, command in done]

    def remove(self, kind: str) -> list[str]:
        from lorelint.edge.hooks import B4Settings, Hooks

        if kind != "b4":
            gone = Hooks(self.repository).remove(kind)
            return [] if gone is None else [str(gone)]
        return [f"git config {key}" for key in B4Settings(self.repository).remove()]

    def rules_version(self) -> str:
        """Changes whenever what the rules say may: b4 keeps answers for 30 days by the command line."""
        return self.house.stamp()


def _named(judged: Judged, reason: str) -> Dismissal:
    finding = judged.finding
    return Dismissal(finding.fingerprint, reason, rule=finding.rule, path=finding.path, function=finding.function)
