"""What became of concerns that people raised: on our own thread, and on those of the seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.edge.patch import GnuPatch
from lorelint.edge.thread import open_thread
from lorelint.edge.trees import open_tree
from lorelint.jobs.measure.concerns import Base, measure_concerns, read_stated
from lorelint.model.errors import LorelintError
from lorelint.model.stated import Hearing, Near
from lorelint.report.concerns import render, to_json
from lorelint.rule.packs import load

BOX = "dmamap-answered.mbox"
PATCH = "20260402-dmamap-zap-again-v1-1-90c1b27dd4a5@example.org"
SOURCE = "drivers/misc/dmamap/dmamap.c"


def label(name: str, msgid: str, concern: str, line: str | None, function: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "thread": BOX,
        "patch": PATCH,
        "file": SOURCE if function else None,
        "function": function,
        "diff_line": line,
        "concern": concern,
        "kind": "correctness",
        "raised_by_message_id": msgid,
        "raised_by": "",
        **more,
    }


ODILE, INES, JORGE = (
    "20260403094007.51d2@example.org",
    "20260404081530.GB771@example.org",
    "20260405171200.44f1@example.org",
)
RETURN = "+\t\t\treturn -EAGAIN;"
LABELS = [
    label("loop", ODILE, "The caller will loop forever with mmap_lock held", RETURN, "dmamap_resolve_pfn"),
    label("board", ODILE, "which board has this been seen on", None, None),
    label("kill", INES, "does SIGKILL get through", " \t\terr = follow_pfnmap_start(&walk);", "dmamap_resolve_pfn"),
    label("test", JORGE, "put the test into tools/testing", None, None, kind="testing"),
    label("gone", "nobody@example.org", "something nobody wrote", RETURN, "dmamap_resolve_pfn"),
    label("later", ODILE, "the caller will loop forever", RETURN, "dmamap_resolve_pfn"),
    label("untold", ODILE, "the caller will loop forever", RETURN, "dmamap_resolve_pfn"),
    label("silent", ODILE, "the caller will loop forever", RETURN, "dmamap_resolve_pfn"),
]
CATALOGUE = """
loop = { needs = "F", rules = ["unbounded-retry"], siblings = ["winview_peek"] }
board = { needs = "-", note = "a question" }
kill = { needs = "C", rules = ["retry-no-fatal-signal"] }
later = { needs = "T", rules = ["some-rule-to-come"] }
silent = { needs = "P", rules = ["single-vma-check"] }
untold = { needs = "P", rules = ["unbounded-retry"], tells = ["something it does not say"] }
gone = { needs = "F" }
"""


@pytest.fixture(scope="module")
def hearing(root: Path) -> Hearing:
    stated = read_stated(json.dumps({"labels": LABELS}), CATALOGUE)
    tree = root / "corpora" / "trees" / "small"
    return measure_concerns(
        stated,
        lambda name: open_thread(str(root / "corpora" / "threads" / name))[0],
        lambda name: [Base("none", lambda: None), Base("small", lambda: open_tree(str(tree)))],
        load(),
        patcher=GnuPatch(),
    )


def test_each_concern_is_looked_up(hearing: Hearing) -> None:
    (put,) = hearing.bases
    assert (put.tree, put.grade) == ("small", "exact") and put.findings >= 3
    heard = {each.stated.id: each for each in hearing.heard}
    assert heard["loop"].found == "unbounded-retry in dmamap_get_page() (new)"
    assert heard["loop"].near is Near.LINE and heard["loop"].raised == ("unbounded-retry",)
    assert heard["kill"].found.startswith("retry-no-fatal-signal") and heard["kill"].near is Near.HUNK
    assert heard["board"].why == "no static rule: a question" and heard["board"].near is Near.LINE
    assert heard["test"].why == "not judged against the catalogue (testing)"
    assert heard["gone"].near is Near.UNREAD and heard["gone"].why.startswith("no rule of the catalogue")
    assert heard["later"].why == "no such rule yet: some-rule-to-come"
    assert heard["untold"].why == "the rule did not speak of its place"
    assert heard["silent"].why and not heard["silent"].found


def test_how_it_is_told(hearing: Hearing) -> None:
    document = to_json(hearing)
    assert document["total"] == {
        "concerns": 8,
        "visible": 6,
        "with_rule": 5,
        "found": 2,
        "not_found": {
            "no such rule yet": 1,
            "the rule did not speak of its place": 2,
        },
        "found_and_linked": 2,
        "found_and_surely_linked": 2,
        "anchored": {"line": 6, "hunk": 1, "file": 0, "patch": 0, "other": 0, "unread": 1},
    }
    text = render(hearing)
    assert "8 concerns: 6 visible to a static rule, 5 of them to one of the catalogue; found 2" in text
    assert "dmamap-answered.mbox: small, exact" in text
    assert all(each["id"] in text for each in LABELS)


@pytest.mark.parametrize(
    ("labels", "catalogue"),
    [
        ("{}", ""),
        ("[]", ""),
        ("{", ""),
        ('{"labels": [{"id": "x"}]}', ""),
        (json.dumps({"labels": LABELS}), 'loop = { needs = "X" }'),
        (json.dumps({"labels": LABELS}), "loop = 1"),
        (json.dumps({"labels": LABELS}), "loop ="),
    ],
)
def test_labels_that_are_none(labels: str, catalogue: str) -> None:
    with pytest.raises(LorelintError, match="no labelled concerns"):
        read_stated(labels, catalogue)


@pytest.mark.needs_shared
def test_the_catalogue_speaks_of_every_concern_of_the_seeds(root: Path, shared: Path) -> None:
    labels = (shared / "corpora" / "seeds" / "labels.json").read_text("utf-8")
    stated = read_stated(labels, (root / "corpora" / "concerns.toml").read_text("utf-8"))
    assert len(stated) == 64 and all(each.needs for each in stated)
    assert not [each.id for each in stated if each.rules and not each.visible]


@pytest.mark.needs_shared
def test_where_reviewers_of_the_seeds_spoke(root: Path, shared: Path) -> None:
    """Without a tree, from the mails alone: all in the right mail, most of them in the right hunk."""
    seeds = shared / "corpora" / "seeds"
    stated = read_stated((seeds / "labels.json").read_text("utf-8"), "")
    done = measure_concerns(stated, lambda name: open_thread(str(seeds / name))[0], lambda name: [], ())
    near = [each.near for each in done.heard]
    assert Near.UNREAD not in near and Near.OTHER not in near
    assert sum(each in (Near.LINE, Near.HUNK) for each in near) >= 45


@pytest.mark.needs_shared
@pytest.mark.needs_tree("7.2")
def test_concerns_of_the_seeds_that_are_found_and_linked(
    root: Path, shared: Path, tree_dir: Callable[[str], Path]
) -> None:
    seeds = shared / "corpora" / "seeds"
    catalogue = (root / "corpora" / "concerns.toml").read_text("utf-8")
    every = read_stated((seeds / "labels.json").read_text("utf-8"), catalogue)
    stated = [each for each in every if each.thread.startswith(("000", "002"))]
    done = measure_concerns(
        stated,
        lambda name: open_thread(str(seeds / name))[0],
        lambda name: [Base("7.2", lambda: open_tree(str(tree_dir("7.2"))))],
        load(),
        patcher=GnuPatch(),
    )
    found = {each.stated.id: each for each in done.heard if each.found}
    assert {"000-02", "002-01", "002-02", "002-03", "002-04"} <= set(found)
    for name in ("000-02", "002-01", "002-02", "002-03", "002-04"):
        assert set(found[name].stated.rules) & set(found[name].raised), name
