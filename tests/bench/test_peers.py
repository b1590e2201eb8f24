"""The mission rules beside what Coccinelle, semgrep and ast-grep can say of the same: the same labels, in one run.

Their rules are in `peers/`, each as good as its author could make it in the tool's own terms, over the same whole
files. A tool fires on a function where one of its matches begins in it. Semgrep and ast-grep are looked for on the path
and in LORELINT_PEERS (the bin folder of an environment of their own: `pip install semgrep ast-grep-cli`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorelint.code.functions import functions
from lorelint.jobs.measure import labels, measure
from lorelint.model.measurement import Label, Score
from lorelint.rule.packs import load
from lorelint.wire import measured_tree

pytestmark = [pytest.mark.bench, pytest.mark.needs_shared]

PEERS = Path(__file__).parent / "peers"
RULES = ("unbounded-retry", "retry-no-resched", "retry-no-fatal-signal", "revoke-without-unmap")
TREES = ("5.10", "6.1", "6.12", "7.2")
Spot = tuple[str, int]  # name of an extracted file, line


@dataclass(frozen=True)
class Asked:
    """A label as a peer is asked about it: the file, and the lines of the function."""

    label: Label
    file: str
    lines: tuple[int, int]


def tool(name: str) -> str:
    """The path of a peer; skips with a reason where it is not there."""
    folder = os.environ.get("LORELINT_PEERS", "")
    path = shutil.which(name) or (shutil.which(name, path=folder) if folder else None)
    if path is None:
        pytest.skip(f"{name} is not installed (LORELINT_PEERS)")
    return path


@pytest.fixture(scope="module")
def asked(
    shared: Path, tree_dir: Callable[[str], Path], overlays_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[Asked, ...]]:
    """The labels of the four rules whose confidence is high enough, and a folder with the files they are about."""
    folder = tmp_path_factory.mktemp("peers")
    trees = {f"linux-source-{version}": str(tree_dir(version)) for version in TREES}
    found: list[Asked] = []
    names: dict[tuple[str, str, str], str] = {}
    for label in labels((shared / "corpora" / "kernel" / "labels.jsonl").read_text()):
        if label.rule not in RULES or label.group == "unsure":
            continue
        overlay = [str(overlays_dir / label.overlay)] if label.overlay else []
        raw = measured_tree(trees[label.tree], overlay).read(label.path)
        assert raw is not None
        name = names.setdefault((label.tree, label.overlay, label.path), f"{len(names):03}-{Path(label.path).name}")
        (folder / name).write_bytes(raw)
        spans = [(fn.first_line, fn.end_line) for fn in functions(label.path, raw) if fn.name == label.function]
        first, last = label.lines
        here = next((span for span in spans if span[0] <= last and first <= span[1]), spans[0])
        found.append(Asked(label, name, here))
    return folder, tuple(found)


def coccinelle(rule: str, files: Sequence[str], folder: Path, bench: SimpleNamespace) -> tuple[list[Spot], float]:
    script = str(PEERS / "coccinelle" / f"{rule}.cocci")
    command = [tool("spatch"), "--sp-file", script, "--no-includes", "--very-quiet", "--timeout", "120"]
    found, cpu = [], 0.0
    for name in files:  # one by one: what takes too long costs its own file alone
        cost, text = bench.measured([*command, name], folder, good=(0, 1, 255))
        cpu += cost.cpu
        found += [(name, int(line)) for line in re.findall(r"(?m)^[^:\n]*?:(\d+):\w*$", text)]
    return found, cpu


def semgrep(rule: str, files: Sequence[str], folder: Path, bench: SimpleNamespace) -> tuple[list[Spot], float]:
    program = tool("semgrep")
    environment = {**os.environ, "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"}
    options = ["--metrics=off", "--disable-version-check", "--json", "-q", "--no-git-ignore", "--max-target-bytes", "0"]
    command = [program, "scan", *options, "--config", str(PEERS / "semgrep" / f"{rule}.yaml"), *files]
    cost, text = bench.measured(command, folder, environment)
    return [(each["path"], each["start"]["line"]) for each in json.loads(text)["results"]], cost.cpu


def ast_grep(rule: str, files: Sequence[str], folder: Path, bench: SimpleNamespace) -> tuple[list[Spot], float]:
    script = str(PEERS / "ast-grep" / f"{rule}.yaml")
    cost, text = bench.measured([tool("ast-grep"), "scan", "-r", script, "--json=stream", *files], folder, good=(0, 1))
    rows = [json.loads(line) for line in text.splitlines()]
    return [(row["file"], row["range"]["start"]["line"] + 1) for row in rows], cost.cpu


TOOLS = {"coccinelle": coccinelle, "semgrep": semgrep, "ast-grep": ast_grep}


def scored(asked: Sequence[Asked], fired: Callable[[Asked], bool]) -> dict[str, Score]:
    found = {rule: Score() for rule in (*RULES, "all")}
    for each in asked:
        spoke = fired(each)
        verdict = ("tp" if spoke else "fn") if each.label.positive else ("fp" if spoke else "tn")
        found[each.label.rule].add(verdict)
        found["all"].add(verdict)
    return found


def by_peer(name: str, folder: Path, asked: Sequence[Asked], bench: SimpleNamespace) -> tuple[dict[str, Score], float]:
    spots: dict[str, list[Spot]] = {}
    cpu = 0.0
    for rule in RULES:
        files = sorted({each.file for each in asked if each.label.rule == rule})
        spots[rule], cost = TOOLS[name](rule, files, folder, bench)
        cpu += cost

    def fired(each: Asked) -> bool:
        first, last = each.lines
        return any(file == each.file and first <= line <= last for file, line in spots[each.label.rule])

    return scored(asked, fired), cpu


def table(found: Mapping[str, tuple[dict[str, Score], float]]) -> Iterator[str]:
    yield f"{'rule':24} {'tool':12} {'tp':>3} {'fp':>3} {'fn':>3} {'tn':>3} {'precision':>9} {'recall':>7} {'F1':>6}"
    for rule in (*RULES, "all"):
        for name, (scores, cpu) in found.items():
            each = scores[rule]
            figures = [f"{value:.0%}" if value is not None else "-" for value in (each.precision, each.recall)]
            f1 = f"{each.f1:.2f}" if each.f1 is not None else "-"
            row = f"{rule:24} {name:12} {each.tp:3} {each.fp:3} {each.fn:3} {each.tn:3}"
            time = f"  {cpu:.1f} s of CPU" if rule == "all" else ""
            yield f"{row} {figures[0]:>9} {figures[1]:>7} {f1:>6}{time}"


@pytest.mark.needs_tree(*TREES)
def test_side_by_side(
    asked: tuple[Path, tuple[Asked, ...]],
    shared: Path,
    tree_dir: Callable[[str], Path],
    overlays_dir: Path,
    bench: SimpleNamespace,
) -> None:
    folder, every = asked
    trees = {f"linux-source-{version}": str(tree_dir(version)) for version in TREES}
    text = (shared / "corpora" / "kernel" / "labels.jsonl").read_text()
    done = measure(text, trees, measured_tree, load(RULES), overlays=lambda case: str(overlays_dir / case))
    spoke = {case.id: case.fired for case in done.cases}
    found = {"lorelint": (scored(every, lambda each: spoke[each.label.id]), sum(done.seconds.values()))}
    for name in TOOLS:
        found[name] = by_peer(name, folder, every, bench)
    print("\n\n" + "\n".join(table(found)) + "\n")
    ours = found["lorelint"][0]
    for rule in (*RULES, "all"):
        best = max(found[name][0][rule].f1 or 0.0 for name in TOOLS)
        assert (ours[rule].f1 or 0.0) >= best, f"{rule}: a peer is better"


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_each_peer_finds_a_plain_loop(name: str, tmp_path: Path, bench: SimpleNamespace) -> None:
    """A peer whose rule cannot be read would lose for nothing."""
    loop = "int f(void)\n{\n\tint r;\n\nagain:\n\tr = g();\n\tif (r == -EAGAIN)\n\t\tgoto again;\n\treturn r;\n}\n"
    maps = "int m(struct v *v)\n{\n\treturn remap_pfn_range(v, 1, 2, 3, 4);\n}\n"
    sets = f"{maps}void f(struct o *o)\n{{\n\to->revoked = true;\n}}\n"
    for rule in RULES:
        (tmp_path / "a.c").write_text(sets if rule == "revoke-without-unmap" else loop)
        found, _ = TOOLS[name](rule, ["a.c"], tmp_path, bench)
        assert found, rule
