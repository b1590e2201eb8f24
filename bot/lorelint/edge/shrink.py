"""Keep an index from growing without end: trees read longest ago are forgotten, with what only they held."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable

from lorelint.edge import pages

MOST = 2 << 30  # bytes in use: a dozen versions of a kernel


def shrink(db: sqlite3.Connection, numbers: Callable[[bytes], Iterable[int]], most: int = MOST) -> int:
    """Forget trees until at most so many bytes are in use; the last one stays. How many were forgotten.

    numbers  those of the blobs in a tree that is kept, by its row
    The file does not shrink: what was freed is written over.
    """
    gone = 0
    while _used(db) > most:
        keys = db.execute("SELECT key FROM tree ORDER BY made, key").fetchall()
        if len(keys) < 2:
            break
        db.execute("DELETE FROM tree WHERE key = ?", keys[0])
        held = {each for (row,) in db.execute("SELECT files FROM tree") for each in numbers(bytes(row))}
        for first, count, bits in db.execute("SELECT first, count, bits FROM batch").fetchall():
            _thin(db, first, count, bits, held)
        gone += 1
    if gone:
        age = db.execute("PRAGMA application_id").fetchone()[0]
        db.execute(f"PRAGMA application_id = {(age + 1) % (1 << 31)}")
    return gone


def age(db: sqlite3.Connection) -> int:
    """Another number whenever something was forgotten: numbers of blobs from before may mean nothing."""
    return int(db.execute("PRAGMA application_id").fetchone()[0])


def _used(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _thin(db: sqlite3.Connection, first: int, count: int, bits: int, held: set[int]) -> None:
    """Take out of a batch what no tree holds; its numbers stay what they are."""
    kept = {number - first for number in range(first, first + count) if number in held}
    dead = [(number,) for number in range(first, first + count) if number - first not in kept]
    there = db.execute("SELECT count(*) FROM blob WHERE number BETWEEN ? AND ?", (first, first + count - 1)).fetchone()
    if there[0] <= len(kept):
        return  # nothing more to take
    db.executemany("DELETE FROM blob WHERE number = ?", dead)
    rows = db.execute("SELECT words FROM page WHERE number >> 12 = ?", (first,)).fetchall() if kept else []
    left = array("Q")
    for (words,) in rows:
        left.extend(posting for posting in pages.unpack(words) if posting >> 8 & 0xFFFF in kept)
    db.execute("DELETE FROM page WHERE number >> 12 = ?", (first,))
    if not kept:
        db.execute("DELETE FROM batch WHERE first = ?", (first,))
    every = ((first << 12 | page, data) for page, data in pages.paged(left, bits))
    db.executemany("INSERT INTO page VALUES (?, ?)", every)
