"""Mails out of files of every form."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.edge import mailbox
from lorelint.edge.mailbox import gunzip, read_bytes, read_path, read_paths, read_stream
from lorelint.model.errors import LorelintError

MAIL = b"From: A <a@x>\nSubject: s\nMessage-ID: <1@x>\n\nbody\n"
OTHER = b"Subject: t\nFrom: B <b@x>\n\nbody\n\n>From here on\n>>From there\n"
LINE = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
GIT_LINE = b"From 1f97d9dcf53649c41c33227b345a36902cbb08ad Mon Sep 17 00:00:00 2001\n"
DIFF = b"diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"


def raws(content: bytes) -> list[bytes]:
    return [mail.raw for mail in read_bytes(content, "f").mails]


def test_mbox() -> None:
    assert raws(LINE + MAIL + b"\n" + LINE + OTHER) == [
        MAIL,
        b"Subject: t\nFrom: B <b@x>\n\nbody\n\nFrom here on\n>From there\n",
    ]


def test_one_mail_keeps_its_text() -> None:
    assert raws(OTHER) == [OTHER]


def test_separators_need_a_time_and_a_header() -> None:
    body = MAIL + b"\nFrom now on it is 2020\n\nFrom a@x Thu Jan  1 00:00:00 1970\nno header here\n"
    assert len(raws(LINE + body)) == 1


def test_separator_without_a_blank_line() -> None:
    assert raws(LINE + MAIL + LINE + MAIL) == [MAIL, MAIL]


@pytest.mark.parametrize(
    "line", [LINE, b"From a@x Fri Aug  8 22:24:03 2008\n", b"From - Fri Aug  8 22:24:03 2008 +0200\n"]
)
def test_forms_of_separators(line: bytes) -> None:
    assert raws(line + MAIL + b"\n" + line + MAIL) == [MAIL, MAIL]


def test_format_patch() -> None:
    escaped = MAIL + b">From a quotation\n"
    (mail,) = read_bytes(GIT_LINE + escaped, "f").mails
    assert mail.local
    assert mail.raw == escaped
    assert not read_bytes(LINE + MAIL, "f").mails[0].local


def test_bare_diff() -> None:
    box = read_bytes(b"some words\n\n" + DIFF, "f")
    assert [mail.local for mail in box.mails] == [True]
    assert box.mails[0].raw.endswith(DIFF)
    assert [trouble.kind for trouble in box.troubles] == ["no-header"]


def test_leading_blank_lines_and_byte_order_mark() -> None:
    assert raws(b"\n \n" + LINE + MAIL) == [MAIL]
    assert raws(b"\xef\xbb\xbf" + MAIL) == [MAIL]


def test_crlf_mailbox() -> None:
    content = (LINE + MAIL + b"\n" + LINE + MAIL).replace(b"\n", b"\r\n")
    assert len(raws(content)) == 2


def test_gzip_of_one_or_more_members() -> None:
    packed = gzip.compress(LINE + MAIL + b"\n") + gzip.compress(LINE + MAIL)
    assert raws(packed) == [MAIL, MAIL]


def test_gzip_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_BYTES", 1000)
    with pytest.raises(LorelintError, match="too much"):
        gunzip(gzip.compress(b"x" * 10_000), "f")


@pytest.mark.parametrize("content", [gzip.compress(MAIL, mtime=0)[:-9], b"\x1f\x8bjunk"])
def test_broken_gzip(content: bytes) -> None:
    with pytest.raises(LorelintError, match="gzip"):
        read_bytes(content, "f")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds nothing"),
        (b" \n\n", "holds nothing"),
        (b"just some words\nand more\n", "neither a mail nor a diff"),
        (b"note: this is no mail\n\nbut has a colon\n", "neither a mail nor a diff"),
        (b"<!DOCTYPE html>\n<p>" + DIFF, "a web page"),
        (b"\0\1\2" * 50 + DIFF, "neither a mail nor a diff"),
        (b'{"body": "diff --git a/x b/x"}', "neither a mail nor a diff"),
    ],
)
def test_what_is_no_mail(content: bytes, reason: str) -> None:
    with pytest.raises(LorelintError, match=reason) as caught:
        read_bytes(content, "some file")
    assert caught.value.where == "some file"
    assert caught.value.remedy


def test_maildir(tmp_path: Path) -> None:
    for folder, name, content in [("new", "2", OTHER), ("cur", "1:2,S", MAIL), ("tmp", "0", b"From: half\n\n")]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(content)
    assert [mail.raw for mail in read_path(tmp_path).mails] == [MAIL, OTHER]


def test_directory_of_patches(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"{number:04}-x.patch").write_bytes(GIT_LINE + MAIL + b"%d\n" % number)
    (tmp_path / "notes.txt").write_text("not a mail")
    box = read_path(tmp_path)
    assert [mail.raw[len(MAIL) :] for mail in box.mails] == [b"1\n", b"2\n", b"10\n"]
    assert [(trouble.kind, trouble.where) for trouble in box.troubles] == [("unreadable", "notes.txt")]


def test_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match="no mail and no patch"):
        read_path(tmp_path)


def test_several_files_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(MAIL)
    (tmp_path / "a").write_bytes(OTHER)
    assert [mail.raw for mail in read_paths([tmp_path / "b", tmp_path / "a"]).mails] == [MAIL, OTHER]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match="no such file"):
        read_path(tmp_path / "nowhere")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(LorelintError, match="cannot be read"):
        read_path(loop)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_MAILS", 2)
    with pytest.raises(LorelintError, match="3 mails"):
        read_bytes((LINE + MAIL) * 3, "f")
    monkeypatch.setattr(mailbox, "MAX_MAIL", len(MAIL))
    box = read_bytes(LINE + MAIL + b"\n" + LINE + MAIL + b"more\n", "f")
    assert [mail.raw for mail in box.mails] == [MAIL]
    assert [trouble.kind for trouble in box.troubles] == ["too-large"]
    monkeypatch.setattr(mailbox, "MAX_BYTES", 10)
    with pytest.raises(LorelintError, match="too much"):
        read_stream(io.BytesIO(MAIL), "f")


@given(
    st.lists(
        st.sampled_from([LINE, MAIL, OTHER, DIFF, GIT_LINE, b"\n", b"From \n", b"From: ", b"\x1f\x8b", b">From x\n"])
    )
)
def test_a_mailbox_or_an_error(chunks: list[bytes]) -> None:
    try:
        box = read_bytes(b"".join(chunks), "f")
    except LorelintError as error:
        assert error.where == "f" and error.remedy
    else:
        assert box.mails


def test_samples_of_git_mailsplit(shared: Path) -> None:
    """The mailbox git tests git-mailsplit(1) with holds as many mails as git says."""
    folder = shared / "corpora" / "mail" / "git" / "t5100"
    expected = [path for path in folder.iterdir() if path.name.startswith("info0") and "--" not in path.name]
    assert len(read_path(folder / "sample.mbox").mails) == len(expected) == 18


def test_mboxrd_of_git(shared: Path) -> None:
    """What git unescapes in its mboxrd sample, we unescape."""
    folder = shared / "corpora" / "mail" / "git" / "t5100"
    mails = read_path(folder / "sample.mboxrd").mails
    assert len(mails) == 2
    for mail, name in zip(mails, ("0001mboxrd", "0002mboxrd"), strict=True):
        assert (folder / name).read_bytes().strip() in mail.raw
