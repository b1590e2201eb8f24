"""Letters about patches that a tree has taken since they were written: too late to be said, so they are cancelled.

What was applied already when it is reviewed gets no letter (`jobs.due`). Here it is asked again, whenever a tree has
moved on, for all letters that wait. Pure over ports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs import life
from lorelint.jobs.applied import held
from lorelint.model.feed import Nature
from lorelint.model.mail import Patch, Series, Thread
from lorelint.model.source import OpenTree
from lorelint.model.store import Kept, LetterRow, Store

LOOKED = "applied"  # setting: at which letters it was looked, and on which trees
Trees = Sequence[tuple[str, OpenTree]]
Threads = Callable[[Sequence[bytes]], Sequence[Thread]]


def withdraw(
    store: Store, open_trees: Callable[[], Trees], threads: Threads, now: str, stop: Callable[[], bool]
) -> Iterator[tuple[LetterRow, str]]:
    """Cancel letters about what a tree holds; each with why. Killed at any point, all of it is looked at again."""
    with store.look() as session:
        letters, before = session.outbox.waiting(), _Looked.read(session.notes.get(LOOKED))
    trees = open_trees() if letters else ()
    if not trees:
        return
    tips = tuple((name, tree.commit) for name, tree in trees)
    known = all(commit for _, commit in tips)  # a plain folder does not say that it has changed
    look = _Look(store, trees, threads)
    seen = {row.id for row in letters if known and before.tips == tips and row.id in before.letters}
    for row in letters:
        if stop():
            return
        why = "" if row.id in seen else look.taken(row)
        if not why:
            seen.add(row.id)
            continue
        with store.begin() as session:
            current = session.outbox.get(row.id)
            # One that is on its way is looked at again: where no server takes it, it waits once more.
            cancelled = current is not None and life.cancel(session, current, why, now)
        if cancelled:
            yield row, why
    looked = _Looked(tips, frozenset(seen))
    if known and looked != before:
        with store.begin() as session:
            session.notes.set(LOOKED, looked.written())


class _Looked(Struct, frozen=True):
    """The letters that were looked at, and the trees as they were then."""

    tips: tuple[tuple[str, str], ...] = ()
    letters: frozenset[int] = frozenset()

    @classmethod
    def read(cls, text: str) -> _Looked:
        found = json.loads(text) if text else {"tips": [], "letters": []}
        return cls(tuple((name, commit) for name, commit in found["tips"]), frozenset(found["letters"]))

    def written(self) -> str:
        return json.dumps({"tips": self.tips, "letters": sorted(self.letters)})


class _Look:
    """Letters stand in the order of their series: one thread is kept."""

    def __init__(self, store: Store, trees: Trees, threads: Threads) -> None:
        self._store = store
        self._trees = trees
        self._read = threads
        self._root = ""
        self._threads: Sequence[Thread] = ()

    def taken(self, row: LetterRow) -> str:
        """By whom the patch of a letter was taken, alone or with its series; "" for by nobody."""
        found = self._find(row.patch)
        if found is None:
            return ""
        series, patch = found
        for name, opened in self._trees:
            if held(series, opened.tree) or held(replace(series, patches=(patch,)), opened.tree):
                return f"applied already: {name} holds it" + (f" at {opened.commit[:12]}" if opened.commit else "")
        return ""

    def _understood(self, mails: Sequence[Kept]) -> Sequence[Thread]:
        """A thread; an empty one where it cannot be read: anybody may have put something into it."""
        try:
            return self._read([kept.raw for kept in mails if kept.nature is not Nature.BROKEN])
        except Exception:
            return ()

    def _find(self, msgid: str) -> tuple[Series, Patch] | None:
        with self._store.look() as session:
            root = session.mails.root_of(msgid)
            mails = session.mails.thread(root) if root != self._root else ()
        if mails:
            self._root, self._threads = root, self._understood(mails)
        for thread in self._threads:
            for series in reversed(thread.series):
                for patch in series.patches:
                    if patch.msgid == msgid:
                        return series, patch
        return None
