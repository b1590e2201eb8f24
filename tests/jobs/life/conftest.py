"""A list of our own writing, taken into a real store mail by mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from lorelint.edge.b4.single import read_mail
from lorelint.edge.b4.threads import read_threads
from lorelint.edge.mailbox import Mail
from lorelint.edge.store.database import Database
from lorelint.jobs import intake, life
from lorelint.mail.nature import nature
from lorelint.model.base import Base, Grade
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.finding import Coverage, Finding, Judged, Report, Severity, Status
from lorelint.model.mail import Message, Series, Thread
from lorelint.model.store import Letter, LetterRow, PatchRow, ReviewRow, SeriesRow

PACE = life.Pace(wait_hours=24, retry_hours=1, attempts=2)


def at(minute: float) -> str:
    return life.later("2026-03-01T00:00:00Z", minute / 60)


def diff(word: str) -> str:
    path = f"drivers/vfio/{word}.c"
    return (
        f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -1,3 +1,4 @@ int f(void)\n \tint a;\n+\tint {word};\n \tint b;\n \treturn 0;\n"
    )


class Post(Struct, frozen=True):
    """One mail of a list."""

    msgid: str
    subject: str
    body: str = "Words.\n"
    parent: str = ""
    references: tuple[str, ...] = ()
    minute: float = 0
    author: str = "Ann <ann@example.org>"
    headers: str = ""

    @property
    def raw(self) -> bytes:
        head = f"From: {self.author}\nTo: kvm@vger.kernel.org\nSubject: {self.subject}\nMessage-ID: <{self.msgid}>\n"
        head += f"Date: Sun, 01 Mar 2026 {int(self.minute) // 60 % 24:02}:{int(self.minute) % 60:02}:00 +0000\n"
        head += f"In-Reply-To: <{self.parent}>\n" if self.parent else ""
        head += "References: " + " ".join(f"<{each}>" for each in self.references) + "\n" if self.references else ""
        return (head + self.headers + "\n" + self.body).encode()


def patch(msgid: str, subject: str, word: str, **more: object) -> Post:
    return Post(msgid, subject, f"Say why.\n\n---\n{diff(word)}-- \n2.39.5\n", **more)  # type: ignore[arg-type]


def posting(
    name: str,
    words: Sequence[str],
    *,
    version: int = 1,
    parent: str = "",
    tag: str = "",
    change_id: str = "",
    minute: float = 0,
    topic: str = "vfio: do it",
    author: str = "Ann <ann@example.org>",
) -> list[Post]:
    """A cover letter and its patches, threaded."""
    prefix = "PATCH" + tag + (f" v{version}" if version > 1 else "")
    more = f"change-id: {change_id}\n" if change_id else ""
    stat = " drivers/vfio/a.c | 1 +\n 1 file changed, 1 insertion(+)\n\n"
    above = (parent,) if parent else ()
    cover = Post(
        f"{name}-0@x", f"[{prefix} 0/{len(words)}] {topic}", f"Words.\n\n{stat}{more}", parent, above, minute, author
    )
    mails = [cover]
    for number, word in enumerate(words, 1):
        subject = f"[{prefix} {number}/{len(words)}] vfio: add {word}"
        mails.append(
            patch(
                f"{name}-{number}@x",
                subject,
                word,
                parent=cover.msgid,
                references=(*above, cover.msgid),
                minute=minute + number,
                author=author,
            )
        )
    return mails


def read(raw: bytes) -> tuple[Message, Nature, str]:
    message, facts = read_mail(raw)
    return message, *nature(message, facts, "bot.example.org")


def threads(raws: Sequence[bytes]) -> tuple[Thread, ...]:
    return read_threads([Mail(raw) for raw in raws], "the list")


@dataclass
class House:
    """The store of a bot, and what comes into it."""

    store: Database
    reader: intake.Reader = field(default_factory=lambda: intake.Reader(read, threads))
    count: int = 0

    def take(
        self, post: Post | bytes, minute: float | None = None, inbox: str = "kvm", together: bool = True
    ) -> intake.Taken:
        """A message comes, and series are put `together` with it."""
        self.count += 1
        raw = post if isinstance(post, bytes) else post.raw
        when = at(minute if minute is not None else post.minute if isinstance(post, Post) else 0)
        arrival = Arrival(raw, Cursor(inbox, 0, f"{self.count:040}"), when, f"{self.count:08x}")
        taken = intake.take(self.store, arrival, self.reader, now=when)
        if together:
            while intake.assemble(self.store, self.reader, now=when, pace=PACE):
                pass
        return taken

    def all(self, posts: Sequence[Post]) -> None:
        for post in posts:
            self.take(post)

    def series(self, msgid: str) -> SeriesRow:
        with self.store.look() as session:
            row = session.series.of_patch(msgid)
        assert row is not None, msgid
        return row

    def patches(self, row: SeriesRow) -> tuple[PatchRow, ...]:
        with self.store.look() as session:
            return session.series.patches(row.id)

    def every(self) -> tuple[SeriesRow, ...]:
        with self.store.look() as session:
            return session.series.recent()

    def trail(self) -> list[tuple[str, str]]:
        """(what, about), the latest first."""
        with self.store.look() as session:
            return [(what, about) for _, _, what, about, _ in session.notes.trail()]

    def report(self, row: SeriesRow, *fingerprinted: tuple[str, str]) -> Report:
        """What a review says that found, for (patch, function) each, one defect."""
        with self.store.look() as session:
            thread = session.mails.thread(row.root)
        found = threads([kept.raw for kept in thread])
        series = next(each for some in found for each in some.series if row.first in _msgids(each))
        judged = tuple(_judged(series, *each) for each in fingerprinted)
        base = Base("tree", "", Grade.EXACT, ())
        return Report("list", series, base, judged, (), coverage=Coverage(1, 1, 0, ("bad-call",)))

    def review(self, row: SeriesRow, *fingerprinted: tuple[str, str], minute: float = 0) -> None:
        report = self.report(row, *fingerprinted)
        with self.store.begin() as session:
            done = ReviewRow(0, row.id, at(minute), "0.1", "tree", "", "exact", (), 1.0, report=b"{}")
            life.reviewed(session, row, report, done, at(minute))

    def write(self, row: SeriesRow, msgid: str, state: Letter = Letter.HELD) -> None:
        """A letter about a patch."""
        with self.store.begin() as session:
            to = (("Ann", "ann@example.org"),)
            session.outbox.add(
                LetterRow(
                    0,
                    msgid,
                    row.id,
                    f"re-{msgid}",
                    state,
                    (),
                    "Re: x",
                    "b",
                    to,
                    (),
                    (),
                    (),
                    False,
                    "",
                    "r",
                    created_at="x",
                )
            )

    def letter(self, msgid: str) -> Letter:
        with self.store.look() as session:
            found = session.outbox.of_patch(msgid)
        assert found is not None
        return found.state


def _msgids(series: Series) -> set[str]:
    return {patch.msgid for patch in series.patches} | ({series.cover.msgid} if series.cover else set())


def _judged(series: Series, msgid: str, function: str) -> Judged:
    seq = next(patch.seq for patch in series.patches if patch.msgid == msgid)
    finding = Finding("bad-call", "a.c", function, 1, "bad", f"bad in {function}", Severity.WARNING, 0.9, ())
    return Judged(finding, Status.NEW, seq, Grade.EXACT)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    store = Database("", tmp_path)
    yield House(store)
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = request.getfixturevalue("postgresql")() if request.param == "postgresql" else ""
    store = Database(url, tmp_path)
    yield House(store)
    store.close()


@dataclass(frozen=True)
class Words:
    """The vocabulary of the tests."""

    Post = Post
    patch = staticmethod(patch)
    posting = staticmethod(posting)
    at = staticmethod(at)
    replace = staticmethod(replace)
    pace = PACE


@pytest.fixture(scope="session")
def say() -> Words:
    return Words()
