"""``lorelint measure`` over changes: small trees and threads of our own, one process and two."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.jobs.measure import between, mail, mutate
from lorelint.rule.ledger import parse

Cli = Callable[..., Any]
RULES = ("--rule", "unbounded-retry", "--rule", "retry-no-resched")
LOOP = "drivers/misc/winview/winview.c"
BOUNDED = """\
int probe_all(struct dev *d)
{
	int ret, tries = 3;

	do {
		ret = probe_one(d);
	} while (ret == -EAGAIN && --tries);
	return ret;
}
"""


@pytest.fixture
def two(small: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The small tree, and the same where two files hold what a rule is silent about, or not yet what it speaks of."""
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(small, old)
    shutil.copytree(small, new)
    (old / "drivers/misc/probe.c").write_text(BOUNDED)
    (new / "drivers/misc/probe.c").write_text(BOUNDED.replace(" && --tries", ""))
    (old / LOOP).write_text((old / LOOP).read_text().replace("while (ret == -EAGAIN)", "while (0)"))
    return old, new


def test_between_two_trees(cli: Cli, two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(between, "SHARE", 1)
    trees = [f"--tree=old={two[0]}", f"--tree=new={two[1]}"]
    ask = ("measure", "--between", "old", "new", *trees, *RULES)
    done = cli(*ask)
    assert done.code == 0, done.err
    assert "noise: old to new: 2 changes, 2 patches" in done.out
    assert "not judged: unbounded-retry drivers/misc/probe.c:" in done.out and f"unbounded-retry {LOOP}:" in done.out
    assert cli(*ask, "--jobs", "2").out == done.out
    judged = tmp_path / "judged.jsonl"
    row = {"rule": "unbounded-retry", "tree": "new", "path": "drivers/misc/probe.c", "function": "probe_all"}
    judged.write_text(json.dumps({**row, "verdict": "true", "reason": "the bound was taken out"}) + "\n")
    ledger = tmp_path / "ledger.toml"
    assert cli(*ask, "--judged", judged, "--ledger", ledger).code == 0
    entry = parse(ledger.read_text())["unbounded-retry"]
    assert entry.judged("true") == 1
    heard = entry.noise["old to new"]
    assert (heard.patches, heard.wrong) == (2, 0) and heard.unjudged == heard.said - 1


def test_over_mail(cli: Cli, small: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SHARE", 1)
    (tmp_path / "threads").mkdir()
    for name in ("aperture-mmap.mbox", "dmamap-retry.mbox", "winview-bounded.mbox"):
        shutil.copy(root / "corpora" / "threads" / name, tmp_path / "threads")
    ask = ("measure", "--mail", tmp_path / "threads", "--tree", f"small={small}", *RULES, "--json")
    done = cli(*ask)
    assert done.code == 0, done.err
    (noise,) = json.loads(done.out)["noise"]
    assert (noise["corpus"], noise["changes"], noise["patches"]) == ("threads on small", 3, 4)
    assert noise["grades"] == {"exact": 3}
    assert {each["source"].partition(":")[0] for each in noise["spoken"]} == {"dmamap-retry.mbox"}
    assert cli(*ask, "--jobs", "2").out == done.out


def test_checks_taken_out(cli: Cli, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "SHARE", 1)
    ask = ("measure", "--mutate", "drivers/misc", "--tree", f"old={two[0]}", *RULES, "--json")
    done = cli(*ask)
    assert done.code == 0, done.err
    mutation = json.loads(done.out)["mutation"]
    cut = next(each for each in mutation["cuts"] if each["function"] == "probe_all")
    assert cut["operator"] == "bound beside the errno" and cut["spoke"] and cut["restored"]
    assert cli(*ask, "--jobs", "2").out == done.out


def test_what_is_asked_for_is_there(cli: Cli, small: Path) -> None:
    assert "nothing to measure" in cli("measure", "--tree", f"small={small}").err
    assert "'other' is no --tree" in cli("measure", "--between", "small", "other", "--tree", f"small={small}").err


def test_times_are_told_on_request_alone(cli: Cli, two: tuple[Path, Path]) -> None:
    ask = ("measure", "--mutate", "drivers/misc", "--tree", f"old={two[0]}", *RULES)
    assert "seconds of CPU" not in cli(*ask).out and "seconds of CPU" in cli(*ask, "--time").out


def test_pages_are_written(cli: Cli, tmp_path: Path) -> None:
    done = cli("docs", tmp_path / "pages")
    assert done.code == 0 and "files in" in done.err
    assert (tmp_path / "pages" / "index.html").is_file() and (tmp_path / "pages" / "unbounded-retry.html").is_file()
    (tmp_path / "file").write_text("")
    assert cli("docs", tmp_path / "file").code == 2
