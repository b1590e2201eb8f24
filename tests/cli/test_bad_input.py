"""Bad input gets one clear line (what, where, what to do) and exit code 2."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

MAIL = """\
From: Ida Example <ida@example.org>
To: list@lists.example.org
Subject: [PATCH] misc: nowhere: Change a file that is not there
Message-ID: <20261102-nowhere-1@example.org>
Date: Mon, 02 Nov 2026 10:00:00 +0000

A file that no tree has.

Signed-off-by: Ida Example <ida@example.org>
---
 drivers/misc/nowhere.c | 2 +-

diff --git a/drivers/misc/nowhere.c b/drivers/misc/nowhere.c
index 1111111111..2222222222 100644
--- a/drivers/misc/nowhere.c
+++ b/drivers/misc/nowhere.c
@@ -10,3 +10,3 @@ int nowhere_do(void)
 \tint err = 0;
-\terr = nowhere_one();
+\terr = nowhere_two();
 \treturn err;
--
2.49.0
"""
CHAT = """\
From: Ida Example <ida@example.org>
Subject: lunch
Message-ID: <lunch@example.org>
Date: Mon, 02 Nov 2026 10:00:00 +0000

Where do we go?
"""


def _one_line(done: Any, *said: str) -> None:
    assert done.code == 2, done
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if not line.startswith("lorelint: no tree")]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("lorelint: ") and lines[0].endswith(")"), "it ends with what to do"
    assert "Traceback" not in done.err
    for each in said:
        assert each in lines[0]


@pytest.fixture
def empty_archive() -> Iterator[str]:
    """An archive on the loopback that holds no message."""

    class None404(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None404)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/all/"
    server.shutdown()
    server.server_close()
    thread.join()


def _config(tmp_path: Path, url: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(f'[lore]\nurl = "{url}"\n', "utf-8")
    return path


def test_no_such_message(cli: Cli, tmp_path: Path, empty_archive: str) -> None:
    done = cli("review", "no-such@example.org", "--config", _config(tmp_path, empty_archive))
    _one_line(done, "no-such@example.org")


def test_lore_out_of_reach(cli: Cli, tmp_path: Path) -> None:
    done = cli("review", "no-such@example.org", "--config", _config(tmp_path, "http://127.0.0.1:9/all/"))
    _one_line(done, "http://127.0.0.1:9/all/", "cannot be reached")


def test_no_such_file(cli: Cli) -> None:
    _one_line(cli("review", "no-such.mbox"), "no-such.mbox")
    _one_line(cli("review", "no-such.patch", "nor-this.patch"), "no-such.patch")


def test_an_empty_name(cli: Cli, thread: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an unset variable leaves is not the folder one stands in."""
    monkeypatch.chdir(thread.parent)
    _one_line(cli("review", ""), "the name of a source is empty")
    _one_line(cli("review", thread, " "), "the name of a source is empty")


def test_a_file_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "binary.mbox"
    path.write_bytes(bytes(range(256)) * 40)
    _one_line(cli("review", path), "binary.mbox")
    path.write_bytes(b"")
    _one_line(cli("review", path), "binary.mbox")
    _one_line(cli("review", tmp_path / "here"), "here")


def test_a_mail_without_a_patch(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "lunch.eml"
    path.write_text(CHAT, "utf-8")
    _one_line(cli("review", path), "lunch.eml", "patch")


def test_what_is_no_kernel(cli: Cli, thread: Path, tmp_path: Path) -> None:
    _one_line(cli("review", thread, "--tree", tmp_path), str(tmp_path), "not a kernel tree")
    _one_line(cli("scan", "x.c", "--tree", tmp_path), str(tmp_path), "not a kernel tree")


def test_a_tree_that_is_not_there(cli: Cli, thread: Path, tmp_path: Path) -> None:
    _one_line(cli("review", thread, "--tree", tmp_path / "no"), "no")
    _one_line(cli("review", thread, "--tree", "linux-source-0.1"), "linux-source-0.1", "/usr/src")


def test_a_revision_that_is_not_there(cli: Cli, thread: Path, small: Path) -> None:
    _one_line(cli("review", thread, "--tree", small, "--base", "v6.12"), "v6.12")
    _one_line(cli("review", thread, "--base", "v6.12"), "--tree DIR")


def test_a_patch_that_applies_nowhere(cli: Cli, tmp_path: Path, small: Path) -> None:
    path = tmp_path / "nowhere.patch"
    path.write_text(MAIL, "utf-8")
    done = cli("review", path, "--tree", small)
    assert done.code == 2, "three lines in the middle of a function are no function"
    assert "fragments" in done.out and "applies to any tree" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


CORRUPT = MAIL.replace("@@ -10,3 +10,3 @@", "@@ -10,x +10,3 @@")
UNSAFE = MAIL.replace("drivers/misc/nowhere.c", "../../etc/nowhere.c")


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        pytest.param(CORRUPT, "no change of a C file in it can be read", id="corrupt"),
        pytest.param(
            CORRUPT.replace("misc/nowhere", "misc/dmamap/dmamap"), "no change of a C file", id="corrupt-in-the-tree"
        ),
        pytest.param(UNSAFE, "every file it names lies outside a source tree", id="unsafe"),
        pytest.param(
            UNSAFE + CORRUPT[CORRUPT.index("diff --git") :], "no change of a C file in it can be read", id="both"
        ),
    ],
)
def test_a_patch_of_which_nothing_can_be_looked_at(cli: Cli, tmp_path: Path, small: Path, mail: str, said: str) -> None:
    """The report is printed, with what it says of the mail; the last line says why the job could not be done."""
    path = tmp_path / "damaged.patch"
    path.write_text(mail, "utf-8")
    done = cli("review", path, "--tree", small)
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith("lorelint: ") and "damaged.patch" in last and said in last and last.endswith(")")
    assert "0 functions" in done.out


def test_a_damaged_patch_to_a_document_leaves_no_job_undone(cli: Cli, tmp_path: Path, small: Path) -> None:
    path = tmp_path / "document.patch"
    path.write_text(CORRUPT.replace("nowhere.c", "nowhere.rst"), "utf-8")
    assert cli("review", path, "--tree", small).code == 0


def test_a_rule_that_is_not_there(cli: Cli, thread: Path, small: Path) -> None:
    _one_line(cli("review", thread, "--tree", small, "--rule", "unbounded-rety"), "unbounded-rety", "unbounded-retry")
    _one_line(cli("explain", "unbounded-rety"), "unbounded-retry")


def test_nothing_that_can_be_read_to_scan(cli: Cli, tmp_path: Path) -> None:
    lone = tmp_path / "x.c"
    lone.write_text("@@@@ {{{ no C at all\n")
    done = cli("scan", lone)
    assert done.code == 2
    assert done.err == "lorelint: nothing could be looked at: x.c: no function could be read in it\n"


def test_nothing_to_scan(cli: Cli, small: Path, tmp_path: Path) -> None:
    _one_line(cli("scan", "no-such.c"), "no-such.c")
    _one_line(cli("scan", "no/such/folder", "--tree", small), "no/such/folder")
    _one_line(cli("scan", "Makefile", "--tree", small), "lorelint: small: Makefile: not a C file (")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x", "utf-8")
    _one_line(cli("scan", tmp_path / "empty"), "lorelint: empty: no such file or folder, or no C file in it (")
    _one_line(cli("scan", tmp_path / "notes.txt"), "lorelint: notes.txt: not a C file (")


def test_nowhere_to_look(cli: Cli) -> None:
    _one_line(cli("why-not", "unbounded-retry", "f"), "--tree DIR")


def test_labels_and_overlays(cli: Cli, small: Path, tmp_path: Path) -> None:
    _one_line(cli("measure", "--labels", "none.jsonl", "--tree", f"a={small}"), "none.jsonl")
    labels = tmp_path / "labels.jsonl"
    labels.write_text("{", "utf-8")
    _one_line(cli("measure", "--labels", labels, "--tree", f"a={small}"), "labels")
    labels.write_text("", "utf-8")
    _one_line(cli("measure", "--labels", labels, "--tree", f"a={small}", "--overlays", tmp_path / "no"), "no")


def test_settings_with_a_slip(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('\ntrees = "x"\n', "utf-8")
    _one_line(cli("rules", "--config", path), "settings.toml:2", "'trees'")
    _one_line(cli("rules", "--config", tmp_path / "none.toml"), "none.toml")
    path.write_text('packs = ["nobody"]\n', "utf-8")
    _one_line(cli("rules", "--config", path), "nobody")


@pytest.mark.parametrize(
    "arguments", [("review",), ("frob",), ("review", "x", "--bogus"), ("rules", "--color", "blue")]
)
def test_what_is_typed_wrong(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err and "Error: " in done.err


def test_there_is_no_patch_before_the_first(cli: Cli, thread: Path, small: Path) -> None:
    done = cli("why-not", "unbounded-retry", "dmamap_get_page", "--tree", small, "--review", thread, "--patch", "0")
    assert done.code == 2 and done.out == "" and "--patch" in done.err


def test_hostile_names_are_shown_not_obeyed(cli: Cli) -> None:
    done = cli("review", "x\x1b[31m\n\u202ey")
    assert done.code == 2
    assert "\x1b" not in done.err and "\u202e" not in done.err and done.err.count("\n") == 1


def test_graph_of_nothing(cli: Cli, small: Path) -> None:
    _one_line(cli("graph", "--tree", small), "name a function or an API family")
    _one_line(cli("graph", "f", "--api", "gup", "--tree", small), "name a function or an API family")
    _one_line(cli("graph", "follow_pfnmap_start"), "no tree to look in", "--tree DIR")


@pytest.mark.parametrize("command", [("graph",), ("siblings",), ("path", "dmamap_ioctl")])
def test_no_such_function(command: tuple[str, ...], cli: Cli, small: Path) -> None:
    _one_line(cli(*command, "dmamap_resolve_pfm", "--tree", small), "no such function", "dmamap_resolve_pfn")
    done = cli(*command, "drivers/misc/nowhere.c:dmamap_get_page", "--tree", small)
    _one_line(done, "drivers/misc/nowhere.c", "drivers/misc/dmamap/dmamap.c")
    # a slip of the hand, in a name that no path is like
    _one_line(cli(*command, "folow_pfnmap_start", "--tree", small), "no such function")
    _one_line(cli(*command, "follow_pfnmap_satrt", "--tree", small), "no such function", "follow_pfnmap_start")
    _one_line(cli(*command, "ppin_user_pages", "--tree", small), "no such function", "pin_user_pages")
    _one_line(cli(*command, "\u202e\n", "--tree", small), "no such function")
    _one_line(cli(*command, "", "--tree", small), "no such function")


def test_no_such_api_or_entry(cli: Cli, small: Path) -> None:
    _one_line(cli("graph", "--api", "gop", "--tree", small), "gop", "gup", "dmabuf")
    _one_line(cli("graph", "--api", "gup", "--entry", "ioktl", "--tree", small), "ioktl", "ioctl", "work")


def test_a_picture_that_cannot_be_written(cli: Cli, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "a.dot"
    _one_line(cli("graph", "dmamap_ioctl", "--tree", small, "--format", "dot", "-o", out), "nowhere/a.dot")


def test_no_program_to_lay_out(cli: Cli, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _one_line(cli("graph", "dmamap_ioctl", "--tree", small, "--format", "svg"), "dot", "graphviz", "--format dot")
