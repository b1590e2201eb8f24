"""Read a whole tree into the index: what is not known yet, share by share, each kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lorelint.model.index import Harvester, Index, Indexed, shares

SHARE = 1000  # files: a second or two of one process

Progress = Callable[[int, int], None]
"""(files done, files in all)"""


def index(
    name: str,
    key: str,
    files: Iterable[tuple[str, str]],
    keeper: Index,
    harvest: Harvester,
    *,
    made: float = 0.0,
    extra: str = "",
    progress: Progress = lambda done, total: None,
) -> Indexed:
    """Read the files of a tree, and remember what lies where in it.

    name   of the tree, for people
    key    by which the index remembers it
    files  (path, blob id, "" where the tree does not know it before it is read)
    made   when the files were listed, seconds since the epoch; kept with the tree, as is `extra`
    May be ended at any point and run again: every share that was done is kept.
    Raises LorelintError where the index cannot be written, or a process that reads was ended from outside.
    """
    every = tuple(sorted(files))
    known = keeper.known()
    blobs: dict[str, str] = {path: blob for path, blob in every if blob in known}
    wanted = shares(((path, blob) for path, blob in every if path not in blobs), SHARE)
    fresh, done = 0, len(blobs)
    skipped: list[str] = []
    progress(done, len(every))
    for share, batch in zip(wanted, harvest(wanted, known), strict=True):
        keeper.add(batch)
        blobs.update(batch.files)
        skipped += batch.skipped
        fresh += len(batch.blobs)
        done += len(share.files)
        progress(done, len(every))
    keeper.remember(key, blobs, made, extra)
    return Indexed(name, len(every), fresh, tuple(sorted(skipped)))
