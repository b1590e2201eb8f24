"""The base ladder: where a series is put, rung by rung, every rung recorded.

Base commit and prerequisites; the blobs the index lines name; the tree the user names; the newest tag or branch on
which it applies; three-way by blobs; fuzz; at last the hunks alone. The first rung on which every file is
exact wins, then the first on which every hunk has its context; only then is anything guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.jobs.lay import Laid, Layer, first_blobs
from lorelint.model.base import Applied, Base, BaseStep, Grade, Snapshot
from lorelint.model.mail import Series
from lorelint.model.source import OpenTree, Patcher, Prerequisite, Repository
from lorelint.model.tree import EmptyTree, OverlayTree, Tree
from lorelint.model.trouble import Trouble

MAX_NAMED = 3  # files a step names
MAX_LAID = 40  # tags and branches, different in the files of the series, on which it is tried


def climb(series: Series, source: OpenTree | None, patcher: Patcher | None = None, *, pinned: bool = False) -> Applied:
    """Put a series on the best base there is. Never raises for what a mail says.

    source   the tree and, behind it, the repository; None: there is nothing but the mail
    pinned   only the tree itself counts: no base commit, no search of the history
    Every file has its own grade in `Snapshot.files`; `Base.grade` is the worst of the C files. Where nothing applies
    anywhere the base has no name, and `Applied.troubles` has a ``does-not-apply``.
    """
    ladder = _Ladder(series, source, patcher, pinned)
    best = ladder.best()
    return _applied(series, best, tuple(ladder.steps), (*ladder.troubles, *_read_troubles(source)))


class _Place(Struct, frozen=True):
    """A tree that was tried, and how the series lies on it."""

    rung: str
    tree: Tree
    commit: str
    laid: Laid
    whole: bool = False

    @property
    def grade(self) -> Grade:
        return self.laid.grade


class _Ladder(Struct):
    series: Series
    source: OpenTree | None
    patcher: Patcher | None
    pinned: bool
    steps: list[BaseStep] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)

    @property
    def repository(self) -> Repository | None:
        return self.source.repository if self.source and not self.pinned else None

    def step(self, rung: str, tried: str, taken: bool, text: str) -> None:
        self.steps.append(BaseStep(rung, tried, taken, text))

    def best(self) -> _Place:
        """Climb."""
        exact: list[_Place] = []
        for rung in (self._base_commit, self._blobs_here, self._blobs_anywhere):
            place = rung()
            if place is not None and place.grade is Grade.EXACT:
                exact.append(place)
                # A tree that holds the series already will do, but a commit before it is better.
                if not place.laid.undone:
                    break
        if exact:
            return self._take(min(exact, key=lambda place: place.laid.undone))
        if self._named_is_clean() or self._a_ref_is_clean():
            clean = [place for place in self.places if place.grade.rank <= Grade.CLEAN.rank]
            return self._take(min(clean, key=lambda place: place.laid.score))
        return self._guess()

    def _take(self, place: _Place) -> _Place:
        """Mark the step that found the place as the one taken."""
        for at, step in reversed(list(enumerate(self.steps))):
            if step.rung == place.rung and step.tried == place.tree.name:
                self.steps[at] = replace(step, taken=True)
                break
        return place

    def _try(self, rung: str, tree: Tree, commit: str, whole: bool = False) -> _Place:
        """Lay the series on a tree, once; the last rung that comes to the tree is the one it counts for."""
        for at, known in enumerate(self.places):
            if known.tree is tree or (commit and not whole and (known.commit, known.tree.name) == (commit, tree.name)):
                self.places[at] = replace(known, rung=rung)
                return self.places[at]
        self.places.append(_Place(rung, tree, commit, Layer(tree, whole=whole).lay(self.series), whole))
        return self.places[-1]

    def _base_commit(self) -> _Place | None:
        wanted = self.series.hint.base_commit
        short = wanted[:12]
        if not wanted:
            self.step("base-commit", "", False, "the mail names none")
        elif self.pinned:
            self.step("base-commit", short, False, "not looked for: only the tree that was named counts")
        elif self.source is None:
            self.step("base-commit", short, False, "there is no tree")
        elif self.source.repository is None:
            self.step("base-commit", short, False, f"{self.source.name} is a plain directory, it has no commits")
        else:
            commit = self.source.repository.resolve(wanted) if _is_id(wanted) else None
            if commit is None:
                self.step("base-commit", short, False, "not in the repository")
                return None
            return self._on_commit(self.source.repository, commit)
        return None

    def _on_commit(self, repository: Repository, commit: str) -> _Place:
        """The base commit with its prerequisites."""
        tree = repository.tree(commit)
        text = "in the repository"
        ids = self.series.hint.prerequisites
        lost = 0
        if ids:
            tree, done = _with_prerequisites(repository, tree, repository.prerequisites(commit, ids), len(set(ids)))
            lost = len(set(ids)) - done
            text += f", {done} of {len(set(ids))} prerequisites found"
            if lost:
                told = f"{lost} of {len(set(ids))} prerequisite patches are not in the repository, or do not apply"
                self.troubles.append(Trouble("missing-prerequisite", commit[:12], told))
        place = self._try("base-commit", tree, commit, whole=not lost)
        self.step("base-commit", tree.name, False, f"{text}, {_fits(place.laid)}")
        return place

    def _blobs_here(self) -> _Place | None:
        wanted = first_blobs(self.series)
        if self.source is None:
            return None
        if not wanted and any(diff.old_path for patch in self.series.patches for diff in patch.diffs):
            self.step("blobs", self.source.name, False, "the index lines name no blobs")
            return None
        place = self._try("blobs", self.source.tree, self.source.commit)
        tree = self.source.tree
        count = sum((tree.blob(path) or "").startswith(blob) for path, blob in wanted.items())
        held = ", it holds the series or a part of it already" if place.laid.undone else ""
        self.step("blobs", tree.name, False, _count(count, len(wanted)) + held)
        return place

    def _blobs_anywhere(self) -> _Place | None:
        wanted = first_blobs(self.series)
        if self.repository is None or not wanted:
            return None
        held = self.repository.holding(wanted, self._date())
        if held is None:
            self.step("blobs", "tags, branches and recent commits", False, "none holds a blob the patch names")
            return None
        place = self._try("blobs", self.repository.tree(held.commit, held.name), held.commit)
        self.step("blobs", held.name, False, _count(held.count, len(wanted)))
        return place

    def _date(self) -> str:
        return next((patch.mail.date for patch in self.series.patches if patch.mail.date), "")

    def _named_is_clean(self) -> bool:
        if self.source is None:
            self.step("named", "", False, "no tree was named")
            return False
        place = self._try("named", self.source.tree, self.source.commit)
        self.step("named", self.source.name, False, _fits(place.laid))
        return any(each.grade.rank <= Grade.CLEAN.rank for each in self.places)

    def _a_ref_is_clean(self) -> bool:
        """The newest tag or branch on which every hunk finds its context."""
        if self.repository is None:
            return False
        best: _Place | None = None
        known: dict[tuple[str | None, ...], Laid] = {}
        paths = sorted({diff.old_path or diff.path for patch in self.series.patches for diff in patch.diffs})
        tried = 0
        for ref in self.repository.refs():
            tree = self.repository.tree(ref.commit, ref.name)
            blobs = tuple(tree.blob(path) for path in paths)
            tried += 1
            if blobs in known:
                continue  # the same files as under a newer ref: the same outcome
            if len(known) == MAX_LAID:
                break
            known[blobs] = Layer(tree).lay(self.series)
            place = _Place("tags", tree, ref.commit, known[blobs])
            if best is None or place.laid.score < best.laid.score:
                best = place
            if place.grade.rank <= Grade.CLEAN.rank:
                break
        if best is None:
            self.step("tags", "", False, "the repository has no tags or branches")
            return False
        self.places.append(best)
        clean = best.grade.rank <= Grade.CLEAN.rank
        text = f"the newest of {tried} on which it applies" if clean else f"the best of {tried} tags and branches"
        self.step("tags", best.tree.name, False, f"{text}, {_fits(best.laid)}")
        return clean

    def _guess(self) -> _Place:
        """Merge, fuzz and fragments, on whichever tree needs the least of them."""
        best: _Place | None = None
        for place in _distinct(self.places):
            laid = Layer(place.tree, self.repository, self.patcher, place.whole).lay(self.series)
            if best is None or laid.score < best.laid.score:
                best = replace(place, laid=laid)
        if best is None:
            empty = EmptyTree("fragments")
            best = _Place("fragments", empty, "", Layer(empty).lay(self.series))
        for rung, grade in (("three-way", Grade.MERGED), ("fuzzy", Grade.APPROXIMATE), ("fragments", Grade.FRAGMENTS)):
            paths = sorted({file.path for file in best.laid.files() if file.grade is grade})
            self.step(rung, best.tree.name, bool(paths), _named(paths) if paths else self._why_none(rung))
        return best

    def _why_none(self, rung: str) -> str:
        if rung == "three-way" and self.repository is None:
            return "there is no repository that could hold the blobs the patch names"
        if rung == "fuzzy" and self.patcher is None:
            return "GNU patch was not asked"
        return "no file came to this"


def _is_id(text: str) -> bool:
    """Whether a mail's base-commit is an object id; any other revision would mean something else in each repository."""
    return 7 <= len(text) <= 64 and all(char in "0123456789abcdef" for char in text.lower())


def _with_prerequisites(
    repository: Repository, tree: Tree, found: Sequence[Prerequisite], total: int
) -> tuple[Tree, int]:
    """The tree with the prerequisites laid over it, and how many of them could be."""
    over: dict[str, bytes | None] = {}
    done = 0
    for each in found:
        changed: dict[str, bytes | None] = {}
        for path, (before, after) in each.changes.items():
            here = over[path] if path in over else tree.read(path)
            if here == before:
                changed[path] = after
            elif here is not None and before is not None and after is not None:
                merged = repository.merge(before, here, after)
                if merged is None:
                    break
                changed[path] = merged
            else:
                break
        else:
            over.update(changed)
            done += 1
    return (OverlayTree(tree, over, f"{tree.name} with {done} of {total} prerequisites") if done else tree), done


def _distinct(places: list[_Place]) -> Iterator[_Place]:
    """Each tree once, in the order they were tried."""
    seen: set[tuple[str, str]] = set()
    for place in places:
        if (place.commit, place.tree.name) not in seen:
            seen.add((place.commit, place.tree.name))
            yield place


def _fits(laid: Laid) -> str:
    """How many files lie how well."""
    files = list(laid.files())
    words = {
        Grade.EXACT: "exact",
        Grade.CLEAN: "with full context",
        Grade.MERGED: "merged",
        Grade.APPROXIMATE: "in doubtful places",
        Grade.FRAGMENTS: "not at all",
    }
    told = [f"{count} {words[grade]}" for grade in Grade if (count := sum(file.grade is grade for file in files))]
    return f"{len(files)} file{'' if len(files) == 1 else 's'}: {', '.join(told)}" if files else "no file is changed"


def _count(count: int, total: int) -> str:
    if not total:
        return "only new files"
    return f"{count} of {total} files {'is' if count == 1 else 'are'} the blob the patch names"


def _named(paths: list[str]) -> str:
    return ", ".join(paths[:MAX_NAMED]) + (f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else "")


def _read_troubles(source: OpenTree | None) -> tuple[Trouble, ...]:
    return source.repository.troubles() if source is not None and source.repository is not None else ()


def _applied(series: Series, place: _Place, steps: tuple[BaseStep, ...], troubles: tuple[Trouble, ...]) -> Applied:
    files = list(place.laid.files())
    if place.rung == "fragments":
        troubles += (Trouble("no-tree", series.key, "there is no tree: only the hunks were looked at"),)
        return Applied(Base("", "", place.grade, steps), tuple(map(_without_tree, place.laid.snapshots)), troubles)
    if files and all(file.grade is Grade.FRAGMENTS for file in files):
        told = "no file of the series applies to any tree that was tried"
        troubles += (Trouble("does-not-apply", place.tree.name, told),)
        return Applied(Base("", "", Grade.FRAGMENTS, steps), tuple(map(_hunks_only, place.laid.snapshots)), troubles)
    return Applied(Base(place.tree.name, place.commit, place.grade, steps), place.laid.snapshots, troubles)


def _without_tree(snapshot: Snapshot) -> Snapshot:
    """Where there never was a tree, no file failed to apply."""
    files = {
        path: replace(file, text="the hunks alone: there is no tree") if file.grade is Grade.FRAGMENTS else file
        for path, file in snapshot.files.items()
    }
    troubles = tuple(trouble for trouble in snapshot.troubles if trouble.kind != "does-not-apply")
    return replace(snapshot, files=files, troubles=troubles)


def _hunks_only(snapshot: Snapshot) -> Snapshot:
    """The same without the tree: text of another kernel around the hunks would only mislead."""
    empty = EmptyTree("fragments")
    paths = {path for diff in snapshot.patch.diffs for path in (diff.old_path, diff.new_path) if path}
    sides = []
    for tree in (snapshot.before, snapshot.after):
        over = {path: tree.read(path) for path in sorted(paths)}
        sides.append(OverlayTree(empty, over, tree.name))
    return replace(snapshot, before=sides[0], after=sides[1])
