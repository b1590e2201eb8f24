"""Which commits an author means: what is named, the series of a b4 branch, or what the upstream does not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lorelint.edge.git import text
from lorelint.edge.repository import GitRepository
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.work import Span

#: The line in a cover letter kept by `b4 prep` behind which its tracking data stands (b4 0.16, ez.py MAGIC_MARKER).
MARKER = "--- b4-submit-tracking ---"
_RANGE = regex(r"(?P<from>.*?)(?P<dots>\.\.\.?)(?P<to>.*)\Z")
_HOME = "main", "master"  # branches that others start from


def find_span(repository: GitRepository, named: str = "", tip: str = "") -> Span:
    """The commits that `named` (RANGE or COMMIT) means; without it, those of the branch that is checked out.

    tip  another commit than HEAD, whose start is looked for
    Raises LorelintError for a name git does not know, and where nothing says what the branch started from.
    """
    return _Finder(repository).named(named) if named else _Finder(repository).own(tip)


class _Finder:
    def __init__(self, repository: GitRepository) -> None:
        self.repository = repository
        self.where = str(repository.path)

    def _ask(self, *arguments: str) -> str:
        """First line of what git answers, "" where it has no answer."""
        done = self.repository.git.run(*arguments)
        return text(done.out).partition("\n")[0].strip() if done.code == 0 else ""

    def _commit(self, name: str) -> str:
        found = self.repository.resolve(name)
        if found is None:
            raise LorelintError(
                f"no commit called {name!a}", where=self.where, remedy="name a commit, a range A..B, or patch files"
            )
        return found

    def _fork(self, one: str, other: str) -> str:
        return self._ask("merge-base", one, other)

    # -- what was named ---------------------------------------------------------------------------------------

    def named(self, named: str) -> Span:
        dots = _RANGE.match(named)
        if dots is None:
            tip = self._commit(named)
            return Span(self._parent(tip), tip, named, "")
        base, tip = self._commit(dots["from"] or "HEAD"), self._commit(dots["to"] or "HEAD")
        if dots["dots"] == "...":
            base = self._fork(base, tip) or base
        return Span(base, tip, named, "")

    def _parent(self, commit: str) -> str:
        parent = self.repository.resolve(f"{commit}^")
        if parent is not None:
            return parent
        found = self.repository.objects.get(commit)
        if found is not None and b"\nparent " in found.data.partition(b"\n\n")[0]:
            remedy = "git fetch --deepen=1, or name a later commit"
            raise LorelintError("its parent is not in this shallow clone", where=commit[:12], remedy=remedy)
        raise LorelintError("is the first commit of all", where=commit[:12], remedy="name a commit that has a parent")

    # -- the branch that is checked out -----------------------------------------------------------------------

    def own(self, other: str = "") -> Span:
        head, tip = self._commit("HEAD"), self._commit(other or "HEAD")
        branch = self._ask("symbolic-ref", "-q", "--short", "HEAD") if tip == head else ""
        span = self._prepared(branch, tip) if branch else None
        if span is not None:
            return span
        here = branch or tip[:12]
        for name, why in self._starts(branch):
            base = self._fork(name, tip)
            if base:
                return Span(base, tip, f"{name}..{here}", why)
        raise LorelintError(
            "nothing says what the branch started from",
            where=f"{self.where} ({here})",
            remedy="git branch --set-upstream-to=UPSTREAM, or name the range: lorelint check BASE..",
        )

    def _starts(self, branch: str) -> Iterator[tuple[str, str]]:
        """What the branch may have started from, surest first."""
        upstream = self._ask("rev-parse", "-q", "--verify", "--abbrev-ref", "@{upstream}") if branch else ""
        if upstream:
            yield upstream, f"the upstream of {branch}"
        listed = self.repository.git.run("for-each-ref", "--format=%(refname:short) %(symref:short)", "refs/remotes")
        remote = [line.split(" ") for line in text(listed.out).splitlines()]
        for name, *points in remote:
            if points and points[0]:
                yield points[0], f"what {name} stands for"
        for name, *_ in remote:
            if name.rpartition("/")[2] in _HOME:
                yield name, "a branch of a remote"
        for name in _HOME:
            if name != branch and self.repository.resolve(f"refs/heads/{name}") is not None:
                yield name, "the main branch here"
        tag = self._ask("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD")
        if tag:
            yield tag, "the newest release in it"

    # -- b4 prep ----------------------------------------------------------------------------------------------

    def _prepared(self, branch: str, tip: str) -> Span | None:
        """The series of a branch that `b4 prep` keeps, in any of its ways of keeping the cover letter (b4 0.16)."""
        done = self.repository.git.run("config", "-z", "--get-regexp", rf"^branch\.{re.escape(branch)}\.b4-")
        keys = dict(each.partition("\n")[::2] for each in text(done.out).split("\0") if each)
        kept = {key.rpartition(".")[2]: value for key, value in keys.items()}
        strategy = kept.get("b4-prep-cover-strategy", "branch-description" if "b4-tracking" in kept else "")
        if not strategy and not branch.startswith("b4/"):
            return None
        if strategy == "branch-description":
            series = _tracking(kept.get("b4-tracking", ""))
            base = self._fork(str(series.get("base-branch", "")), tip) if series.get("base-branch") else ""
            return self._series(branch, base, tip, series)
        cover = self._ask("log", "--format=%H", "-F", "--grep", MARKER, "--max-count=1", "--since=1.year", tip, "--")
        found = self.repository.objects.get(cover) if cover else None
        if found is None:
            return None
        series = _tracking(text(found.data).partition(MARKER)[2])
        if strategy == "tip-commit":
            end = self._parent(cover)
            return self._series(branch, self._fork(str(series.get("base-branch", "")), end), end, series)
        return self._series(branch, self._parent(cover), tip, series, cover)

    def _series(self, branch: str, base: str, tip: str, series: dict[str, object], cover: str = "") -> Span | None:
        if not base:
            return None
        version, change_id = series.get("revision"), series.get("change-id")
        return Span(
            base,
            tip,
            f"{self.repository.name_of(base)}..{branch}",
            "the series b4 keeps on it",
            cover,
            change_id if isinstance(change_id, str) else "",
            version if isinstance(version, int) and version > 0 else 1,
        )


def _tracking(kept: str) -> dict[str, object]:
    """What b4 keeps about a series; nothing where it cannot be read."""
    try:
        series = json.loads(kept[kept.index("{") :]).get("series", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return series if isinstance(series, dict) else {}
