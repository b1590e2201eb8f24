"""graph, path and siblings from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.mark.parametrize("form", ["tree", "dot", "graphml", "json"])
def test_formats_are_the_same_bytes_each_time(form: str, cli: Cli, small: Path, tmp_path: Path) -> None:
    first = cli("graph", "dmamap_resolve_pfn", "--callees", "2", "--tree", small, "--format", form)
    again = cli(
        "graph", "dmamap_resolve_pfn", "--callees", "2", "--tree", small, "--format", form, "-o", tmp_path / "x"
    )
    assert first.code == again.code == 0
    assert again.out == "" and (tmp_path / "x").read_text("utf-8") == first.out
    assert "dmamap_ioctl" in first.out


def test_svg(cli: Cli, small: Path, program: Callable[[str], str]) -> None:
    program("dot")
    done = cli("graph", "dmamap_resolve_pfn", "--tree", small, "--format", "svg")
    assert done.code == 0 and done.out.startswith("<svg ") and ">dmamap_ioctl()</text>" in done.out


def test_json_by_either_option(cli: Cli, small: Path) -> None:
    one = cli("graph", "dmamap_ioctl", "--tree", small, "--json").out
    assert one == cli("graph", "dmamap_ioctl", "--tree", small, "--format", "json").out
    assert json.loads(one)["kind"] == "graph"
    assert json.loads(cli("path", "dmamap_ioctl", "dmamap_get_page", "--tree", small, "--json").out)["kind"] == "path"
    assert json.loads(cli("siblings", "dmamap_get_page", "--tree", small, "--json").out)["kind"] == "siblings"


def test_exit_codes(cli: Cli, small: Path) -> None:
    assert cli("graph", "dmamap_ioctl", "--tree", small).code == 0
    assert cli("graph", "--api", "pfnmap", "--entry", "ioctl", "--tree", small).code == 0
    nothing = cli("graph", "--api", "pfnmap", "--entry", "work", "--tree", small)
    assert nothing.code == 1 and "nothing leads there" in nothing.out
    assert cli("path", "dmamap_ioctl", "follow_pfnmap_start", "--tree", small).code == 0
    none = cli("path", "follow_pfnmap_start", "dmamap_ioctl", "--tree", small)
    assert none.code == 1 and "no path within 12 calls" in none.out
    assert cli("siblings", "follow_pfnmap_start", "--tree", small).code == 0
    alone = cli("siblings", "dmamap_ioctl", "--tree", small)
    assert alone.code == 1 and "0 callers" in alone.out


def test_a_name_with_its_file(cli: Cli, small: Path) -> None:
    name = "drivers/misc/dmamap/dmamap.c:dmamap_get_page"
    assert "drivers/misc/dmamap/dmamap.c:85" in cli("graph", name, "--tree", small).out
    assert cli("path", "dmamap_ioctl", name, "--tree", small).code == 0


def test_ascii_where_the_terminal_has_no_more(
    real: Callable[..., subprocess.CompletedProcess[str]], small: Path, program_environment: dict[str, str]
) -> None:
    program_environment["PYTHONIOENCODING"] = "ascii"
    done = real("graph", "dmamap_resolve_pfn", "--callees", "1", "--tree", small)
    assert done.returncode == 0 and done.stdout.isascii() and "|- " in done.stdout
    program_environment["PYTHONIOENCODING"] = "utf-8"
    assert "├─ " in real("graph", "dmamap_resolve_pfn", "--callees", "1", "--tree", small).stdout


def test_colour(cli: Cli, small: Path) -> None:
    assert "\x1b[" not in cli("graph", "dmamap_ioctl", "--tree", small).out
    assert "\x1b[" in cli("graph", "dmamap_ioctl", "--tree", small, "--color", "always").out
    assert "\x1b[" in cli("path", "dmamap_ioctl", "dmamap_get_page", "--tree", small, "--color", "always").out
    assert "\x1b[" in cli("siblings", "dmamap_get_page", "--tree", small, "--color", "always").out


@pytest.mark.parametrize("command", ["graph", "path", "siblings"])
def test_help_shows_an_example_and_the_codes(command: str, cli: Cli) -> None:
    said = cli(command, "--help").out
    assert f"lorelint {command} " in said.split("Options:")[0] and "Exit codes: 0 " in said


def test_the_same_with_an_index(cli: Cli, small: Path) -> None:
    asked = (
        ("graph", "follow_pfnmap_start", "--callees", "2"),
        ("graph", "--api", "pfnmap"),
        ("path", "dmamap_ioctl", "follow_pfnmap_start"),
        ("siblings", "follow_pfnmap_start"),
    )
    without = [cli(*each, "--tree", small, "--json") for each in asked]
    assert cli("index", small).code == 0
    assert [cli(*each, "--tree", small, "--json") for each in asked] == without


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_the_way_from_an_ioctl_to_the_pfn(cli: Cli, tree_dir: Callable[[str], Path]) -> None:
    """Through the tables of a driver and of the core: eight calls, one of them by vfio_iommu_driver_ops.ioctl."""
    done = cli("path", "vfio_fops_unl_ioctl", "follow_pfnmap_start", "--tree", tree_dir("6.12"), "--json")
    assert done.code == 0
    chains = [[node["name"] for node in chain["nodes"]] for chain in json.loads(done.out)["chains"]]
    assert [
        "vfio_fops_unl_ioctl",
        "vfio_iommu_driver_ops.ioctl",
        "vfio_iommu_type1_ioctl",
        "vfio_iommu_type1_map_dma",
        "vfio_dma_do_map",
        "vfio_pin_map_dma",
        "vfio_pin_pages_remote",
        "vaddr_get_pfns",
        "follow_fault_pfn",
        "follow_pfnmap_start",
    ] in chains
    assert [len(chain) for chain in chains] == sorted(len(chain) for chain in chains)
