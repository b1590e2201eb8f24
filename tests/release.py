"""Releases: the CHANGELOG from its fragments, and the checklist that is walked through before a tag.

python tests/release.py changes VERSION     a section of bot/changes/*.md; the files are taken away
python tests/release.py check [--quick]     every step with its verdict; 0 where all held
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("security", "removed", "changed", "fixed", "added")
COLUMNS = 120


class Wrong(Exception):
    """Why a step does not hold, and what to do."""


# -- the CHANGELOG ---------------------------------------------------------------------------------------------------


def fragments(root: Path = ROOT) -> list[Path]:
    """In the order in which they stand in the CHANGELOG. Raises Wrong for a name of no kind, and for nothing in it."""
    found = [path for path in sorted((root / "bot" / "changes").glob("*.md")) if path.name != "README.md"]
    for path in found:
        if path.name.partition("-")[0] not in KINDS:
            raise Wrong(f"{path.name}: a fragment begins with {', '.join(KINDS)} and a dash")
        if not path.read_text().strip() or path.read_text().lstrip().startswith(("-", "#")):
            raise Wrong(f"{path.name}: one entry, without a dash or a heading")
    return sorted(found, key=lambda path: (KINDS.index(path.name.partition("-")[0]), path.name))


def section(version: str, day: str, paths: list[Path]) -> str:
    """What stands in the CHANGELOG of one version."""
    lines = [f"## {version} ({day})", ""]
    for path in paths:
        text = " ".join(path.read_text().split())
        lines += textwrap.wrap(text, COLUMNS, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def assemble(version: str, day: str, root: Path = ROOT) -> None:
    """Write the section above the others; an unreleased one of the version gets the entries and the day."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Wrong(f"{version}: a version is MAJOR.MINOR.PATCH")
    paths, page = fragments(root), root / "CHANGELOG.md"
    head, mark, rest = page.read_text().partition("\n## ")
    fresh = section(version, day, paths)
    if mark and rest.startswith(f"{version} (unreleased)"):
        fresh = fresh.rstrip("\n") + "\n" + rest.partition("\n")[2].lstrip("\n")
        rest = ""
    elif mark and rest.startswith(f"{version} "):
        raise Wrong(f"{version} stands in the CHANGELOG already")
    page.write_text(f"{head}\n{fresh}" + (f"\n## {rest}" if rest else ""))
    for path in paths:
        path.unlink()


# -- the checklist ---------------------------------------------------------------------------------------------------


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def tests(*arguments: str) -> Callable[[], str]:
    return lambda: run(sys.executable, "-m", "pytest", "-q", *arguments).strip().splitlines()[-1]


def version() -> str:
    """The version of pyproject.toml, which the package and the newest section of the CHANGELOG have too."""
    named: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    said = re.findall(r'(?m)^__version__ = "(.*)"$', (ROOT / "bot/lorelint/__init__.py").read_text())
    if said != [named]:
        raise Wrong(f"pyproject.toml says {named}, lorelint.__version__ {said}: make them one")
    return named


def same_version() -> str:
    named = version()
    image = re.findall(r"image: localhost/lorelint:(.*)", (ROOT / "deploy/compose.yaml").read_text())
    if image != [named]:
        raise Wrong(f"deploy/compose.yaml names {image}: name {named}")
    return named


def changelog() -> str:
    left = [path.name for path in fragments()]
    if left:
        raise Wrong(f"{len(left)} changes stand in bot/changes: make changes VERSION={version()}")
    heading = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text())[0]
    if not re.fullmatch(rf"{re.escape(version())} \(\d{{4}}-\d\d-\d\d\)", heading):
        raise Wrong(f"the newest section is {heading!r}: make changes VERSION={version()}")
    return heading


def clean() -> str:
    left = run("git", "status", "--porcelain").splitlines()
    if left:
        raise Wrong(f"{len(left)} files are not committed: {left[0][3:]}, ...")
    return run("git", "rev-parse", "--short", "HEAD").strip()


def untagged() -> str:
    if run("git", "tag", "--list", f"v{version()}").strip():
        raise Wrong(f"v{version()} was released: raise the version in pyproject.toml and lorelint/__init__.py")
    return f"v{version()} is free"


def revisions() -> str:
    """What made the tables of a release is there as it was."""
    tags = run("git", "tag", "--list", "v*", "--sort=-creatordate").split()
    if not tags:
        return "none went out yet"
    folder = "bot/lorelint/edge/store/migrations/versions"
    changed = run("git", "diff", "--name-only", "--diff-filter=MDR", tags[0], "--", folder).split()
    if changed:
        raise Wrong(f"{changed[0]} went out with {tags[0]}: leave it as it was, and write another revision")
    return f"as with {tags[0]}"


def audited() -> str:
    """Known weaknesses of what the lock files pin; what could not be looked up counts as one."""
    told = []
    for lock in ("requirements.lock", "deploy/requirements.lock"):
        command = [sys.executable, "-m", "pip_audit", "-r", lock, "--require-hashes", "--disable-pip"]
        done = subprocess.run(
            [*command, "--progress-spinner", "off"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        if "could not be audited" in said or "Error" in said:
            raise Wrong(f"{lock}: the database of weaknesses cannot be asked from here; ask it from where it can be")
        if done.returncode:
            raise Wrong(f"{lock}: {said[-1500:]}\nraise the version (make lock), or answer it in bot/decisions")
        told.append(lock)
    return ", ".join(told)


QUICK: tuple[tuple[str, Callable[[], str]], ...] = (
    ("everything is committed", clean),
    ("one version everywhere", same_version),
    ("no tag of it yet", untagged),
    ("the changelog is written", changelog),
    ("promises are kept", tests("tests/house")),
    ("tables that went out", revisions),
    ("pages are made, their links lead somewhere", tests("tests/docs")),
    ("what is built installs", tests("tests/deploy/test_install.py", "tests/deploy/test_pack.py")),
    ("units, images and examples", tests("tests/deploy/test_units.py")),
    ("no known weakness in what is pinned", audited),
)
LONG: tuple[tuple[str, Callable[[], str]], ...] = (
    ("make test", lambda: run("make", "test").strip().splitlines()[-1]),
    ("make prove", lambda: run("make", "prove").strip().splitlines()[-1]),
    ("the runbook, under systemd", tests("-m", "prove", "tests/deploy")),
)
AFTER = """\
By hand, when all held:
  git tag -s v{version} && git push --tags
  the files of `python -m build` and their checksums go to the release's page
  bot/lorelint/__init__.py and pyproject.toml get the next version
"""


def walk(steps: tuple[tuple[str, Callable[[], str]], ...]) -> Iterator[bool]:
    """One step after the other, each with its verdict; none is left out because one before it does not hold."""
    for name, step in steps:
        try:
            print(f"  ok    {name}: {step()}", flush=True)
            yield True
        except Wrong as wrong:
            print(f"  NO    {name}: {wrong}", flush=True)
            yield False


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["changes", named]:
                assemble(named, datetime.now(UTC).strftime("%Y-%m-%d"))
                return 0
            case ["check", *rest] if set(rest) <= {"--quick"}:
                held = list(walk(QUICK if rest else (*QUICK, *LONG)))
                print(f"{held.count(True)} of {len(held)} hold")
                if all(held):
                    print(AFTER.format(version=version()))
                return 0 if all(held) else 1
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
