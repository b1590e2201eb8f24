"""Files of a tree read into batches of an index, by as many processes as are wanted.

tree-sitter is not needed for facts, but they are Python all the same: threads would take turns. A process opens the
tree once; what it sends back are bytes that go into the index as they are.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from lorelint.code.facts import encode, roles
from lorelint.code.harvest import harvest
from lorelint.edge import pages
from lorelint.model.errors import LorelintError
from lorelint.model.index import Batch, Share
from lorelint.model.tree import LIMIT, Tree, blob_id

Opener = Callable[[str], Tree]  # a function of a module, so that other processes can call it
_tree: Tree | None = None
_known: frozenset[str] = frozenset()


def batch(tree: Tree, share: Share, known: frozenset[str]) -> Batch:
    """Read the files of one share. Facts are made of the blobs that are not `known`."""
    files: list[tuple[str, str]] = []
    skipped: list[str] = []
    blobs: dict[str, bytes] = {}
    numbers = array("Q")
    for path, name in share.files:
        if name in known or name in blobs:
            files.append((path, name))
            continue
        raw = tree.read(path)
        if raw is None or len(raw) > LIMIT:
            skipped.append(path)
        if raw is None:
            continue
        name = name or blob_id(raw)
        files.append((path, name))
        if name in known or name in blobs:
            continue
        if len(raw) > LIMIT:
            blobs[name] = b""  # it is known that there is nothing to know
            continue
        facts = harvest(raw)
        played = {word.encode("utf-8", "surrogateescape"): role for word, role in roles(facts).items()}
        numbers.extend(pages.postings(len(blobs), pages.words(raw), played))
        blobs[name] = encode(facts)
    numbers = pages.in_order(numbers)
    width = pages.bits(len(numbers))
    return Batch(tuple(files), tuple(skipped), tuple(blobs.items()), width, tuple(pages.paged(numbers, width)))


class Processes:
    """Several processes that read one tree. With one, no other process is started."""

    def __init__(self, opener: Opener, spec: str, count: int) -> None:
        self.opener = opener
        self.spec = spec
        self.count = count

    def __call__(self, shares: Sequence[Share], known: frozenset[str]) -> Iterator[Batch]:
        """Batches in the order of the shares. Raises LorelintError where a process ended before its time."""
        if self.count < 2 or len(shares) < 2:
            tree = self.opener(self.spec)
            for share in shares:
                yield batch(tree, share, known)
            return
        workers = min(self.count, len(shares))
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin, (self.opener, self.spec, known)) as pool:
            waiting: list[Future[Batch]] = []
            at = 0
            try:
                while waiting or at < len(shares):
                    while at < len(shares) and len(waiting) < workers + 2:  # bounded: batches are large
                        waiting.append(pool.submit(_share, shares[at]))
                        at += 1
                    yield waiting.pop(0).result()
            except BrokenProcessPool as error:
                raise LorelintError(
                    "a process that reads the tree was ended from outside",
                    where=self.spec,
                    remedy="run it again: what was read is kept (out of memory? use --jobs 1)",
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _begin(opener: Opener, spec: str, known: frozenset[str]) -> None:
    global _tree, _known
    gc.set_threshold(
        100_000, 20, 50
    )  # millions of small rows and no circles among them: looking for some takes a tenth
    _tree, _known = opener(spec), known


def _share(share: Share) -> Batch:
    assert _tree is not None
    return batch(_tree, share, _known)
