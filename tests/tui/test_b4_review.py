"""Findings of the store in the real `b4 review` (0.16): on a branch that b4 made, read by its readers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.seat import Seat, outpost

from lorelint.edge.b4.reviewing import ReviewBranches
from lorelint.model.errors import LorelintError
from lorelint.model.store import State
from lorelint.report.annotated import Remark, annotated

# What b4 does when a series is taken into review, and when its branch is opened: its own functions, in a process whose
# folder is the checkout, as b4 wants it.
START = """
import argparse, mailbox, sys
import b4, b4.review
b4.setup_config(argparse.Namespace(config={"b4.attestation-policy": "off"}), topdir=".")
b4.can_network = False
box = b4.LoreMailbox()
for mail in b4.mailsplit_bytes(open(sys.argv[1], "rb").read()):
    box.add_message(mail)
series = box.get_series(codereview_trailers=False)
mails = series.get_am_ready(noaddtrailers=True)
raw = b"".join(b"From git@z Thu Jan  1 00:00:00 1970\\n" + b4.LoreMessage.get_msg_as_bytes(m) + b"\\n" for m in mails)
b4.git_fetch_am_into_repo(".", raw, at_base="HEAD", origin="x")
b4.review.create_review_branch(".", "b4/review/" + sys.argv[2], "HEAD", series, "", "https://lore.example/%s")
"""
OPEN = """
import argparse, json, sys
import b4, b4.review
from b4.review import _review
b4.setup_config(argparse.Namespace(config={"b4.attestation-policy": "off"}), topdir=".")
b4.can_network = False
session = _review._prepare_review_session(argparse.Namespace(branch=sys.argv[1]))
print(json.dumps({"series": session["series"], "patches": session["patches"], "commits": session["commit_shas"]}))
"""


class Checkout:
    """A git checkout of the small tree, in which b4 reviews threads."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.root = root
        self.folder = folder / "linux"
        shutil.copytree(root / "corpora" / "trees" / "small", self.folder)
        home = folder / "home"
        home.mkdir()
        self.environment = {
            **os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ida", "GIT_AUTHOR_EMAIL": "ida@example.org",
            "GIT_COMMITTER_NAME": "Ida", "GIT_COMMITTER_EMAIL": "ida@example.org",
        }  # fmt: skip
        for name in ("XDG_CONFIG_HOME", "LORELINT_CONFIG"):
            self.environment.pop(name, None)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ida")
        self.git("config", "user.email", "ida@example.org")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "small")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def b4(self, script: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, thread: str) -> None:
        self.b4(START, self.root / "corpora" / "threads" / f"{thread}.mbox", thread)
        self.git("checkout", "-q", "main")

    def open(self, thread: str) -> dict[str, Any]:
        """What b4 has of a series when its branch is opened."""
        opened: dict[str, Any] = json.loads(self.b4(OPEN, f"b4/review/{thread}").splitlines()[-1])
        return opened

    def line(self, commit: str, path: str, number: int) -> str:
        return self.git("show", f"{commit}:{path}").split("\n")[number - 1]


@pytest.fixture
def checkout(tmp_path: Path, root: Path, program: Callable[[str], str]) -> Checkout:
    program("git")
    return Checkout(tmp_path, root)


@pytest.fixture
def place(seat: Seat, checkout: Checkout, tmp_path: Path, root: Path) -> Iterator[Seat]:
    """The seat, standing in the checkout."""
    seat.outpost.close()
    seat.outpost = outpost(tmp_path, root / "corpora" / "trees" / "small", cwd=checkout.folder)
    yield seat


def test_remarks_stand_on_their_lines(place: Seat, checkout: Checkout) -> None:
    checkout.start("dmamap-retry")
    assert place.outpost.annotate() == (
        ("b4/review/dmamap-retry", "findings in 1 patch: b4 shows them when the branch is opened next"),
    )
    opened = checkout.open("dmamap-retry")
    review = opened["patches"][0]["reviews"]["bot@bot.example.org"]
    with place.outpost.store.look() as session:
        (series,) = [row for row in session.series.recent() if "dmamap" in row.subject]
        rows = session.findings.of_series(series.id)
    shown = {(each["path"], each["line"]): each for each in review["comments"]}
    inside = [row for row in rows if (f"b/{row.path}", row.line) in shown]
    assert inside and len(shown) == len({(row.path, row.line) for row in inside})
    for row in inside:
        remark = shown[f"b/{row.path}", row.line]
        assert f"{row.rule}: " in remark["text"] and row.message in remark["text"]
        assert remark["content"][1:] == checkout.line(opened["commits"][0], row.path, row.line)
    for row in rows:
        if row not in inside:  # the loop, which the diff does not show
            assert f"{row.path}:{row.line}:" in review["note"]
    assert review["note"].startswith("lorelint: 3 findings: ") and review["name"] == "lorelint"
    assert opened["series"]["reviews"]["bot@bot.example.org"]["note"].startswith("lorelint: 1 patch with findings")


def test_what_b4_has_is_not_told_again(place: Seat, checkout: Checkout) -> None:
    checkout.start("dmamap-retry")
    place.outpost.annotate()
    checkout.open("dmamap-retry")
    ((_, what),) = place.outpost.annotate()
    assert what == "b4 has taken findings in already"
    before = checkout.open("dmamap-retry")["patches"][0]["reviews"]["bot@bot.example.org"]
    assert len(before["comments"]) == len({(each["path"], each["line"], each["text"]) for each in before["comments"]})


def test_a_finding_in_a_file_that_no_patch_touches(place: Seat, checkout: Checkout) -> None:
    """It is told in the note of the patch that makes it so: 2/2, while 1/2 says nothing."""
    checkout.start("aperture-mmap")
    place.outpost.annotate()
    opened = checkout.open("aperture-mmap")
    assert "reviews" not in opened["patches"][0]
    review = opened["patches"][1]["reviews"]["bot@bot.example.org"]
    assert "comments" not in review and "drivers/misc/aperture/reset.c:13:" in review["note"]


def test_what_was_dismissed_is_not_told(place: Seat, checkout: Checkout) -> None:
    checkout.start("dmamap-retry")
    with place.outpost.store.begin() as session:
        for row in session.series.recent():
            for finding in session.findings.of_series(row.id):
                session.findings.change(finding.id, State.FALSE, who="ida", at="2026-04-21T10:00:00Z", reason="no")
    assert [what for _, what in place.outpost.annotate()] == ["nothing to tell of"]
    assert not (checkout.folder / ".git" / "b4-review").exists()


def test_the_command(place: Seat, checkout: Checkout, root: Path, tmp_path: Path) -> None:
    checkout.start("dmamap-retry")
    checkout.git("branch", "b4/review/other")  # no tracking commit at its tip
    environment = {
        **checkout.environment,
        "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
        "LORELINT_CONFIG": str(tmp_path / "config.toml"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    command = [sys.executable, "-m", "lorelint", "triage", "--b4-review"]
    done = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("b4/review/dmamap-retry: findings in 1 patch"), done.stderr
    assert done.stdout.count("\n") == 1
    (folder,) = (checkout.folder / ".git" / "b4-review").iterdir()
    assert folder.name == checkout.git("rev-parse", "b4/review/dmamap-retry").strip()
    assert sorted(each.name for each in folder.iterdir()) == ["0001.txt", "identity.txt", "series.txt"]
    elsewhere = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert elsewhere.returncode == 2 and "is no git checkout" in elsewhere.stderr


def test_a_linked_work_tree_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    checkout.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    with pytest.raises(LorelintError, match="linked work tree"):
        ReviewBranches(tmp_path / "linked")


HOSTILE = """diff --git a/x.c b/x.c
index 1111111..2222222 100644
--- a/x.c
+++ b/x.c
@@ -1,3 +1,5 @@
 one
-two
+two\x0c
+++ b/y.c
+\u202efour
 five
"""


def test_lines_are_counted_as_b4_counts_them() -> None:
    """A form feed ends no line, a line of the file that looks like a header is none, and no remark looks quoted."""
    from b4.review import _review

    remarks = [Remark("x.c", number, f"line {number}\n> quoted\n[ ... ]\nend") for number in range(1, 6)]
    text = annotated(HOSTILE, [*remarks, Remark("x.c", 99, "far away")], "a note\n> diff --git a/z b/z")
    found = _review._extract_comments_from_quoted_reply(text[text.index("\n> diff --git a/x.c") + 1 :])
    assert [(each["line"], each["text"].split("\n")[0]) for each in found if each["path"].endswith("x.c")] == [
        (number, f"line {number}") for number in (1, 2, 3, 4, 5)
    ]
    assert all(each["text"].endswith("end") for each in found)
    assert "\n x.c:99:\n" not in text and "x.c:99:\nfar away" in text.partition("\n> diff")[0]
