"""The check taken out of correct functions of a real kernel makes the rules speak; put in again, they fall silent."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.shares import at_least, at_most

from lorelint.edge.directory import DirectoryTree
from lorelint.jobs.measure.mutate import Place, attempt, places
from lorelint.jobs.measure.operators import OPERATORS, lists_of
from lorelint.kernel.load import knowledge
from lorelint.model.measurement import Cut, Mutation
from lorelint.report.measure import cut_out
from lorelint.rule.door import Rule

SEED = 20260317
FOLDERS = ("drivers", "mm", "fs", "virt", "arch/x86/kvm", "arch/s390/kvm", "arch/powerpc/kvm", "arch/arm64/kvm")
RETRY = tuple(
    each for each in OPERATORS if each.rule in ("unbounded-retry", "retry-no-resched", "retry-no-fatal-signal")
)


def told(cuts: Sequence[Cut], loud: int) -> str:
    lines = [f"{len(cuts)} functions silent as they are, {loud} not; {sum(each.spoke for each in cuts)} speak"]
    lines += [
        f"silent without its {cut.operator}: {cut.rule} {cut.path}:{cut.line} {cut.function}(): {cut.why}"
        for cut in cuts
        if not cut.spoke
    ]
    return "\n".join(lines)


def tried(tree: DirectoryTree, chosen: Sequence[Place], rules: dict[str, Rule]) -> tuple[list[Cut], int]:
    made = [attempt(tree, place, rules[place.rule]) for place in chosen]
    return [each for each in made if each is not None], made.count(None)


@pytest.fixture(scope="module")
def tree(tree_dir: Callable[[str], Path]) -> DirectoryTree:
    return DirectoryTree(tree_dir("6.12"))


def test_what_is_cut(desk: SimpleNamespace) -> None:
    """Each kind of check is found and cut as a person would."""
    text = (
        "int f(struct s *s)\n{\n\tint ret, t = 3;\n\n\tdo {\n\t\tret = g(s);\n\t} while (ret == -EAGAIN && --t);\n"
        "again:\n\tret = g(s);\n\tcond_resched();\n\tif (fatal_signal_pending(current))\n\t\treturn -EINTR;\n"
        "\tif (ret == -EBUSY)\n\t\tgoto again;\n\tfor (t = 0; t < 9; t++) {\n\t\tret = g(s);\n\t\tif (ret != -EAGAIN)\n"
        "\t\t\tbreak;\n\t}\n\treturn ret;\n}\n"
    )
    fn = desk.program(text).function("drivers/demo/a.c", "f")
    names = lists_of(knowledge((6, 12)))
    found = {each.name: list(each.cuts(fn, names)) for each in RETRY}
    lines = {name: text[: cuts[0][0][0]].count("\n") + 1 for name, cuts in found.items() if cuts}
    assert lines == {"bound in the head": 15, "bound beside the errno": 7, "yield": 10, "signal check": 11}
    made = {name: text[: a[0][0][0]] + a[0][1].decode() + text[a[0][0][1] :] for name, a in found.items() if a}
    assert "while (ret == -EAGAIN);" in made["bound beside the errno"]
    assert "for (;;) {" in made["bound in the head"]
    assert "cond_resched" not in made["yield"] and "EINTR" not in made["signal check"]


@pytest.mark.needs_tree("6.12")
def test_a_sample_speaks(tree: DirectoryTree, rules: dict[str, Rule]) -> None:
    """A few of one part of the tree; all of them under `make prove`."""
    found = list(places(tree, ("drivers/net/ethernet", "drivers/pci", "drivers/crypto"), RETRY))
    chosen = random.Random(SEED).sample(found, 6)
    cuts, loud = tried(tree, sorted(chosen, key=lambda place: (place.path, place.start)), rules)
    print(told(cuts, loud))
    assert len(cuts) >= 5
    assert all(cut.spoke and cut.restored for cut in cuts), told(cuts, loud)


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_all_of_the_kernel_speaks(
    tree: DirectoryTree, rules: dict[str, Rule], sampled: Callable[..., list[Place]]
) -> None:
    every = list(places(tree, FOLDERS, RETRY))
    chosen = sampled(every)
    cuts, loud = tried(tree, chosen, rules)
    print(told(cuts, loud), *cut_out(Mutation("6.12", tuple(cuts), loud)), sep="\n")
    # A loop with two bounds still has one when one is taken out.
    silent = [cut for cut in cuts if not cut.spoke and not cut.why.startswith("bounded: ")]
    assert at_least(sum(cut.spoke for cut in cuts), len(cuts), 0.6), told(cuts, loud)
    assert len(every) >= 40 and {place.rule for place in every} >= {"unbounded-retry", "retry-no-resched"}
    assert at_least(len(cuts), len(chosen), 0.6), told(cuts, loud)
    assert at_most(len(silent), len(cuts), 0.2), told(cuts, loud)
    assert all(cut.why for cut in silent), "a silence without a reason:\n" + told(cuts, loud)
    assert all(cut.restored for cut in cuts)
