"""What is there to run a sweep over a cluster: an image over the image of the rest, and who is let see what."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from lorelint.cli import lorelint

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+) ", path.read_text()))


def options(command: str) -> set[str]:
    """The long options of a program of Dask, or of ours."""
    if command.startswith("distributed."):
        program = importlib.import_module(command).main
    else:
        program = lorelint.get_command(None, command)  # type: ignore[arg-type]
    return {option for each in program.params for option in (*each.opts, *each.secondary_opts)}


def test_what_is_installed_is_what_is_tested() -> None:
    files = ("deploy/cluster.lock", "requirements-dev.lock", "deploy/requirements.lock")
    cluster, tested, rest = (pins(ROOT / name) for name in files)
    assert "distributed" in cluster and {name: tested[name] for name in cluster} == cluster
    assert {name: version for name, version in rest.items() if name in cluster and cluster[name] != version} == {}


def test_the_image_is_built_from_what_is_there() -> None:
    text = (DEPLOY / "cluster.Containerfile").read_text()
    assert all((ROOT / name).exists() for name in re.findall(r"(?m)^COPY (?!--from)(\S+)", text))
    assert "--require-hashes -r deploy/cluster.lock" in text
    assert "COPY --from=build /opt/cluster/lib /opt/lorelint/lib" in text
    assert "/opt/lorelint" in (DEPLOY / "Containerfile").read_text()


@pytest.mark.parametrize("name", ["scheduler", "worker", "sweep"])
def test_each_part_has_what_it_needs_and_no_more(name: str) -> None:
    told = yaml.safe_load((DEPLOY / "cluster.yaml").read_text())
    part = told["services"][name]
    assert part["read_only"] and part["cap_drop"] == ["ALL"] and part["user"] == "990:990" and "ports" not in part
    assert part["networks"] == ["cluster"] and told["networks"]["cluster"] == {"internal": True}
    words = [*part["entrypoint"], *part.get("command", ())]
    program = part["entrypoint"][2] if "-m" in part["entrypoint"] else part["entrypoint"][1]
    assert {word for word in words if word.startswith("--")} <= options(program)
    volumes = [volume.split(":") for volume in part.get("volumes", ())]
    assert [volume[0] for volume in volumes if volume[0] == "./mail"] == (["./mail"] if name == "sweep" else [])
    assert all(volume[2:] == ["ro"] for volume in volumes if volume[0].startswith("./"))


def test_the_page_tells_of_the_settings_that_workers_read() -> None:
    page, source = (DEPLOY / "cluster.md").read_text(), (ROOT / "bot/lorelint/edge/cluster.py").read_text()
    for key in re.findall(r'config\.get\("lorelint\.(\w+)"', source):
        assert f"DASK_LORELINT__{key.upper()}" in page
    for command, program in (("dask scheduler", "dask_scheduler"), ("dask worker", "dask_worker")):
        for line in re.findall(rf"(?m)^ *{command} .*", page):
            assert set(re.findall(r"--[\w-]+", line)) <= options(f"distributed.cli.{program}"), line
