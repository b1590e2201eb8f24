"""Which commits are taken for an author's work: named ones, b4's series, what the upstream lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.edge.repository import GitRepository
from lorelint.edge.span import find_span
from lorelint.model.errors import LorelintError
from lorelint.model.work import Span

DEMO = "drivers/demo/a.c"


def span(checkout: Any, named: str = "", tip: str = "") -> Span:
    return find_span(GitRepository(checkout.path), named, tip)


def two(checkout: Any) -> tuple[str, str]:
    """Two commits on the branch."""
    checkout.write(DEMO, "int one(void)\n{\n\treturn 1;\n}\n")
    first = checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    return first, checkout.commit("two")


def test_the_upstream_says_where_it_starts(checkout: Any) -> None:
    _, tip = two(checkout)
    found = span(checkout)
    assert (found.base, found.tip) == (checkout.git("rev-parse", "main"), tip)
    assert found.said == "main..topic" and found.why == "the upstream of topic"


def test_an_upstream_that_has_moved_on(checkout: Any) -> None:
    fork = checkout.git("rev-parse", "main")
    two(checkout)
    checkout.git("checkout", "-q", "main")
    checkout.write("Documentation/news", "news\n")
    checkout.commit("elsewhere")
    checkout.git("checkout", "-q", "topic")
    assert span(checkout).base == fork


def test_a_remote_says_what_its_head_is(checkout: Any) -> None:
    two(checkout)
    checkout.git("branch", "--unset-upstream")
    checkout.git("branch", "-m", "main", "trunk")
    checkout.git("update-ref", "refs/remotes/origin/next", "trunk")
    checkout.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/next")
    found = span(checkout)
    assert found.said == "origin/next..topic" and found.base == checkout.git("rev-parse", "trunk")


def test_the_main_branch_here(checkout: Any) -> None:
    two(checkout)
    checkout.git("branch", "--unset-upstream")
    assert span(checkout).said == "main..topic" and span(checkout).why == "the main branch here"


def test_a_detached_head(checkout: Any) -> None:
    _, tip = two(checkout)
    checkout.git("checkout", "-q", "--detach")
    assert span(checkout).said == f"main..{tip[:12]}"


def test_the_newest_release(checkout: Any) -> None:
    checkout.git("tag", "v6.12", "main")
    two(checkout)
    checkout.git("branch", "--unset-upstream")
    checkout.git("branch", "-D", "main")
    assert span(checkout).said == "v6.12..topic"


def test_nothing_says_where_it_starts(checkout: Any) -> None:
    two(checkout)
    checkout.git("branch", "--unset-upstream")
    checkout.git("branch", "-D", "main")
    with pytest.raises(LorelintError, match="nothing says what the branch started from") as caught:
        span(checkout)
    assert "lorelint check BASE.." in str(caught.value)


@pytest.mark.parametrize(
    ("named", "base", "tip"),
    [
        ("HEAD", "HEAD^", "HEAD"),
        ("HEAD~1", "main", "HEAD~1"),
        ("main..", "main", "HEAD"),
        ("main..topic", "main", "topic"),
        ("topic^..topic", "topic^", "topic"),
        ("other...topic", "main", "topic"),
    ],
)
def test_what_is_named(checkout: Any, named: str, base: str, tip: str) -> None:
    two(checkout)
    checkout.git("branch", "other", "main")
    found = span(checkout, named)
    assert (found.base, found.tip) == (checkout.git("rev-parse", base), checkout.git("rev-parse", tip))


@pytest.mark.parametrize("named", ["nosuch", "main..nosuch", "--upload-pack=x", "HEAD:Makefile", ":/start", "a\nb"])
def test_what_git_does_not_know(checkout: Any, named: str) -> None:
    with pytest.raises(LorelintError, match="no commit called"):
        span(checkout, named)


def test_the_first_commit_of_all(checkout: Any) -> None:
    with pytest.raises(LorelintError, match="first commit of all"):
        span(checkout, "main")


def test_a_shallow_clone_without_the_parent(checkout: Any, make_checkout: Callable[..., Any], tmp_path: Path) -> None:
    two(checkout)
    checkout.git("clone", "-q", "--depth=1", f"file://{checkout.path}", str(tmp_path / "shallow"))
    with pytest.raises(LorelintError, match=r"not in this shallow clone.*deepen"):
        span(make_checkout(tmp_path / "shallow"), "HEAD")


# -- b4 prep, by the real b4 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["commit", "branch-description", "tip-commit"])
def test_a_series_of_b4(checkout: Any, strategy: str, root: Path, tmp_path: Path) -> None:
    checkout.git("checkout", "-q", "main")
    checkout.git("config", "b4.prep-cover-strategy", strategy)
    b4(checkout, tmp_path, "prep", "-n", "trial", "-f", "main")
    cover = checkout.git("rev-parse", "HEAD")
    if strategy == "tip-commit":  # it goes on top again by a rebase
        checkout.git("reset", "-q", "--hard", "main")
    checkout.am(root / "corpora" / "threads" / "dmamap-retry.mbox")
    if strategy == "tip-commit":
        checkout.git("cherry-pick", "--allow-empty", cover)
    found = span(checkout)
    assert found.said == "main..b4/trial" and found.why == "the series b4 keeps on it"
    assert found.base == checkout.git("rev-parse", "main") and found.change_id and found.version == 1
    subjects = checkout.git("log", "--format=%s", f"{found.base}..{found.tip}").splitlines()
    assert subjects[0].startswith("misc: dmamap") and len(subjects) == (2 if strategy == "commit" else 1)
    assert (found.cover == cover) == (strategy == "commit")


def b4(checkout: Any, home: Path, *arguments: str) -> str:
    environment = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "EDITOR": "true"}
    code = "import sys; from b4.command import cmd; sys.argv[0] = 'b4'; cmd()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--offline-mode", *arguments],
        cwd=checkout.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"series": 3}', '{"series": {"base-branch": 7}}', "{" * 5000, json.dumps({"series": None})]
)
def test_tracking_that_is_damaged_is_not_b4s(checkout: Any, kept: str) -> None:
    two(checkout)
    checkout.git("config", "branch.topic.b4-prep-cover-strategy", "branch-description")
    checkout.git("config", "branch.topic.b4-tracking", kept)
    assert span(checkout).why == "the upstream of topic"
