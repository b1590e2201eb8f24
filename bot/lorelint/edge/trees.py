"""Open what a person names as a tree: a directory or a git repository, at a revision, with overlays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorelint.edge.directory import DirectoryTree, overlay_files
from lorelint.edge.git import Git
from lorelint.kernel.version import is_kernel, kernel_release, kernel_version
from lorelint.model.errors import LorelintError
from lorelint.model.source import OpenTree
from lorelint.model.tree import OverlayTree, Tree

if TYPE_CHECKING:
    from lorelint.edge.repository import GitRepository


def _alone(tree: Tree) -> Tree:
    return tree


def open_tree(spec: str, overlays: Sequence[str] = (), beside: Callable[[Tree], Tree] = _alone) -> OpenTree:
    """Open ``DIR``, ``REPOSITORY``, ``REPOSITORY@REV`` or ``REPOSITORY:REV``.

    A directory is a repository when it is the top of one (a work tree, a worktree, bare); a folder within a
    repository is a plain directory. Without REV a repository stands for its HEAD.
    overlays    folders whose files stand in for those of the tree, later ones on top
    beside      puts an index beside a tree, or nothing: called for the tree and for other commits of its repository
    Raises LorelintError: no such directory, no such revision, not a kernel tree, objects that git cannot read.
    """
    path, revision = _divide(spec)
    repository: GitRepository | None = None
    if _is_repository(path):
        from lorelint.edge.repository import GitRepository  # a folder does without: the look for changes begins sooner

        repository = GitRepository(path, beside)
        tree, commit = _commit(repository, path, revision)
    elif revision:
        raise LorelintError(
            f"has no revision {revision}: it is a plain directory, not a git repository",
            where=str(path),
            remedy="name the directory alone",
        )
    else:
        tree, commit = beside(DirectoryTree(path)), ""
    if not is_kernel(tree):
        if repository is not None and _has_holes(tree, repository):
            remedy = "see to it that what it was cloned from can be reached; `git fsck` tells what is damaged"
            raise LorelintError("git cannot read an object that is needed", where=spec, remedy=remedy)
        # Say what the person typed, not the short name of the tree.
        raise LorelintError(
            "not a kernel tree: its Makefile sets no VERSION and PATCHLEVEL",
            where=spec,
            remedy="name the top folder of a kernel source or a git repository of one",
        )
    version, release = kernel_version(tree), kernel_release(tree)
    for folder in overlays:
        over = Path(folder)
        tree = OverlayTree(tree, overlay_files(over), f"{tree.name}+{over.resolve().name}")
    return OpenTree(tree, repository, revision, "" if overlays else commit, version, release)


def _has_holes(tree: Tree, repository: GitRepository) -> bool:
    """Whether the commit may well be a kernel, and its Makefile cannot be read."""
    named = tree.blob("Makefile") is not None and tree.read("Makefile") is None
    return named or bool(repository.troubles())


def _divide(spec: str) -> tuple[Path, str]:
    """The directory and the revision. A directory whose name has an @ or a colon comes first."""
    if not spec or "\0" in spec or "\n" in spec:
        raise LorelintError("not a directory name", where=repr(spec), remedy="name a kernel source")
    whole = Path(spec).expanduser()
    if whole.is_dir():
        return whole, ""
    for path, revision in _cuts(spec):
        if path.is_dir():
            return path, revision
    if whole.exists():
        raise LorelintError("not a directory", where=spec, remedy="name the top folder of a kernel source")
    raise LorelintError("no such directory", where=spec, remedy="name a kernel source, or a git repository of one")


def _cuts(spec: str) -> Iterator[tuple[Path, str]]:
    for at, char in enumerate(spec):
        if char in "@:" and 0 < at < len(spec) - 1:
            yield Path(spec[:at]).expanduser(), spec[at + 1 :]


def _is_repository(path: Path) -> bool:
    if (path / ".git").exists():
        return True
    # A bare repository, or the .git folder itself. Asked by its files first: git need not be installed.
    if not ((path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()):
        return False
    return Git(path).run("rev-parse", "--git-dir").out.strip() == b"."


def _commit(repository: GitRepository, path: Path, revision: str) -> tuple[Tree, str]:
    commit = repository.resolve(revision or "HEAD")
    if commit is None:
        repository.close()
        what = f"has no commit called {revision}" if revision else "has no commit yet"
        remedy = "git -C REPOSITORY fetch --tags, or name a tag, branch or commit that is there"
        raise LorelintError(what, where=str(path), remedy=remedy)
    return repository.tree(commit, revision), commit
