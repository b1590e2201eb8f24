"""A git repository, and the tree of one of its commits.

Worktrees, bare, shallow, sparse and partial clones are all the same here: only objects are read.
"""

from __future__ import annotations

import bisect
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lorelint.edge import history
from lorelint.edge.git import Git, Objects, is_word, text
from lorelint.edge.search import search
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.source import Held, Prerequisite, Ref
from lorelint.model.tree import Tree, blob_id, inside, is_source
from lorelint.model.trouble import Trouble

CACHE = 64 << 20  # bytes of file content kept: before and after share nearly all of it
_HEX = regex(r"[0-9a-f]{4,64}\Z")

Entries = Mapping[str, tuple[str, str]]  # name -> (mode, object id)


class GitTree:
    """The tree of one commit. Links and submodules are not files."""

    def __init__(self, repository: GitRepository, commit: str, name: str = "") -> None:
        self.repository = repository
        self.commit = commit
        self._name = name or commit[:12]
        self._files: tuple[str, ...] | None = None
        self._ids: dict[str, str] = {}  # of the source files, once all are listed
        self._mentions: dict[str, tuple[str, ...]] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> str:
        """The commit; nothing where objects are missing, which may come in later."""
        return "" if self.repository.partial else f"commit:{self.commit}"

    def _entry(self, path: str) -> tuple[str, str] | None:
        """Mode and id of what lies at a path."""
        entries = self.repository.entries(f"{self.commit}^{{tree}}")
        *folders, last = path.split("/")
        for folder in folders:
            mode, found = entries.get(folder, ("", ""))
            if mode != "40000":
                return None
            entries = self.repository.entries(found)
        return entries.get(last)

    def _file(self, path: str) -> str | None:
        """The object id of a regular file."""
        entry = self._entry(path) if inside(path) else None
        return entry[1] if entry is not None and entry[0].startswith("100") else None

    def read(self, path: str) -> bytes | None:
        found = self._file(path)
        return self.repository.blob(found) if found else None

    def blob(self, path: str) -> str | None:
        found = self._file(path)
        if found is None or len(found) == 40:
            return found
        # A repository with SHA-256 objects: mail names SHA-1 ids.
        content = self.read(path)
        return None if content is None else blob_id(content)

    def files(self, prefix: str = "") -> tuple[str, ...]:
        folder = prefix.rstrip("/")
        if folder and not inside(folder):
            return ()
        if self._files is None and folder:
            return self._walk(folder)
        everything = self._all()
        if not folder:
            return everything
        low = bisect.bisect_left(everything, folder + "/")
        high = bisect.bisect_left(everything, folder + "0")  # "0" comes after "/"
        return (folder,) if folder in self._ids else everything[low:high]

    def _walk(self, folder: str) -> tuple[str, ...]:
        """The source files below one folder, without listing the rest."""
        entry = self._entry(folder)
        if entry is None:
            return ()
        if entry[0].startswith("100"):
            return (folder,) if is_source(folder) else ()
        found = []
        stack = [(folder, entry)]
        while stack:
            path, (mode, name) = stack.pop()
            if mode == "40000":
                stack += [(f"{path}/{each}", value) for each, value in self.repository.entries(name).items()]
            elif mode.startswith("100") and is_source(path):
                found.append(path)
        return tuple(sorted(found))

    def _all(self) -> tuple[str, ...]:
        if self._files is None:
            listed = self.repository.git.run("ls-tree", "-r", "-z", "--full-tree", self.commit)
            if listed.code != 0:
                raise LorelintError(f"git cannot list the tree: {listed.err[:200]}", where=self.name)
            for line in listed.out.split(b"\0"):
                head, _, path = line.partition(b"\t")
                if head.startswith(b"100") and path.endswith((b".c", b".h")):
                    self._ids[text(path)] = head.split(b" ")[2].decode()
            self._files = tuple(sorted(self._ids))
        return self._files

    def ids(self) -> Mapping[str, str]:
        """The object id of every source file."""
        self._all()
        return self._ids

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        wanted = tuple(dict.fromkeys(words))
        ask = [word for word in wanted if word not in self._mentions and is_word(word)]
        if ask:
            found = search(self, ask)
            if found is None:
                raise LorelintError("git grep failed: the repository is damaged or incomplete", where=self.name)
            self._mentions.update((word, tuple(sorted(paths))) for word, paths in found.items())
        return {word: self._mentions.get(word, ()) for word in wanted}

    def kept(self, path: str) -> bytes | None:
        return None

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        return self.mentions((word,))[word]


class GitRepository:
    """One repository; every reading of objects goes through one child process."""

    def __init__(self, path: Path, beside: Callable[[Tree], Tree] = lambda tree: tree) -> None:
        """`beside` puts an index beside the tree of a commit.

        Raises LorelintError where `path` is not the top of a repository that git will read.
        """
        self._beside = beside
        # Git must not go up from here: a folder within a repository is not that repository.
        self.git = Git(path, {"GIT_CEILING_DIRECTORIES": str(path.resolve().parent)})
        self.path = path
        asked = self.git.run("rev-parse", "--git-dir", "--is-inside-work-tree")
        if asked.code != 0:
            raise _unreadable(path, asked.err)
        self.has_work_tree = asked.out.endswith(b"true\n")
        self.objects = Objects(self.git)
        self._entries: dict[str, Entries] = {}
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        self._refs: tuple[Ref, ...] | None = None
        self._trees: dict[str, GitTree] = {}
        self._missing: dict[str, frozenset[str]] = {}
        filters = text(self.git.run("config", "--get-regexp", r"^remote\..*\.(promisor|partialclonefilter)$").out)
        self.partial = bool(filters)  # objects may be missing, and git would fetch them one by one
        self.treeless = any(" tree:" in line or "combine:" in line for line in filters.splitlines())
        self._notes: set[Trouble] = set()

    def close(self) -> None:
        """End the child. The repository may still be used: the child is started again."""
        self.objects.close()

    def entries(self, tree: str) -> Entries:
        """The entries of one tree object (by its id, or ``COMMIT^{tree}``)."""
        known = self._entries.get(tree)
        if known is None:
            found = self.objects.get(tree)
            known = _parse_tree(found.data, len(found.id) // 2) if found is not None and found.kind == "tree" else {}
            self._entries[tree] = known
        return known

    def blob(self, name: str) -> bytes | None:
        """The content of a blob by its full id."""
        known = self._blobs.get(name)
        if known is not None:
            self._blobs.move_to_end(name)
            return known
        found = self.objects.get(name)
        if found is None or found.kind != "blob":
            return None
        self._blobs[name] = found.data
        self._held += len(found.data)
        while self._held > CACHE:
            self._held -= len(self._blobs.popitem(last=False)[1])
        return found.data

    def resolve(self, revision: str) -> str | None:
        # A range, a path in a tree or a search (":/text") is no commit a person names as a base.
        if not revision or ".." in revision or ":" in revision or revision.startswith("-"):
            return None
        found = self.objects.get(f"{revision}^{{commit}}")
        return found.id if found is not None and found.kind == "commit" else None

    def tree(self, commit: str, name: str = "") -> Tree:
        return self._beside(self.tree_of(commit, name))

    def tree_of(self, commit: str, name: str = "") -> GitTree:
        known = self._trees.get(commit)
        if known is None or (name and known.name != name):
            known = self._trees[commit] = GitTree(self, commit, name or self.name_of(commit))
        return known

    def name_of(self, commit: str) -> str:
        """The tag or branch that stands for this very commit, else the first 12 digits."""
        return next((ref.name for ref in self.refs() if ref.commit == commit), commit[:12])

    def refs(self) -> Sequence[Ref]:
        if self._refs is None:
            self._refs = history.refs(self.git, history.MAX_REFS_PARTIAL if self.partial else history.MAX_REFS)
        return self._refs

    def holding(self, wanted: Mapping[str, str], date: str) -> Held | None:
        found, trouble = history.holding(self, wanted, date)
        if trouble:
            self.note(trouble)
        return found

    def content(self, blob: str) -> bytes | None:
        if not _HEX.match(blob):
            return None
        found = self.objects.get(blob)
        # A branch may be called like the digits: then it is not the object.
        return found.data if found is not None and found.kind == "blob" and found.id.startswith(blob) else None

    def merge(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="lorelint-merge-") as folder:
            for name, content in (("base", base), ("ours", ours), ("theirs", theirs)):
                Path(folder, name).write_bytes(content)
            merged = Git(Path(folder)).run("merge-file", "-p", "-q", "ours", "base", "theirs")
        return merged.out if merged.code == 0 else None

    def prerequisites(self, base: str, patch_ids: Sequence[str]) -> Sequence[Prerequisite]:
        return history.prerequisites(self, base, patch_ids)

    def missing(self, commit: str) -> frozenset[str]:
        """Ids of the objects of a commit's tree that a partial clone lacks; nothing is fetched to know."""
        if not self.partial:
            return frozenset()
        if commit not in self._missing:
            listed = self.git.run("rev-list", "--objects", "--missing=print", "--no-object-names", commit + "^{tree}")
            lines = listed.out.split(b"\n")
            self._missing[commit] = frozenset(line[1:].decode() for line in lines if line.startswith(b"?"))
        return self._missing[commit]

    def note(self, trouble: Trouble) -> None:
        self._notes.add(trouble)

    def troubles(self) -> tuple[Trouble, ...]:
        lost = {Trouble("missing-object", name[:60], why) for name, why in self.objects.lost.items()}
        return tuple(sorted(self._notes | lost, key=lambda each: (each.kind, each.where, each.text)))


def _parse_tree(data: bytes, width: int) -> Entries:
    """A tree object: ``MODE SP NAME NUL ID`` over and over (Documentation of git: gitformat, object store)."""
    entries: dict[str, tuple[str, str]] = {}
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        entries[text(data[space + 1 : end])] = (data[at:space].decode(), data[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
    return entries


def _unreadable(path: Path, said: str) -> LorelintError:
    if "dubious ownership" in said:
        remedy = f"git config --global --add safe.directory {path}"
        return LorelintError("git will not read a repository of another owner", where=str(path), remedy=remedy)
    return LorelintError(
        f"git cannot read the repository: {said.splitlines()[0][:200] if said else 'no reason given'}",
        where=str(path),
        remedy="name a git repository or a plain source folder",
    )
