"""What is shipped to run it: units that systemd takes and that have little left to lose, settings, images, alerts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import ROOT
from tests.report.test_metrics import STATUS

from lorelint.cli import lorelint
from lorelint.config import parse as parse_config
from lorelint.jobs.policy.parse import parse as parse_policy
from lorelint.model.policy import Audience
from lorelint.report.metrics import exposition

DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))
TIMERS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.timer"))
EXPOSED = 1.5  # of 10: as far as `systemd-analyze security` has it


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Callable[..., str]:
    """``installed("verify", unit)``: what systemd-analyze says of a root folder that holds the units as installed."""
    analyze, root = program("systemd-analyze"), tmp_path_factory.mktemp("root")
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(DEPLOY / "systemd", root / "etc/systemd/system")
    (root / "opt/lorelint/bin").mkdir(parents=True)
    (root / "opt/lorelint/bin/lorelint").write_text("#!/bin/sh\n")
    (root / "opt/lorelint/bin/lorelint").chmod(0o755)
    (root / "opt/lorelint/RUNBOOK.md").touch()

    def ask(*arguments: str) -> str:
        done = subprocess.run([analyze, f"--root={root}", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return ask


@pytest.mark.parametrize("unit", [*UNITS, *TIMERS])
def test_systemd_takes_it_without_a_word(unit: str, installed: Callable[..., str]) -> None:
    assert installed("verify", "--man=no", unit) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_little_is_left_to_lose(unit: str, installed: Callable[..., str]) -> None:
    told = installed("security", "--offline=true", unit)
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert float(level) <= EXPOSED, told


def test_each_unit_runs_a_command_that_is_there() -> None:
    for unit in UNITS:
        (command,) = re.findall(
            r"(?m)^ExecStart=/opt/lorelint/bin/lorelint (.*)$", (DEPLOY / "systemd" / unit).read_text()
        )
        words = [word for word in command.split() if not word.startswith(("/", "%", "127."))]
        here = lorelint.get_command(None, words[0])  # type: ignore[arg-type]
        assert here is not None
        if hasattr(here, "commands"):
            here = here.commands[words[1]]
        known = {name for each in here.params for name in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, unit


def test_the_sender_alone_has_the_mail_server() -> None:
    having = {unit for unit in UNITS if "smtp" in (DEPLOY / "systemd" / unit).read_text()}
    users = {unit: re.findall(r"(?m)^User=(.*)$", (DEPLOY / "systemd" / unit).read_text()) for unit in UNITS}
    assert having == {"lorelint-send.service"}
    assert [unit for unit, user in users.items() if user != ["lorelint"]] == ["lorelint-send.service"]


EXAMPLES = sorted(path.name.partition(".")[0] for path in (DEPLOY / "examples").glob("*.config.toml"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_read_by_the_parsers_themselves(name: str) -> None:
    settings, policy = (DEPLOY / "examples" / f"{name}.{kind}.toml" for kind in ("config", "policy"))
    config = parse_config(settings.read_text(), settings.name)
    assert config.inboxes and config.trees
    asked = parse_policy(policy.read_text(), policy.name)
    assert asked.dry_run, "nothing leaves before somebody has looked"
    for one in asked.lists:
        inbox = {each.name: each for each in config.inboxes}[one.name]
        assert inbox.address == one.address
        assert one.audience is Audience.DASHBOARD or asked.sender
    assert {name for tree in config.trees for name in tree.lists} <= {each.name for each in config.inboxes}


def test_there_are_examples_for_one_and_for_all() -> None:
    assert EXAMPLES == ["all-of-lore", "one-list", "one-maintainer"]


# -- images: there is no engine here, so what can be read is looked at ---------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Of the Containerfile, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Containerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def test_the_image_is_built_from_what_is_there_and_pinned() -> None:
    known = {"ARG", "FROM", "WORKDIR", "ENV", "COPY", "RUN", "USER", "VOLUME", "ENTRYPOINT", "CMD"}
    every = instructions()
    assert {name for name, _ in every} == known
    for name, rest in every:
        if name == "COPY" and not rest.startswith("--from=build"):
            assert [source for source in rest.split()[:-1] if not (ROOT / source).exists()] == []
    runs = " ".join(rest for name, rest in every if name == "RUN")
    assert "--require-hashes -r deploy/requirements.lock" in runs and "curl" not in runs and "wget" not in runs
    final = every[max(at for at, (name, _) in enumerate(every) if name == "FROM") :]
    assert ("USER", "990:990") in final and ("ENTRYPOINT", '["lorelint"]') in final
    base = next(rest for name, rest in every if name == "ARG")
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.11[\w.-]*", base)


def test_compose_gives_each_part_what_it_needs_and_no_more() -> None:
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    parts = {name: part for name, part in told["services"].items() if name != "database"}
    assert set(parts) == {"listen", "send", "serve"}
    for name, part in parts.items():
        assert part["read_only"] and part["cap_drop"] == ["ALL"] and part["user"] == "990:990", name
        assert "no-new-privileges:true" in part["security_opt"]
        assert set(part["networks"]) <= set(told["networks"]) and set(part["secrets"]) <= set(told["secrets"])
        known = {option for each in lorelint.get_command(None, part["command"][0]).params for option in each.opts}  # type: ignore[arg-type, union-attr]
        assert {word for word in part["command"] if word.startswith("--")} <= known
        assert all(
            volume.partition(":")[0] in told["volumes"] or volume.startswith("./etc") for volume in part["volumes"]
        )
    assert [name for name, part in parts.items() if "smtp.toml" in part["secrets"]] == ["send"]
    assert [name for name, part in parts.items() if "mail" in part["networks"]] == ["send"]
    assert told["networks"]["store"] == {"internal": True}
    assert all(port.startswith("127.0.0.1:") for part in parts.values() for port in part.get("ports", ()))


# -- Prometheus ----------------------------------------------------------------------------------------------------


def test_alerts_are_about_numbers_that_there_are() -> None:
    families = text_string_to_metric_families(exposition(STATUS, "1"))
    known = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    sections = re.findall(r"(?m)^## (.+)$", (DEPLOY / "RUNBOOK.md").read_text())
    told = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    alerts = told["groups"][0]["rules"]
    assert len(alerts) > 5
    for alert in alerts:
        named = re.findall(r"lorelint_\w+", alert["expr"])
        assert named and set(named) <= set(known), alert
        used = re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])
        assert set(used) <= known[named[0]], alert
        assert alert["annotations"]["runbook"] in sections


@pytest.mark.prove
def test_the_image_s_own_commands_make_a_program(tmp_path: Path) -> None:
    """The stage that builds, its folders put below another: what it makes runs and is ours."""
    source, target = tmp_path / "src", tmp_path / "opt"
    stage = instructions()
    stage = stage[: [at for at, (name, _) in enumerate(stage) if name == "FROM"][1]]
    source.mkdir()
    for name, rest in stage:
        if name == "COPY":
            *froms, to = rest.split()
            for each in froms:
                place = source / to / Path(each).name if to == "./" else source / to
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(ROOT / each, place) if (ROOT / each).is_dir() else shutil.copy2(ROOT / each, place)
        elif name == "RUN":
            script = rest.replace("/opt/", f"{target}/").replace("python -m venv", "python3 -m venv")
            done = subprocess.run(["bash", "-ec", script], cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
    alone = {"PATH": f"{target}/lorelint/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}
    run = subprocess.run(["lorelint", "rules"], env=alone, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "unbounded-retry" in run.stdout and "precision" in run.stdout
    gone = subprocess.run([target / "lorelint/bin/python", "-m", "pip"], capture_output=True, env=alone, check=False)
    assert gone.returncode != 0
