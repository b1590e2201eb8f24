"""Letters about patches that a tree has taken since they were written: too late to be said, so they are cancelled.

What was applied already when it is reviewed gets no letter (`jobs.due`). Here it is asked again, whenever a tree has
moved on, for all letters that wait. Pure over ports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lorelint.jobs import life
from lorelint.jobs.applied import held
from lorelint.model.mail import Patch, Series, Thread
from lorelint.model.source import OpenTree
from lorelint.model.store import Letter, LetterRow, Store

TIPS = "applied:tips"  # setting: the trees, as they were when all letters that waited were last looked at
Trees = Sequence[tuple[str, OpenTree]]
Threads = Callable[[Sequence[bytes]], Sequence[Thread]]


def withdraw(
    store: Store, open_trees: Callable[[], Trees], threads: Threads, now: str, stop: Callable[[], bool]
) -> Iterator[tuple[LetterRow, str]]:
    """Cancel letters about what a tree holds; each with why. Killed at any point, all of it is looked at again."""
    with store.look() as session:
        letters, before = session.outbox.waiting(), session.notes.get(TIPS)
    trees = open_trees() if letters else ()
    tips = json.dumps([(name, tree.commit) for name, tree in trees])
    known = all(tree.commit for _, tree in trees)  # a plain folder does not say that it has changed
    if not trees or (known and tips == before):
        return
    look = _Look(store, trees, threads)
    on_its_way = False
    for row in letters:
        if stop():
            return
        why = look.taken(row)
        if not why:
            continue
        with store.begin() as session:
            current = session.outbox.get(row.id)
            cancelled = current is not None and life.cancel(session, row.id, current.state, why, now)
            on_its_way |= current is not None and current.state is Letter.SENDING
        if cancelled:
            yield row, why
    if known and not on_its_way:  # one that no server took would wait again
        with store.begin() as session:
            session.notes.set(TIPS, tips)


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

    def _find(self, msgid: str) -> tuple[Series, Patch] | None:
        with self._store.look() as session:
            root = session.mails.root_of(msgid)
            mails = session.mails.thread(root) if root != self._root else ()
        if mails:
            self._root, self._threads = root, self._read([kept.raw for kept in mails])
        for thread in self._threads:
            for series in reversed(thread.series):
                for patch in series.patches:
                    if patch.msgid == msgid:
                        return series, patch
        return None
