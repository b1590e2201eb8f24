"""The only place that builds the real thing from settings: archive, trees, patcher, rules, and hands them to jobs.

Nothing heavy is imported before it is needed, so that the commands that need little start at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from msgspec import Struct

from lorelint.config import Config
from lorelint.model.errors import LorelintError

if TYPE_CHECKING:
    from lorelint.edge.index import IndexFile
    from lorelint.model.answer import WhyNot
    from lorelint.model.finding import Report
    from lorelint.model.graph import Chains, Graph, Layout, Siblings
    from lorelint.model.index import Indexed
    from lorelint.model.mail import Thread
    from lorelint.model.source import OpenTree
    from lorelint.model.tree import Tree
    from lorelint.rule.door import Rule

T = TypeVar("T")

SYSTEM = Path("/usr/src")  # where distributions put kernel sources


Lines = Callable[[int, str, int], str | None]
"""(seq of a patch, 0 outside a series; path; 1-based line) -> that line of the tree it speaks of."""


class Told(Struct, frozen=True):
    """A report, and the lines of the trees it speaks of."""

    report: Report
    line: Lines


class House:
    """Everything real, built from the settings and from where the user stands.

    cwd     the folder the user is in
    cache   the folder of the user's cache that is ours
    say     is told what is no part of any answer
    """

    def __init__(
        self, config: Config, *, cwd: Path, cache: Path, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.config = config
        self.cwd = cwd
        self.cache = cache
        self._say = say
        self._index: IndexFile | None = None

    # -- rules ------------------------------------------------------------------------------------------------

    def rules(self, only: Sequence[str] = (), stage: str = "queue") -> tuple[Rule, ...]:
        """The rules of the packs the settings name that have come as far as a stage, or those in `only`, asked for by
        name, wherever they are. Raises LorelintError.
        """
        from lorelint.rule import packs
        from lorelint.rule.door import Stage

        rules = tuple(rule for rule in packs.load(only) if only or rule.stage.reaches(Stage(stage)))
        wanted = self.config.packs
        if not wanted:
            return rules
        known = {pack.name for pack in packs.packs()}
        for name in wanted:
            if name not in known:
                have = ", ".join(sorted(known)) or "none"
                raise LorelintError(f"no rule pack {name!a} is installed", where="packs", remedy=f"installed: {have}")
        return tuple(rule for rule in rules if rule.origin in wanted)

    def version(self) -> str:
        from lorelint.rule import packs

        return packs.version()

    def stamp(self) -> str:
        """What stands for the very code that judges: a verdict of other code is not this one's."""
        from lorelint.edge.stamp import stamp
        from lorelint.rule import packs

        return stamp([Path(__file__).parent, *packs.folders()])

    # -- trees ------------------------------------------------------------------------------------------------

    def tree(self, spec: str = "", base: str = "", overlays: Sequence[str] = ()) -> OpenTree | None:
        """The tree a user means: by path, by bare name, by the settings, or the folder he is in; None for none.

        Raises LorelintError for a tree that was named and is not there, or is not a kernel.
        """
        from lorelint.edge.trees import open_tree

        named = spec or self.config.tree
        root = self.find(named) if named else self.around(self.cwd)
        if root is not None:
            return open_tree(str(root) + (f"@{base}" if base else ""), overlays, self.beside)
        if base or overlays:
            raise LorelintError(
                "there is no tree that --base or --overlay could be about", where=str(self.cwd), remedy="add --tree DIR"
            )
        return None

    @property
    def index_file(self) -> IndexFile:
        """The index in the cache; whether there is one, it knows itself."""
        from lorelint.edge.index import NAME, IndexFile

        if self._index is None:
            self._index = IndexFile(self.cache / NAME, self._say)
        return self._index

    def beside(self, tree: Tree) -> Tree:
        """The tree with the index beside it, where there is an index."""
        if not self.index_file.size():
            return tree
        from lorelint.edge.beside import beside

        return beside(tree, self.index_file)

    def find(self, spec: str) -> str:
        """Where a tree is that was named: as a path, else below the cache's trees, else in /usr/src."""
        name, mark, revision = spec.partition("@")
        if (self.cwd / spec).expanduser().exists() or "/" in name or not name or name.startswith("~"):
            return spec
        for folder in (self.cwd, self.cache / "trees", SYSTEM):
            if (folder / name).is_dir():
                return f"{folder / name}{mark}{revision}"
        raise LorelintError(
            "no such tree",
            where=name,
            remedy=f"looked in {self.cwd}, {self.cache / 'trees'} and {SYSTEM}; name a directory or a git repository",
        )

    def around(self, path: Path) -> Path | None:
        """The kernel tree that a path lies in, None where it lies in none."""
        from lorelint.edge.directory import DirectoryTree
        from lorelint.kernel.version import is_kernel

        for folder in (path, *path.parents):
            if (folder / "Makefile").is_file() and (folder / "include").is_dir() and is_kernel(DirectoryTree(folder)):
                return folder
        return None

    # -- jobs -------------------------------------------------------------------------------------------------

    def threads(self, sources: Sequence[str], stdin: BinaryIO | None) -> tuple[Thread, ...]:
        """The threads with a patch that a user names. Raises LorelintError when there is none, or no way to it."""
        from lorelint.edge.lore import LoreArchive
        from lorelint.edge.thread import open_files, open_thread
        from lorelint.mail.choose import reviewable

        if len(sources) > 1:
            for source in sources:
                if not Path(source).exists():
                    raise LorelintError("no such file", where=source, remedy="several sources must all be files")
            threads = open_files([Path(source) for source in sources])
        else:
            threads = open_thread(sources[0], stdin, LoreArchive(self.config.lore.url))
        return tuple(thread for thread, _ in reviewable(threads))

    def threads_of(self, sources: Sequence[str], stdin: BinaryIO | None) -> tuple[Thread, ...]:
        """Threads with a patch in files, or in what comes on standard input; nothing is fetched."""
        from lorelint.edge.thread import open_files, open_thread

        threads = open_thread("-", stdin) if "-" in sources else open_files([Path(source) for source in sources])
        return tuple(thread for thread in threads if thread.series)

    def review(
        self,
        threads: Sequence[Thread],
        source: OpenTree | None,
        only: Sequence[str] = (),
        revision: int | None = None,
        stage: str = "queue",
        answers: bool = True,
    ) -> Iterator[Told]:
        """One review per thread, in order, by the rules of `rules(only, stage)`; as `jobs.review` says of `answers`."""
        from lorelint.edge.aside import fork
        from lorelint.edge.patch import GnuPatch
        from lorelint.jobs.review import review

        rules, version = self.rules(only, stage), self.version()
        for thread in threads:
            done = review(
                thread,
                source,
                rules,
                patcher=GnuPatch(),
                revision=revision,
                version=version,
                memory=self.index_file,
                stamp=self.stamp(),
                answers=answers,
                aside=fork,
            )
            yield Told(done.report, lines_of({each.patch.seq: each.after for each in done.applied.snapshots}))

    def scan(
        self,
        paths: Sequence[str],
        spec: str = "",
        overlays: Sequence[str] = (),
        only: Sequence[str] = (),
        stage: str = "queue",
    ) -> Told:
        """Files and folders judged as if new: of a tree, or lone files that belong to none."""
        # The tree first: the look for what changed in a folder goes on beside all the loading that follows.
        opened = self._opened(paths, spec, overlays)
        rules, of, stamp = self.rules(only, stage), self.version(), self.stamp()
        from lorelint.jobs.scan import scan

        tree, inside, version = self._place(paths, opened, spec or self.config.tree)
        said = " ".join(paths)
        memory = self.index_file
        report = scan(tree, inside, rules, version=version, source=said, of=of, memory=memory, stamp=stamp)
        return Told(report, lines_of({0: tree}))

    def _opened(self, paths: Sequence[str], spec: str, overlays: Sequence[str]) -> OpenTree | None:
        """The tree that is named, or the one that all the paths lie in; None for none."""
        if spec or self.config.tree or overlays:
            return self.tree(spec, overlays=overlays)
        roots = {self.around((self.cwd / path).resolve()) for path in paths}
        return self.tree(str(roots.pop())) if len(roots) == 1 and None not in roots else None

    def _place(
        self, paths: Sequence[str], opened: OpenTree | None, spec: str
    ) -> tuple[Tree, list[str], tuple[int, int] | None]:
        """The tree, the paths in it, and its version where it is a kernel."""
        from lorelint.edge.directory import DirectoryTree

        if opened is None:
            only = (self.cwd / paths[0]).resolve()
            if len(paths) == 1 and only.is_dir():
                return DirectoryTree(only), [""], None
            return (*self._lone(paths, None), None)
        inside = [self._inside(path, opened, spec) for path in paths]
        if all(each is not None for each in inside):
            return opened.tree, [each for each in inside if each is not None], opened.version
        tree, names = self._lone([path for path, each in zip(paths, inside, strict=True) if each is None], opened.tree)
        return tree, [each for each in inside if each is not None] + names, opened.version

    def _inside(self, path: str, opened: OpenTree, spec: str) -> str | None:
        """A path as the tree knows it: relative to the tree, or a real path that lies in it."""
        plain = path.rstrip("/")
        if plain in ("", ".") or opened.tree.read(plain) is not None or opened.tree.files(plain):
            return "" if plain == "." else plain
        root = Path(self.find(spec).partition("@")[0]).expanduser() if spec else self.around(self.cwd / path)
        real = (self.cwd / path).resolve()
        if root is not None and real.exists() and real.is_relative_to(root.resolve()):
            return real.relative_to(root.resolve()).as_posix()
        if real.is_file():
            return None
        raise LorelintError(
            "no such file or folder", where=path, remedy=f"paths are looked for in {opened.name} and here"
        )

    def _lone(self, paths: Sequence[str], under: Tree | None) -> tuple[Tree, list[str]]:
        from lorelint.jobs.scan import lone

        tree = under
        names: list[str] = []
        for path in paths:
            name = Path(path).name
            tree = lone(name, read(path), tree)
            names.append(name)
        assert tree is not None
        return tree, names

    def index(self, spec: str, processes: int, progress: Callable[[int, int], None]) -> Indexed:
        """Read a whole tree into the index. Raises LorelintError."""
        from lorelint.edge.beside import listed
        from lorelint.edge.harvester import Processes
        from lorelint.edge.trees import open_tree
        from lorelint.jobs.index import index

        named = spec or self.config.tree
        root = self.find(named) if named else self.around(self.cwd)
        if root is None:
            raise LorelintError(
                "no tree to index", where=str(self.cwd), remedy="name a kernel source: lorelint index DIR"
            )
        opened = open_tree(str(root))
        found = listed(opened.tree)
        harvest = Processes(plain_tree, found.opener, processes)
        return index(
            opened.name,
            found.key,
            found.files,
            self.index_file,
            harvest,
            made=found.made,
            extra=found.extra,
            progress=progress,
        )

    def why_not(self, rule: str, function: str, source: OpenTree, path: str = "") -> WhyNot:
        from lorelint.jobs.why_not import why_not

        return why_not(self.rules([rule])[0], function, source.tree, path=path, version=source.version)

    def why_not_after(
        self, rule: str, function: str, thread: Thread, source: OpenTree | None, patch: int = 0
    ) -> WhyNot:
        from lorelint.edge.patch import GnuPatch
        from lorelint.jobs.why_not import why_not_after

        return why_not_after(self.rules([rule])[0], function, thread, source, patcher=GnuPatch(), patch=patch)

    def indexed(self, source: OpenTree) -> bool:
        """Whether the index answers for the tree, as far as it was asked."""
        from lorelint.edge.indexed import IndexedTree
        from lorelint.model.tree import OverlayTree

        tree = source.tree.under if isinstance(source.tree, OverlayTree) else source.tree
        return isinstance(tree, IndexedTree) and tree.known

    def graph(self, source: OpenTree, functions: Sequence[str], callers: int, callees: int, entry: str = "") -> Graph:
        from lorelint.jobs.graph import graph

        return self._early(source, partial(graph, functions=functions, callers=callers, callees=callees, entry=entry))

    def api_graph(self, source: OpenTree, api: str, callers: int, entry: str = "") -> Graph:
        from lorelint.jobs.graph import api_graph

        return api_graph(source.tree, api, source.version, callers=callers, entry=entry)  # too much to do twice

    def path(self, source: OpenTree, start: str, end: str, most: int, within: int) -> Chains:
        from lorelint.jobs.graph import path

        return self._early(source, partial(path, source=start, target=end, most=most, within=within))

    def siblings(self, source: OpenTree, function: str) -> Siblings:
        from lorelint.jobs.siblings import siblings

        return self._early(source, partial(siblings, function=function))

    def _early(self, source: OpenTree, job: Callable[..., T]) -> T:
        """What a job makes of a tree and its version; begun while a folder is still looked through for changes."""
        from lorelint.edge.beside import early

        return early(source.tree, lambda tree: job(tree, version=source.version))

    def layout(self, graph: Graph) -> Layout:
        """Where the picture of a graph has what. Raises LorelintError where no program can tell."""
        from lorelint.edge.graphviz import Graphviz
        from lorelint.report.graph_dot import outline

        return Graphviz().lay(outline(graph), [f"n{at}" for at in range(len(graph.nodes))], len(graph.edges))


def plain_tree(spec: str) -> Tree:
    """A tree without an index, for the processes that read it into one; a function of the module for their sake."""
    from lorelint.edge.trees import open_tree

    return open_tree(spec).tree


def measured_tree(spec: str, overlays: Sequence[str]) -> Tree:
    """The tree of one labelled case; a function of the module, so that other processes can call it."""
    from lorelint.edge.trees import open_tree

    return open_tree(spec, overlays).tree


def lines_of(trees: Mapping[int, Tree]) -> Lines:
    """What a report shows lines by: the trees after each patch. A file is split once."""
    texts: dict[tuple[int, str], list[str]] = {}

    def line(patch: int, path: str, number: int) -> str | None:
        if (patch, path) not in texts:
            raw = trees[patch].read(path) if patch in trees else None
            texts[patch, path] = [] if raw is None else raw.decode("utf-8", "surrogateescape").split("\n")
        found = texts[patch, path]
        return found[number - 1] if 0 < number <= len(found) else None

    return line


def lines_in(tree: Tree | None) -> Callable[[str, int], str | None]:
    """The lines of one tree, or of none."""
    return partial(lines_of({} if tree is None else {0: tree}), 0)


def read(path: str) -> bytes:
    """The bytes of a file a user named. Raises LorelintError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise LorelintError("no such file", where=path, remedy="check the name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LorelintError(
            f"cannot be read: {reason.lower()}", where=ascii(path)[1:-1], remedy="check the file"
        ) from error
