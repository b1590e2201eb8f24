"""What the pages say is so: commands, files, and the pages that are made from the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from lorelint.rule.explain import doc
from lorelint.rule.packs import load

PAGES = (
    "README.md",
    "bot/README.md",
    "corpora/README.md",
    "rules/README.md",
    "deploy/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
)


def targets(root: Path) -> set[str]:
    return set(re.findall(r"(?m)^([a-z]+):", (root / "Makefile").read_text()))


def commands() -> set[str]:
    import click

    from lorelint.cli import lorelint

    return set(lorelint.list_commands(click.Context(lorelint)))


def rule_page() -> str:
    """The list of rules, made from their docstrings."""
    rows = [f"| `{rule.name}` | {rule.stage.value} | {' '.join(doc(rule).summary.split())} |" for rule in load()]
    return "\n".join(
        [
            "# Rules",
            "",
            "Made from the rules themselves by `make bless`. `lorelint explain RULE` prints one with its example,",
            "`lorelint new rule family/name` writes the skeleton of another.",
            "",
            "| rule | stage | what it says |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str, root: Path) -> None:
    named = set(re.findall(r"(?:^|[`$ ])make ([a-z]+)\b(?=[` \n])", "\n".join(quoted(root / page))))
    assert named <= targets(root)


@pytest.mark.parametrize("page", PAGES)
def test_lorelint_commands_exist(page: str, root: Path) -> None:
    named = set(re.findall(r"\blorelint ([a-z-]+)", "\n".join(quoted(root / page))))
    assert named <= commands()


@pytest.mark.parametrize("page", (*PAGES, "deploy/RUNBOOK.md"))
def test_linked_files_exist(page: str, root: Path) -> None:
    path = root / page
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()) if not link.startswith("http")]
    assert not [link for link in links if not (path.parent / link).exists()]


def quoted(path: Path) -> list[str]:
    """What stands in code: between backquotes, and in blocks."""
    text = path.read_text()
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    return [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))]


def test_the_readme_names_the_main_commands(root: Path) -> None:
    said = "\n".join(quoted(root / "README.md"))
    for command in (
        "make review",
        "make test",
        "lorelint review",
        "lorelint scan",
        "lorelint why-not",
        "lorelint explain",
    ):
        assert command in said, command


def test_page_of_rules_is_fresh(root: Path, blessing: bool) -> None:
    path = root / "rules" / "README.md"
    if blessing:
        path.write_text(rule_page())
    assert path.read_text() == rule_page(), "make bless, and read the diff"


def test_decisions_are_numbered_without_a_gap(root: Path) -> None:
    names = sorted(path.name for path in (root / "bot" / "decisions").glob("*.md"))
    assert names
    assert [name[:5] for name in names] == [f"{number:04}-" for number in range(1, len(names) + 1)]


def test_version_stands_in_the_changelog(root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"(?m)^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text())


def test_licence(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["license"] == "GPL-2.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in (root / "LICENSE").read_text()[:200]
