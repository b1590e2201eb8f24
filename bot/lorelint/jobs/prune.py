"""The text of old mails is let go: of threads that are long over, and on which nothing hangs that is looked up later.

What stays of each is that it was there: who wrote it, when, under what subject, in which thread, over which lists. So
it is known when it comes again, and whatever reads the thread finds a mail in its place. Pure over the store.
"""

from __future__ import annotations

from collections.abc import Callable

from lorelint.model.store import Kept, Store

SOME = 200  # messages of one transaction
MARK = "X-Lorelint-Let-Go"  # header of what stands for a mail


def prune(store: Store, before: str, stop: Callable[[], bool] = lambda: False, *, dry_run: bool = False) -> int:
    """Let go what is older than a time (RFC 3339); how many mails. Killed at any point, the next call goes on.

    Kept whole are threads in which something is newer, a series waits for its review, something came that was not dealt
    with yet, or a finding, a letter or an answer that asked something stands. Raises LorelintError where the store
    fails.
    """
    if dry_run:
        with store.look() as session:
            return session.mails.old_count(before)
    count, since = 0, ""
    while not stop():
        with store.begin() as session:
            some = session.mails.old(before, SOME, since)
            for kept in some:
                session.mails.let_go(kept.msgid, stub(kept))
        count += len(some)
        if len(some) < SOME:
            break
        since = some[-1].at
    return count


def stub(kept: Kept) -> bytes:
    """A mail that stands for one whose text is gone."""
    name = _plain(kept.author[0]).replace('"', " ").replace("\\", " ")
    lines = [
        f"{MARK}: yes",
        f"Message-ID: <{_plain(kept.msgid)}>",
        f'From: "{name}" <{_plain(kept.author[1])}>',
        f"Subject: {_plain(kept.subject)}",
    ]
    lines += [f"Date: {_plain(kept.date)}"] if kept.date else []
    lines += [f"In-Reply-To: <{_plain(kept.parent)}>"] if kept.parent else []
    lines += ["References: " + "\n ".join(f"<{_plain(each)}>" for each in kept.references)] if kept.references else []
    return ("\n".join(lines) + "\n\nThe text of this mail is not kept any more.\n").encode("utf-8", "replace")


def is_stub(raw: bytes) -> bool:
    """Whether bytes stand for a mail whose text is gone."""
    return raw.startswith(MARK.encode())


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
