"""Archives of every kind on this machine give the same mails, and go on where they were read to."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sweeping import damage, epochs

from lorelint.edge.inboxes import UNDATED, feeds
from lorelint.edge.mailbox import MAX_MAIL, split
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor


@pytest.fixture(scope="module")
def mails(root: Path) -> list[bytes]:
    found: list[bytes] = []
    for path in sorted((root / "corpora" / "threads").glob("*.mbox")):
        with path.open("rb") as lines:
            found += [mail.raw for mail in split(lines)]
    return found


def read(path: Path, cursors: tuple[Cursor, ...] = ()) -> tuple[list[Arrival], dict[str, str]]:
    aside: dict[str, str] = {}
    found: list[Arrival] = []
    for feed in feeds([str(path)], path.parent, aside.__setitem__):
        feed.refresh()
        found += feed.arrivals(cursors or feed.start("1970-01-01"))
    return found, aside


def test_every_kind_gives_the_same_mails(root: Path, mails: list[bytes], tmp_path: Path) -> None:
    folder, _ = read(root / "corpora" / "threads")
    assert [each.raw for each in folder] == mails and len(mails) == 12
    maildir = tmp_path / "maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    for at, mail in enumerate(mails):
        (maildir / ("cur" if at < 5 else "new") / f"{at:03}.host:2,S").write_bytes(mail)
    (maildir / "tmp" / "half").write_bytes(mails[0][:200])
    assert [each.raw for each in read(maildir)[0]] == mails
    packed = tmp_path / "packed.mbox.gz"
    boxes = sorted((root / "corpora" / "threads").glob("*.mbox"))
    packed.write_bytes(b"".join(gzip.compress(path.read_bytes()) for path in boxes))
    assert [each.raw for each in read(packed)[0]] == mails
    archive = epochs(tmp_path / "lists" / "dmamap", mails)
    assert [each.raw for each in read(archive)[0]] == mails
    (tmp_path / "lists" / "more.mbox").write_bytes(boxes[0].read_bytes())
    both, _ = read(tmp_path / "lists")
    assert [each.cursor.inbox for each in both] == ["dmamap"] * 12 + ["lists"] * 3
    assert [each.raw for each in both] == [*mails, *mails[:3]]


def test_they_say_when_they_were_written(root: Path) -> None:
    found, _ = read(root / "corpora" / "threads" / "dmamap-retry.mbox")
    assert [each.at for each in found] == ["2026-04-02T08:12:41Z", "2026-04-03T07:40:07Z"]


@pytest.mark.parametrize("date", [b"", b"Date: yesterday\n", b"Date: Thu, 02 Apr 99999 10:00:00 +0000\n"])
def test_no_time(date: bytes, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(
        b"From: a@example.org\nSubject: x\n" + date + b"\nDate: Thu, 02 Apr 2026 10:00:00\n"
    )
    ((arrival,), _) = read(tmp_path / "mail")
    assert arrival.at == UNDATED


def test_a_cursor_is_where_it_goes_on(root: Path, mails: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "threads"
    folder.mkdir()
    for path in (root / "corpora" / "threads").glob("*.mbox"):
        (folder / path.name).write_bytes(path.read_bytes())
    every, _ = read(folder)
    for at, arrival in enumerate(every):
        rest, _ = read(folder, (arrival.cursor,))
        assert [each.raw for each in rest] == mails[at + 1 :]
    # Where a file has changed, all of it comes again: nothing tells what lies before what any more.
    (folder / "aaa.mbox").write_bytes((folder / "dmamap-retry.mbox").read_bytes())
    assert len(read(folder, (every[-1].cursor,))[0]) == 14


def test_what_is_no_mail_is_told(tmp_path: Path) -> None:
    for name, content in {"README": b"words\n", "page": b"<html>", "empty": b"", "cut.gz": b"\x1f\x8b\x08\0"}.items():
        (tmp_path / "box" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "box" / name).write_bytes(content)
    (tmp_path / "box" / ".hidden").write_bytes(b"words")
    found, aside = read(tmp_path / "box")
    assert not found and sorted(aside) == ["box/README", "box/cut.gz", "box/empty", "box/page"]
    assert aside["box/page"] == "holds a web page or XML, not a mail"


def test_a_damaged_archive_is_told(mails: list[bytes], tmp_path: Path) -> None:
    archive = epochs(tmp_path / "list", mails)
    damage(archive / "git" / "1.git")
    with pytest.raises(LorelintError, match="damaged"):
        read(archive)


@pytest.mark.parametrize("place", ["nowhere", "https://lore.example.org/kvm"])
def test_no_such_place(place: str, tmp_path: Path) -> None:
    with pytest.raises(LorelintError) as error:
        feeds([place], tmp_path, lambda name, why: None)
    assert error.value.where == place and error.value.remedy


def test_two_of_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "kvm").mkdir(parents=True)
    found = feeds([str(tmp_path / name / "kvm") for name in ("one", "two")], tmp_path, lambda name, why: None)
    assert [each.inbox for each in found] == ["kvm", "kvm-2"]


def test_a_mailbox_of_any_size_is_read_by_lines(mails: list[bytes]) -> None:
    """No more is in memory than one mail, and of one that is too long only the beginning."""
    line = b"x" * 1023 + b"\n"

    def lines() -> Callable[[], bytes]:
        def box() -> object:
            for number in range(3):
                yield b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
                yield b"Subject: %d\n" % number
                yield b"\n"
                for _ in range(40_000 if number == 1 else 3):
                    yield line
                yield b"\n"

        return box  # type: ignore[return-value]

    found = [(mail.raw[:10], len(mail.raw)) for mail in split(lines()())]  # type: ignore[arg-type]
    assert [head for head, _ in found] == [b"Subject: 0", b"Subject: 1", b"Subject: 2"]
    assert found[0][1] == found[2][1] == 12 + 3 * 1024
    assert MAX_MAIL < found[1][1] < MAX_MAIL + 2 * 1024


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_lines_that_only_look_like_separators(ending: bytes) -> None:
    text = (
        b"From a@b Thu Jan  1 00:00:00 1970\nSubject: 1\n\nFrom here on 10:00:00 in 2026\nwords\n"
        b"From a@b Thu Jan  1 00:00:00 1970\nFrom a@b Thu Jan  1 00:00:00 1970\nX-Y: begins no mail\n\n"
        b"From a@b Thu Jan  1 00:00:00 1970\nTo: x\n\nend\nFrom a@b Thu Jan  1 00:00:00 1970\n"
    ).replace(b"\n", ending)
    first, second = [mail.raw for mail in split(io.BytesIO(text))]
    assert first.startswith(b"Subject: 1") and first.count(b"From ") == 3
    assert second.startswith(b"To: x") and second.count(b"From ") == 1
