"""Whatever a user names becomes threads."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge.lore import LoreArchive
from lorelint.edge.thread import open_files, open_thread
from lorelint.mail.choose import reviewable
from lorelint.model.errors import LorelintError

DIFF = "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"
GIT = "From 1f97d9dcf53649c41c33227b345a36902cbb08ad Mon Sep 17 00:00:00 2001\n"
SEED = "20260226202211.929005-4-mattev@meta.com"
REPLY = "Re: what is said of it"


def patch(number: int, of: int) -> bytes:
    subject = f"[PATCH {number}/{of}] step {number}" if of > 1 else "[PATCH] step"
    date = f"Thu, 1 Jan 2026 00:00:0{number} +0000"
    return f"{GIT}From: A <a@x>\nDate: {date}\nSubject: {subject}\n\nWhy.\n---\n{DIFF}".encode()


def piped(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


class NoArchive:
    """The port, where asking would be wrong."""

    def thread(self, source: str) -> tuple[bytes, ...]:
        raise AssertionError(f"asked for {source}")


@pytest.mark.needs_shared
def test_a_message_id_and_an_address(lore_url: str) -> None:
    archive = LoreArchive(lore_url)
    for source in (SEED, f"<{SEED}>", f"{lore_url}{SEED}/"):
        (thread,) = open_thread(source, lore=archive)
        assert thread.source == source
        assert len(thread.messages) == 23
        assert [len(series.patches) for series in thread.series] == [7]


@pytest.mark.needs_shared
def test_file_and_archive_give_the_same(lore_url: str, shared: Path) -> None:
    """The archive's copy has the same series, patches and diffs as the mailbox it was made of."""
    path = shared / "corpora" / "seeds" / "003-vfio-pci-mmap-dmabuf-rfc.mbox"
    (from_file,) = open_thread(str(path))
    (fetched,) = open_thread(SEED, lore=LoreArchive(lore_url))
    assert [message.msgid for message in fetched.messages] == [message.msgid for message in from_file.messages]
    assert fetched.series == from_file.series


@pytest.mark.needs_shared
def test_one_piped_mail_brings_its_thread(lore_url: str, shared: Path) -> None:
    path = shared / "corpora" / "seeds" / "003-vfio-pci-mmap-dmabuf-rfc.mbox"
    (whole,) = open_thread(str(path))
    for message in (whole.messages[0], whole.messages[-1]):
        (thread,) = open_thread("-", piped(message.raw), LoreArchive(lore_url))
        assert len(thread.messages) == 23
        assert thread.series == whole.series


@pytest.mark.needs_shared
def test_a_piped_mailbox_is_not_looked_up(shared: Path) -> None:
    content = (shared / "corpora" / "seeds" / "002-vfio-type1-retry-follow-pfnmap.mbox").read_bytes()
    (thread,) = open_thread("-", piped(content), NoArchive())
    assert len(thread.messages) == 6


def test_piped_patches_are_not_looked_up() -> None:
    for content in (
        patch(1, 1),
        DIFF.encode(),
        patch(1, 2) + b"\n" + patch(2, 2),
        b"Subject: [PATCH] x\n\n" + DIFF.encode(),
    ):
        (thread,) = open_thread("-", piped(content), NoArchive())
        assert len(thread.series) == 1


@pytest.mark.needs_shared
def test_a_piped_mail_the_archive_does_not_have(lore_url: str) -> None:
    mail = f"From: A <a@x>\nSubject: [PATCH] x\nMessage-ID: <mine@x>\n\n{DIFF}".encode()
    (thread,) = open_thread("-", piped(mail), LoreArchive(lore_url))
    assert [patch.msgid for patch in thread.series[-1].patches] == ["mine@x"]
    assert "alone" in [trouble.kind for trouble in thread.troubles]
    answer = b"From: A <a@x>\nSubject: Re: x\nMessage-ID: <other@x>\n\nYes.\n"
    with pytest.raises(LorelintError, match="no such message"):
        open_thread("-", piped(answer), LoreArchive(lore_url))


def test_a_piped_mail_without_an_archive() -> None:
    mail = f"From: A <a@x>\nSubject: [PATCH] x\nMessage-ID: <mine@x>\n\n{DIFF}".encode()
    assert len(open_thread("-", piped(mail))[0].series) == 1


def test_patch_files_and_folders(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:04}-step.patch" for number in (1, 2)]
    for number, path in enumerate(paths, 1):
        path.write_bytes(patch(number, 2))
    for threads in (open_files(paths), open_thread(str(tmp_path))):
        (thread,) = threads
        ((_, series),) = reviewable(threads)
        assert [each.subject for each in series.patches] == ["step 1", "step 2"]
        assert series.complete and not thread.troubles
    (thread,) = open_thread(str(paths[0]))
    assert thread.series[0].troubles[0].kind == "incomplete-series"


def test_a_bare_diff(tmp_path: Path) -> None:
    (tmp_path / "x.diff").write_text(DIFF)
    (thread,) = open_thread(str(tmp_path / "x.diff"))
    assert [trouble.kind for trouble in thread.troubles] == ["no-header"]
    assert thread.series[0].patches[0].diffs[0].path == "x.c"
    assert DIFF in thread.series[0].patches[0].body


def test_a_file_wins_over_a_message_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a@x").write_bytes(patch(1, 1))
    assert len(open_thread("a@x", lore=NoArchive())[0].series) == 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("no/such/file", "no such file"),
        ("", "no such file|no mail"),
        ("\0", "no such file"),
        ("x" * 5000, "no such file"),
        ("https://x.invalid/list/", "names no message"),
        ("a@x", "no archive"),
        ("https://x.invalid/list/a@x/", "no archive"),
        ("-", "standard input"),
    ],
)
def test_what_cannot_be_opened(source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LorelintError, match=reason) as caught:
        open_thread(source)
    assert caught.value.remedy
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_empty_input() -> None:
    with pytest.raises(LorelintError, match="standard input: holds nothing"):
        open_thread("-", piped(b""), NoArchive())


@pytest.mark.needs_shared
def test_gzipped_and_maildir(shared: Path, tmp_path: Path) -> None:
    import gzip

    path = shared / "corpora" / "seeds" / "000-iommufd-check-vm-pfnmap.mbox"
    (plain,) = open_thread(str(path))
    (tmp_path / "thread").write_bytes(gzip.compress(path.read_bytes()))
    (packed,) = open_thread(str(tmp_path / "thread"))
    assert packed.series == plain.series
    folder = tmp_path / "Maildir" / "cur"
    folder.mkdir(parents=True)
    for at, message in enumerate(plain.messages):
        (folder / f"{at}:2,S").write_bytes(message.raw)
    (boxed,) = open_thread(str(folder.parent))
    assert boxed.series == plain.series
    shutil.rmtree(folder)


def git(folder: Path, program: str, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run([program, "-C", str(folder), *identity, *arguments], capture_output=True, check=True)
    return done.stdout.decode()


def test_what_git_format_patch_writes(tmp_path: Path, program: Callable[[str], str]) -> None:
    """All kinds of changes, names that git quotes, with a cover letter and a base: as git tells them itself."""
    tree, out, call = tmp_path / "tree", tmp_path / "out", program("git")
    tree.mkdir()
    git(tree, call, "init", "-q")
    lines = "".join(f"\tline {at};\n" for at in range(40))
    (tree / "a b.c").write_text(lines)
    (tree / "moved.c").write_text(lines + "end\n")
    (tree / "gone.c").write_text("gone\n")
    (tree / "bin").write_bytes(b"\0\1")
    (tree / "run.sh").write_text("x")
    git(tree, call, "add", ".")
    git(tree, call, "commit", "-qm", "base")
    (tree / "a b.c").write_text(lines.replace("line 3;", "line three;").replace("line 30;", "\n\f\u2028;"))
    (tree / "moved.c").rename(tree / 't\u00e4 ".c')
    (tree / "gone.c").unlink()
    (tree / "bin").write_bytes(b"\0\2")
    (tree / "run.sh").chmod(0o755)
    (tree / "new.c").write_text("no newline")
    git(tree, call, "add", ".")
    git(tree, call, "commit", "-qm", "first\n\nFrom the start.\n\n-- \nnot a signature")
    (tree / "new.c").write_text("newline\n")
    git(tree, call, "commit", "-qam", "second")
    git(tree, call, "format-patch", "-q", "--cover-letter", "--base=HEAD~2", "-o", str(out), "HEAD~2")
    (thread,) = open_thread(str(out))
    ((_, series),) = reviewable([thread])
    assert series.complete and series.cover is not None and len(series.patches) == 2
    assert series.hint.base_commit == git(tree, call, "rev-parse", "HEAD~2").strip()
    first, second = series.patches
    assert first.message == "From the start.\n\n--\nnot a signature"
    assert {(file.change.value, file.old_path, file.new_path) for file in first.diffs} == {
        ("modify", "a b.c", "a b.c"),
        ("rename", "moved.c", 't\u00e4 ".c'),
        ("binary", "bin", "bin"),
        ("delete", "gone.c", ""),
        ("create", "", "new.c"),
        ("mode", "run.sh", "run.sh"),
    }
    assert (second.diffs[0].hunks[0].no_newline_old, second.diffs[0].hunks[0].no_newline_new) == (True, False)
    counted = [
        [
            sum(line.op == "+" for _, line in file.lines()),
            sum(line.op == "-" for _, line in file.lines()),
        ]
        for file in first.diffs
        if file.hunks
    ]
    rows = [row.split("\t")[:2] for row in git(tree, call, "show", "--numstat", "--format=", "HEAD~1").splitlines()]
    assert counted == [[int(added), int(gone)] for added, gone in rows if added != "-" and (added, gone) != ("0", "0")]
