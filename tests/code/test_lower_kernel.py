"""Control flow of real code: the twenty cases, functions of 6.12 that were read by hand, and whole directories."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shares import at_most

from lorelint.code import ir
from lorelint.code.functions import functions
from lorelint.code.ir import At, LoopKind
from lorelint.code.loops import loops
from lorelint.code.lower import Lowering, lower

CORE = ("mm", "virt/kvm", "drivers/vfio", "drivers/iommu", "drivers/dma-buf")


@pytest.mark.needs_shared
def test_the_cases(shared: Path) -> None:
    """All but three of the functions have a loop, one has two; the lines told are those of the file."""
    path = shared / "corpora" / "cases" / "eagain_cases.c"
    raw = path.read_bytes()
    rows = raw.decode().splitlines()
    found: dict[str, int] = {}
    for fn in functions("cases.c", raw):
        cfg = lower(fn)
        assert not cfg.opaque
        found[fn.name] = len(loops(cfg))
        for node in cfg.nodes:
            for call in ir.calls(node.expr):
                assert call.name in rows[call.line - 1]
            if node.at is At.LABEL and node.label:
                assert f"{node.label}:" in rows[node.line - 1]
    assert sorted(name[:3] for name, count in found.items() if count == 0) == ["c13", "c14", "c16"]
    assert [name[:3] for name, count in found.items() if count > 1] == ["c17"]
    assert len(found) == 22


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize(
    ("path", "name", "kind", "label", "retried"),
    [
        ("drivers/vfio/vfio_iommu_type1.c", "vaddr_get_pfns", LoopKind.GOTO, "retry", "ret == -EAGAIN"),
        ("virt/kvm/kvm_main.c", "hva_to_pfn", LoopKind.GOTO, "retry", "r == -EAGAIN"),
        ("mm/memory.c", "follow_pfnmap_start", LoopKind.GOTO, "retry", ""),
        ("mm/gup.c", "fixup_user_fault", LoopKind.GOTO, "retry", ""),
        ("mm/gup.c", "__gup_longterm_locked", LoopKind.DO, "", "rc == -EAGAIN"),
        ("mm/hmm.c", "hmm_range_fault", LoopKind.DO, "", "ret == -EBUSY"),
    ],
)
def test_functions_read_by_hand(
    path: str, name: str, kind: LoopKind, label: str, retried: str, tree_dir: Callable[[str], Path]
) -> None:
    raw = (tree_dir("6.12") / path).read_bytes()
    (fn,) = (fn for fn in functions(path, raw) if fn.name == name)
    cfg = lower(fn)
    (loop,) = loops(cfg)
    assert (loop.kind, loop.label, loop.tangled, cfg.opaque) == (kind, label, False, ())
    before = {ir.show(node.expr) for id, _ in loop.back if (node := cfg.nodes[id]).expr and node.at is At.TEST}
    assert not retried or retried in before


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_core(
    tree_dir: Callable[[str], Path], sampled: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No goto without its label, next to no statement that nothing leads to, next to nothing unread."""
    made: list[Lowering] = []
    begin = Lowering.__init__

    def kept(self: Lowering, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        made[:] = [self]

    monkeypatch.setattr(Lowering, "__init__", kept)
    root = tree_dir("6.12")
    count = steps = dropped = lost = unread = gotos = 0
    every = [path for folder in CORE for path in sorted((root / folder).rglob("*.[ch]"))]
    chosen = sampled(every, 10)
    for path in chosen:
        for fn in functions(str(path.relative_to(root)), path.read_bytes()):
            cfg = lower(fn)
            count += 1
            steps += len(cfg.nodes)
            dropped += sum(at not in (At.MAYBE, At.LABEL) for at in made[0].at) - sum(
                node.at not in (At.MAYBE, At.LABEL) for node in cfg.nodes
            )
            gotos += len(re.findall(rb"\bgoto\b", fn.text))
            lost += len(made[0].opaque)
            unread += bool(cfg.opaque)
    assert count > 15 * len(chosen) and gotos > 4 * len(chosen) and len(every) > 300
    assert lost == 0
    assert at_most(dropped, steps, 0.0002)
    assert unread <= 1
