"""Looking for a base in the history of a repository: refs, blobs, patch ids. All of it bounded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lorelint.edge.git import Git, text
from lorelint.model.source import Held, Prerequisite, Ref
from lorelint.model.tree import inside
from lorelint.model.trouble import Trouble

if TYPE_CHECKING:
    from lorelint.edge.repository import GitRepository

MAX_REFS = 200  # looked at when a base is searched
MAX_REFS_PARTIAL = 20  # in a partial clone, where each file that is looked at may have to be fetched
MAX_COMMITS = 2000  # commits that touch the files of the patch
MAX_TRIED = 400  # of those, whose whole set of blobs is compared
MAX_PREREQUISITES = 1000  # commits beyond the base whose patch id is computed
MAX_PREREQUISITES_PARTIAL = 50
YEARS = 2  # before the date of the mail: no base is older, but tags are looked at all the same
SECONDS = 90


def refs(git: Git, limit: int = MAX_REFS) -> tuple[Ref, ...]:
    """Tags and branches by date, newest first; a tag before a branch on the same commit."""
    fields = "%(creatordate:unix) %(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)"
    done = git.run("for-each-ref", f"--format={fields}", "refs/tags", "refs/heads", "refs/remotes")
    found: list[tuple[int, int, str, str]] = []
    for line in text(done.out).splitlines():
        parts = line.split(" ")
        if len(parts) != 6 or parts[5].endswith("/HEAD"):
            continue
        date, kind, name, peeled_kind, peeled, ref = parts
        commit = name if kind == "commit" else peeled if peeled_kind == "commit" else ""
        _, space, short = ref.split("/", 2)
        if commit:
            found.append((-int(date or 0), 0 if space == "tags" else 1, short, commit))
    seen: dict[str, Ref] = {}
    for _, _, short, commit in sorted(found):
        seen.setdefault(commit, Ref(short, commit))
        if len(seen) == limit:
            break
    return tuple(seen.values())


def _count(repository: GitRepository, commit: str, wanted: Mapping[str, str]) -> int:
    tree = repository.tree_of(commit)
    return sum((tree.blob(path) or "").startswith(blob) for path, blob in wanted.items())


def holding(repository: GitRepository, wanted: Mapping[str, str], date: str) -> tuple[Held | None, Trouble | None]:
    """The commit that holds most of the wanted blobs; see `model.source.Repository`."""
    wanted = {path: blob for path, blob in wanted.items() if inside(path)}
    best: Held | None = None
    trouble: Trouble | None = None

    def better(commit: str, name: str) -> bool:
        nonlocal best
        count = _count(repository, commit, wanted)
        if count > (best.count if best else 0):
            best = Held(commit, name, count)
        return count == len(wanted)

    for ref in repository.refs():
        if better(ref.commit, ref.name):
            return best, None
    if repository.treeless:
        # Every folder of every commit would be fetched on its own.
        return best, Trouble(
            "search-cut", "git log", "a clone without trees: its history was not searched for the base"
        )
    lines, late = _log(repository.git, sorted(wanted), date)
    if late:
        trouble = Trouble("search-cut", "git log", f"the search for the base stopped after {SECONDS} s")
    tried: set[str] = set()
    for commit in _candidates(lines, tuple(wanted.values())):
        if commit in tried:
            continue
        tried.add(commit)
        if len(tried) > MAX_TRIED:
            break
        if better(commit, repository.name_of(commit)):
            break
    return best, trouble


def _log(git: Git, paths: Sequence[str], date: str) -> tuple[list[str], bool]:
    """``commit ID PARENTS`` and raw diff lines of what touched these paths, newest first."""
    options = ["--format=commit %H %P", "--raw", "--no-abbrev", "--no-renames", "--full-history", "-m"]
    options += ["--no-ext-diff", "--no-textconv", "--no-color", "--no-show-signature", f"--max-count={MAX_COMMITS}"]
    since = _since(date)
    if since:
        options.append(f"--since={since}")
    revisions = ["--branches", "--tags", "--remotes", "HEAD"]
    done = git.run("-c", "log.follow=false", "log", *options, *revisions, "--", *paths, timeout=SECONDS)
    return text(done.out).splitlines(), done.late


def _since(date: str) -> str:
    try:
        when = datetime.fromisoformat(date)
    except ValueError:
        return ""
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when.year <= 1971:
        return ""
    return (when - timedelta(days=365 * YEARS)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _candidates(lines: Sequence[str], blobs: tuple[str, ...]) -> Iterator[str]:
    """Commits that brought one of the blobs in, and parents of those that took one out."""
    commit, parents = "", []
    for line in lines:
        if line.startswith("commit "):
            commit, *parents = line.split(" ")[1:]
            parents = [parent for parent in parents if parent]
        elif line.startswith(":") and commit:
            _, _, old, new, *_ = line.split(" ", 4)
            if old.startswith(blobs):
                yield from parents
            if new.startswith(blobs):
                yield commit


def prerequisites(repository: GitRepository, base: str, patch_ids: Sequence[str]) -> tuple[Prerequisite, ...]:
    """Commits beyond `base` with these stable patch ids, oldest first."""
    wanted = set(patch_ids)
    if not wanted:
        return ()
    found: dict[str, str] = {}
    order: list[str] = []
    limit = MAX_PREREQUISITES_PARTIAL if repository.partial else MAX_PREREQUISITES
    for patch_id, commit in _patch_ids(repository.git, base, limit):
        if patch_id in wanted and patch_id not in found:
            found[patch_id] = commit
            order.append(patch_id)
    order.reverse()
    return tuple(Prerequisite(each, found[each], _changes(repository, found[each])) for each in order)


def _patch_ids(git: Git, base: str, limit: int) -> Iterator[tuple[str, str]]:
    """(patch id, commit), newest first; git's own reckoning, so that format-patch's ids are met."""
    options = ["-p", "--topo-order", "--no-merges", f"--max-count={limit}", "--no-ext-diff", "--no-textconv"]
    options += ["--no-color", "--no-show-signature", "--full-index", "-U3", "--inter-hunk-context=0"]
    options += ["--diff-algorithm=myers", "--src-prefix=a/", "--dst-prefix=b/"]
    command = git.command("log", *options, "--branches", "--tags", "--remotes", "HEAD", "--not", base, "--")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as log:
        done = subprocess.run(
            git.command("patch-id", "--stable"),
            stdin=log.stdout,
            capture_output=True,
            check=False,
        )
    for line in text(done.stdout).splitlines():
        patch_id, _, commit = line.partition(" ")
        if commit:
            yield patch_id, commit


def _changes(repository: GitRepository, commit: str) -> dict[str, tuple[bytes | None, bytes | None]]:
    listed = repository.git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--root", "--no-commit-id", commit)
    fields = text(listed.out).split("\0")
    changes: dict[str, tuple[bytes | None, bytes | None]] = {}
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old, new, *_ = head.lstrip(":").split(" ")
        sides = [
            repository.blob(name) if mode.startswith("100") else None
            for mode, name in ((old_mode, old), (new_mode, new))
        ]
        changes[path] = (sides[0], sides[1])
    return changes
