"""A plain directory as a tree: an unpacked kernel source, or a small tree of our own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lorelint.edge.git import MAX_OBJECT, Git, grep_words, is_word, scan_words
from lorelint.edge.large import all_of, on_disk, without
from lorelint.model.errors import LorelintError
from lorelint.model.tree import LIMIT, blob_id, inside, is_source


class DirectoryTree:
    """Files below one folder. Links are not followed, wherever they point; git's own folder is not seen.

    The files are taken not to change while the tree is in use: what was found is remembered.
    """

    def __init__(self, root: Path, name: str = "") -> None:
        """Raises LorelintError where there is no such directory."""
        if not root.is_dir():
            raise LorelintError("no such directory", where=str(root), remedy="name the top folder of a kernel source")
        self._root = str(root.resolve())
        self._name = name or root.resolve().name
        self._folders: dict[str, bool] = {"": True}
        self._mentions: dict[str, tuple[str, ...]] = {}
        self._below: dict[str, tuple[str, ...]] = {}
        # Neither the git repository around the folder nor a person's settings have a say in what is found.
        alone = {
            "GIT_CEILING_DIRECTORIES": str(Path(self._root).parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
        }
        self._git = Git(Path(self._root), alone)

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> str:
        return ""  # it may change under us

    @property
    def root(self) -> str:
        """The folder, links resolved."""
        return self._root

    def _real_folder(self, path: str) -> bool:
        """Whether every part of the path is a folder and no link."""
        known = self._folders.get(path)
        if known is None:
            known = self._real_folder_itself(path)
            self._folders[path] = known
        return known

    def _real_folder_itself(self, path: str) -> bool:
        at = self._root
        for part in path.split("/"):
            at = f"{at}/{part}"
            try:
                if not stat.S_ISDIR(os.lstat(at).st_mode):
                    return False
            except (OSError, ValueError):
                return False
        return True

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None also where it has more than `MAX_OBJECT` bytes or may not be read."""
        if not inside(path) or not self._real_folder(path.rpartition("/")[0]):
            return None
        try:
            handle = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_OBJECT:
            os.close(handle)
            return None
        with os.fdopen(handle, "rb", buffering=0) as file:
            content = file.readall()  # read(n) would make room for n bytes first
        return content if len(content) <= MAX_OBJECT else None

    def blob(self, path: str) -> str | None:
        content = self.read(path)
        return None if content is None else blob_id(content)

    def files(self, prefix: str = "") -> tuple[str, ...]:
        folder = prefix.rstrip("/")
        if folder and not inside(folder):
            return ()
        known = self._below.get(folder)
        if known is None:
            known = self._below[folder] = self._walk(folder)
        return known

    def _walk(self, folder: str) -> tuple[str, ...]:
        if folder and not self._real_folder(folder):
            return (folder,) if is_source(folder) and self.read(folder) is not None else ()
        found: list[str] = []
        stack = [folder]
        while stack:
            at = stack.pop()
            try:
                with os.scandir(f"{self._root}/{at}" if at else self._root) as entries:
                    for entry in entries:
                        path = f"{at}/{entry.name}" if at else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name.lower() != ".git":
                                stack.append(path)
                        elif is_source(entry.name) and entry.is_file(follow_symlinks=False) and inside(path):
                            found.append(path)
            except OSError:
                continue  # a folder that may not be read: nothing of it is in the tree
        return tuple(sorted(found))

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        wanted = tuple(dict.fromkeys(words))
        ask = [word for word in wanted if word not in self._mentions and is_word(word)]
        if ask:
            for word, paths in self._search(ask).items():
                self._mentions[word] = tuple(sorted(paths))
        return {word: self._mentions.get(word, ()) for word in wanted}

    def kept(self, path: str) -> bytes | None:
        return None

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        return self.mentions((word,))[word]

    def _search(self, words: Sequence[str]) -> dict[str, set[str]]:
        try:
            # An ignored file is part of the source all the same.
            found = grep_words(self._git, words, ("--no-index", "--no-exclude-standard"))
        except LorelintError:
            found = None  # no git here: read every file, which takes a few times as long
        if found is not None:
            large = on_disk(self._root, all_of(found))
            return {word: {path for path in paths if inside(path)} for word, paths in without(found, large).items()}
        return self._scan(words)

    def _scan(self, words: Sequence[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {word: set() for word in words}
        for path in self.files():
            raw = self.read(path) or b""
            if len(raw) > LIMIT:
                continue
            for word in scan_words(raw, words):
                found[word].add(path)
        return found


def overlay_files(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder, to be laid over a tree. Raises LorelintError where there is no such folder."""
    tree = DirectoryTree(folder)
    files: dict[str, bytes | None] = {}
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(at, name).relative_to(folder).as_posix()
            content = tree.read(path)
            if content is not None:
                files[path] = content
    return files
