"""The index: one SQLite file in the user's cache with the facts and words of every blob that was read.

A cache and nothing else: a file that is damaged, of another version or cannot be opened is made anew or done without,
and every answer is the same without it. Each batch is one transaction, so a process may be killed at any point, and
two may write at once.

    blob   number, id, facts                     one row for each content, whatever trees hold it; a large one has none
    batch  first number, how many, bits          blobs learned together
    page   batch and page in one number, words   see `pages`
    tree   key, paths with blob numbers          what lies where in a tree that was indexed
    answer  hash of a question, its answer       what was worked out about a tree that does not change
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import weakref
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from lorelint.code.facts import VERSION
from lorelint.edge import pages
from lorelint.edge.shrink import age, shrink
from lorelint.model.errors import LorelintError
from lorelint.model.index import Batch

SCHEMA = 2
TREES = 32  # remembered; the one that was indexed longest ago is forgotten
ANSWERS = 200_000  # kept: a rule on a file each, some hundred bytes
WAIT = 30.0  # seconds for another process that writes
_ASKED = 500  # pages in one question
_SMALL = 256  # blobs: batches under it are put together
_MANY = 16  # small batches there may be
_TABLES = """
CREATE TABLE blob (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, facts BLOB NOT NULL);
CREATE TABLE batch (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, bits INTEGER NOT NULL);
CREATE TABLE page (number INTEGER PRIMARY KEY, words BLOB NOT NULL);
CREATE TABLE answer (key BLOB PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE tree (key TEXT PRIMARY KEY, made REAL NOT NULL, extra TEXT NOT NULL, files BLOB NOT NULL);
"""


class Manifest(Struct, frozen=True):
    """Which blob lies at each source path of a tree.

    paths    sorted
    numbers  of the blob at each path, 0 where none is kept (a file over the size that is read)
    extra    what the tree's kind had kept with it
    """

    paths: Sequence[str]
    numbers: Sequence[int]
    extra: str


NAME = f"index-{SCHEMA}.{VERSION}.sqlite"
"""Of the file in the cache: a lorelint of another version has one of its own."""


_OTHERS: list[sqlite3.Connection | None] = []  # connections of a process that this one is a copy of


class IndexFile:
    """The index in one file. All reading and writing of it is here."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda text: None) -> None:
        """`say` is told what happened to it that a person may want to know."""
        self.path = path
        self._say = say
        self._db: sqlite3.Connection | None = None
        self._pid = 0  # of the process that opened it
        self._dropped = False  # a file made since then has other numbers
        self._age = 0  # of the file when it was opened, see `shrink`

    # -- opening

    def _open(self, write: bool = False) -> sqlite3.Connection | None:
        """The connection; None where there is no index and none is to be written. Raises Gone, for a reader."""
        if self._db is not None and self._pid != os.getpid():
            self._reopen()
        if self._db is None:
            if not write and not self.path.is_file():
                return None
            try:
                self._db, self._pid = self._connect(write), os.getpid()
                weakref.finalize(self, _end, self._db, self._pid)  # what was written is put in its place then
            except (sqlite3.Error, OSError) as error:
                if write:
                    raise self._failed(error) from error
                raise Gone(str(error)) from error
        return self._db

    def _reopen(self) -> None:
        """In a copy of the process that opened it, which has to have a connection of its own. Raises Gone."""
        _OTHERS.append(self._db)  # not to be closed here: its locks are the other's
        was, self._db = self._age, self._connect(write=False)
        self._pid = os.getpid()
        if self._age != was:
            self._dropped = True
            raise Gone("what the index had of the tree is gone")

    def _connect(self, write: bool) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
        why = ""
        try:
            # In this order: whoever makes the tables sets the version with them.
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if tables and version != SCHEMA * 1000 + VERSION:
                why = "it was of another version"
        except sqlite3.OperationalError:
            db.close()
            raise
        except sqlite3.DatabaseError:
            why, tables = "it was damaged", 1
        if why:
            # Whoever still has the file open goes on with what he has.
            db.close()
            self._drop(why)
            if not write:  # what a reader was told of numbers before holds no longer
                raise Gone(why)
            return self._connect(write)
        db.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._make(db)
        self._age = age(db)
        return db

    def _make(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA page_size = 8192")
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            pass  # another process is at it, and sets the same
        with _transaction(db):
            # Another process may have been first.
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _TABLES.strip().split("\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA * 1000 + VERSION}")

    def _drop(self, why: str) -> None:
        self._say(f"the index is made anew: {why}")
        self._dropped = True
        for name in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read from. Raises Gone: damage ends the index, not the question."""
        try:
            yield self._open()
        except (sqlite3.DatabaseError, ValueError, zlib.error) as error:
            if not isinstance(error, sqlite3.OperationalError):
                self.close()
                self._drop("it was damaged")
            raise Gone(str(error)) from error

    def _there(self, db: sqlite3.Connection | None) -> sqlite3.Connection:
        """The connection by which numbers mean what they meant. Raises Gone."""
        if db is None or self._dropped:
            raise Gone("the index that was asked is gone")
        return db

    def _checked(self, db: sqlite3.Connection) -> None:
        """What was read by a number meant what it was. Raises Gone where blobs were taken out since."""
        if age(db) != self._age:
            self._dropped = True
            raise Gone("what the index had of the tree is gone")

    def _failed(self, error: Exception) -> LorelintError:
        full = "full" in str(error)
        remedy = "make room on the disk and run it again: what was read is kept" if full else "check the folder"
        return LorelintError(f"the index cannot be written: {error}", where=str(self.path), remedy=remedy)

    # -- blobs

    def known(self) -> frozenset[str]:
        """Ids of all blobs that are kept; none where the index cannot be read, which is then made anew."""
        try:
            with self._reading() as db:
                rows = () if db is None else db.execute("SELECT id FROM blob")
                return frozenset(row[0].hex() for row in rows)
        except Gone:
            return frozenset()

    def filled(self) -> bool:
        """Whether anything was read into it."""
        with self._reading() as db:
            return db is not None and db.execute("SELECT max(number) FROM blob").fetchone()[0] is not None

    def numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """The numbers of those of the blobs that are kept."""
        wanted = set(ids)
        with self._reading() as db:
            if db is None:
                return {}
            if len(wanted) > 2000:
                rows = ((row[0].hex(), row[1]) for row in db.execute("SELECT id, number FROM blob"))
                return {name: number for name, number in rows if name in wanted}
            found = {}
            for name in wanted:
                row = db.execute("SELECT number FROM blob WHERE id = ?", (bytes.fromhex(name),)).fetchone()
                if row is not None:
                    found[name] = row[0]
            return found

    def facts(self, number: int) -> bytes | None:
        """The encoded facts of a blob by its number."""
        with self._reading() as db:
            there = self._there(db)
            row = there.execute("SELECT facts FROM blob WHERE number = ?", (number,)).fetchone()
            self._checked(there)
            return None if row is None else bytes(row[0])

    def add(self, batch: Batch) -> None:
        """Keep a batch: its blobs under new numbers, its pages. A blob that is there already keeps its number."""
        if not batch.blobs:
            return
        with self._writing() as db:
            first = db.execute("SELECT max(first + count) FROM batch").fetchone()[0] or 1
            db.execute("INSERT INTO batch VALUES (?, ?, ?)", (first, len(batch.blobs), batch.bits))
            rows = ((first + at, bytes.fromhex(name), facts) for at, (name, facts) in enumerate(batch.blobs))
            db.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?, ?)", rows)
            db.executemany("INSERT INTO page VALUES (?, ?)", ((first << 12 | page, data) for page, data in batch.pages))
            self._merge(db)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises LorelintError where it cannot be written: a full disk, a folder that is read-only."""
        db = self._open(write=True)
        assert db is not None
        try:
            with _transaction(db):
                yield db
        except sqlite3.OperationalError as error:
            raise self._failed(error) from error
        except sqlite3.DatabaseError as error:
            self.close()
            self._drop("it was damaged")
            raise LorelintError(
                "the index was damaged and is gone", where=str(self.path), remedy="run `lorelint index` again"
            ) from error

    def _merge(self, db: sqlite3.Connection) -> None:
        """Small batches that follow one another become one, so that a look-up stays a look at few pages."""
        run: list[tuple[int, int, int]] = []
        for row in db.execute("SELECT first, count, bits FROM batch ORDER BY first DESC"):
            if row[1] >= _SMALL:
                break
            run.insert(0, row)
        if len(run) < _MANY:
            return
        start, end = run[0][0], run[-1][0] + run[-1][1]
        merged: list[int] = []
        for first, _, _ in run:
            for (data,) in db.execute("SELECT words FROM page WHERE number >> 12 = ?", (first,)):
                merged += [posting + (first - start << 8) for posting in pages.unpack(data)]
        merged.sort()
        db.execute("DELETE FROM page WHERE number >> 12 BETWEEN ? AND ?", (start, end))
        db.execute("DELETE FROM batch WHERE first BETWEEN ? AND ?", (start, end))
        width = pages.bits(len(merged))
        db.execute("INSERT INTO batch VALUES (?, ?, ?)", (start, end - start, width))
        every = pages.paged(array("Q", merged), width)
        db.executemany("INSERT INTO page VALUES (?, ?)", ((start << 12 | page, data) for page, data in every))

    # -- words

    def find(self, word: str) -> dict[int, int]:
        """Numbers of the blobs in which a word stands, with its roles there."""
        number = pages.hashed(word.encode("utf-8", "surrogateescape"))
        found: dict[int, int] = {}
        with self._reading() as opened:
            db = self._there(opened)
            # Another process may have put batches together: which there are is read with each question.
            every = [
                row[0] << 12 | pages.page_of(number, row[1]) for row in db.execute("SELECT first, bits FROM batch")
            ]
            for start in range(0, len(every), _ASKED):
                some = every[start : start + _ASKED]
                query = f"SELECT number, words FROM page WHERE number IN ({','.join('?' * len(some))})"
                for page, words in db.execute(query, some):
                    for at, roles in pages.matching(words, number):
                        # Two words of one file may share a hash: what either is, the file may hold.
                        found[(page >> 12) + at] = found.get((page >> 12) + at, 0) | roles
            self._checked(db)
        return found

    # -- trees

    def remember(self, key: str, blobs: Mapping[str, str], made: float = 0.0, extra: str = "") -> None:
        """Keep what lay where in a tree at a moment, by blob ids. Raises LorelintError where it cannot be written."""
        paths = sorted(blobs)
        numbers = self.numbers(blobs.values())
        self.keep(key, paths, [numbers.get(blobs[path], 0) for path in paths], made, extra)

    def keep(self, key: str, paths: Sequence[str], numbers: Sequence[int], made: float, extra: str) -> None:
        """The same by blob numbers; `paths` are sorted. Raises LorelintError where it cannot be written."""
        text = "\n".join(paths).encode("utf-8", "surrogateescape")
        head = array("I", [len(text), len(paths)])
        data = zlib.compress(head.tobytes() + text + array("I", numbers).tobytes(), 1)
        with self._writing() as db:
            row = (key, made or time.time(), extra, data)
            db.execute("INSERT OR REPLACE INTO tree VALUES (?, ?, ?, ?)", row)
            db.execute("DELETE FROM tree WHERE key NOT IN (SELECT key FROM tree ORDER BY made DESC LIMIT ?)", (TREES,))
            forgotten = shrink(db, lambda row: _unpacked(row)[1])
        if forgotten:
            self._say(f"the index was full: of {forgotten} trees, read longest ago, nothing is kept any more")

    def recall(self, key: str) -> Manifest | None:
        """What was remembered of a tree."""
        with self._reading() as db:
            row = None if db is None else db.execute("SELECT extra, files FROM tree WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            return Manifest(*_unpacked(row[1]), row[0])

    def made(self, key: str) -> float | None:
        """The moment at which a tree that is remembered was looked at (seconds since the epoch)."""
        with self._reading() as db:
            row = None if db is None else db.execute("SELECT made FROM tree WHERE key = ?", (key,)).fetchone()
            return None if row is None else float(row[0])

    def keys(self) -> tuple[str, ...]:
        """Keys of the trees that are remembered, sorted."""
        with self._reading() as db:
            return () if db is None else tuple(row[0] for row in db.execute("SELECT key FROM tree ORDER BY key"))

    # -- answers

    def recall_answer(self, key: str) -> bytes | None:
        """What was worked out before under a key; None where nothing was, or where it cannot be read."""
        try:
            with self._reading() as db:
                found = (
                    None
                    if db is None
                    else db.execute("SELECT value FROM answer WHERE key = ?", (_hash(key),)).fetchone()
                )
                return None if found is None else bytes(found[0])
        except Gone:
            return None

    def keep_answers(self, answers: Mapping[str, bytes]) -> None:
        """Keep what was worked out; the oldest goes when there is too much. What cannot be written is not kept."""
        try:
            with self._writing() as db:
                rows = ((_hash(key), value) for key, value in answers.items())
                db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?)", rows)
                over = db.execute("SELECT count(*) FROM answer").fetchone()[0] - ANSWERS
                if over > 0:
                    db.execute(
                        "DELETE FROM answer WHERE rowid IN (SELECT rowid FROM answer ORDER BY rowid LIMIT ?)",
                        (over + ANSWERS // 10,),
                    )
        except LorelintError as error:
            self._say(str(error))

    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size if self.path.is_file() else 0


def _unpacked(row: bytes) -> tuple[list[str], array[int]]:
    """Paths and blob numbers of a tree. Raises ValueError or zlib.error for bytes that are damaged."""
    data = zlib.decompress(row) if row else b""
    text, count = array("I", data[:8])
    numbers = array("I", data[8 + text :])
    paths = data[8 : 8 + text].decode("utf-8", "surrogateescape").split("\n") if text else []
    if not len(numbers) == len(paths) == count:
        raise ValueError("damaged tree")
    return paths, numbers


def _end(db: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        with suppress(sqlite3.Error):  # another thread may have opened it
            db.close()


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class Gone(Exception):
    """The index cannot answer; who asked goes on without it."""


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
