"""How much of real kernels is read, and that the quick road finds what the slow one finds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tree_sitter_c
from tests.shares import at_most
from tree_sitter import Language, Parser

from lorelint.code.functions import functions
from lorelint.code.headers import header
from lorelint.code.lex import mask
from lorelint.code.parse import definitions, parse_function
from lorelint.code.segments import PieceKind, segments
from lorelint.model.tree import LIMIT

Sample = Callable[..., list[Path]]
CORE = ("mm", "virt/kvm", "drivers/vfio", "drivers/iommu", "drivers/dma-buf")
NEWLINE = b"\n"
TREES = ("5.10", "6.1", "6.12", "7.2")


def paths(root: Path, *folders: str) -> list[Path]:
    every = (path for folder in folders for path in sorted((root / folder).rglob("*.[ch]")))
    return [path for path in every if path.is_file() and not path.is_symlink() and path.stat().st_size <= LIMIT]


def files(root: Path, *folders: str) -> Iterator[tuple[str, bytes]]:
    for path in paths(root, *folders):
        yield str(path.relative_to(root)), path.read_bytes()


def clean(root: Path, chosen: list[Path]) -> tuple[int, list[str]]:
    """Functions, and those with text in one of their variants that did not parse."""
    count, degraded = 0, []
    for path in chosen:
        for fn in functions(str(path.relative_to(root)), path.read_bytes()):
            count += 1
            syntaxes = parse_function(fn)
            if not syntaxes or any(syntax.degraded for syntax in syntaxes):
                degraded.append(f"{path} {fn.name}")
    return count, degraded


@pytest.mark.needs_tree("6.12")
def test_core_is_parsed(tree_dir: Callable[[str], Path]) -> None:
    count, degraded = clean(tree_dir("6.12"), paths(tree_dir("6.12"), *CORE))
    assert count > 11_000
    assert len(degraded) <= 0.001 * count, degraded


@pytest.mark.needs_tree("6.12")
def test_core_by_structure_is_core_by_parse(tree_dir: Callable[[str], Path]) -> None:
    different, doubtful = [], []
    for path, raw in files(tree_dir("6.12"), *CORE):
        found = segments(raw)
        quick = {(piece.brace, piece.end) for piece in found.pieces if piece.kind is PieceKind.FUNCTION}
        slow = {(brace, end) for _, brace, end in definitions(raw)}
        different += [(path, raw.count(b"\n", 0, brace) + 1) for brace, _ in quick ^ slow]
        doubtful += [path] if found.doubt else []
    assert different == []
    assert doubtful == []


@pytest.mark.needs_tree("6.12")
def test_names_that_only_macros_give(tree_dir: Callable[[str], Path]) -> None:
    path = "arch/s390/pci/pci_mmio.c"
    found = {fn.name: fn for fn in functions(path, (tree_dir("6.12") / path).read_bytes())}
    write = found["s390_pci_mmio_write"]
    assert [(param.type, param.name) for param in write.params] == [
        ("unsigned long", "mmio_addr"),
        ("const void __user *", "user_buffer"),
        ("size_t", "length"),
    ]
    assert {"s390_pci_mmio_read"} <= set(found)
    assert not [name for name in found if name.startswith("SYSCALL")]


@pytest.mark.prove
@pytest.mark.parametrize("name", TREES)
def test_whole_tree_is_parsed(tree_dir: Callable[[str], Path], sampled: Sample, name: str) -> None:
    root = tree_dir(name)
    every = paths(root, *sorted(path.name for path in root.iterdir() if path.is_dir()))
    chosen = sampled(every, 100)
    count, degraded = clean(root, chosen)
    assert len(every) > 40_000 and count > 6 * len(chosen)
    assert at_most(len(degraded), count, 0.002), degraded[:100]


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_structure_loses_nothing_in_the_whole_tree(tree_dir: Callable[[str], Path], sampled: Sample) -> None:
    """4,000 files by a fixed seed, definition by definition, against a tolerant parse of whole files.

    What only the parse takes for a function is none: `if (..) {` after a conditional that cut a function, a table made
    by a macro. What only the structure finds was read by hand: functions the parse lost to a macro before them, and
    those under ``#if 0``.
    """
    root = tree_dir("6.12")
    every = sorted(path for path in root.rglob("*.c") if path.stat().st_size <= LIMIT and not path.is_symlink())
    more, lost, count = [], [], 0
    for path in sampled(random.Random(20260317).sample(every, 4000), 40):
        raw = path.read_bytes()
        quick = {piece.brace for piece in segments(raw).pieces if piece.kind is PieceKind.FUNCTION}
        slow = {brace: start for start, brace, _ in definitions(raw)}
        count += len(slow)
        more += [f"{path.relative_to(root)}:{1 + raw.count(NEWLINE, 0, brace)}" for brace in sorted(quick - set(slow))]
        for brace in sorted(set(slow) - quick):
            read = header(mask(raw[slow[brace] : brace]))
            if read is not None and read.name != b"if" and not read.name.startswith(b"define_"):
                lost.append(f"{path.relative_to(root)}:{1 + raw.count(NEWLINE, 0, brace)} {read.name!r}")
    print(f"{count} definitions; only by structure: {len(more)} {more}; lost: {lost}")
    assert lost == []
    assert at_most(len(more), count, 0.004)


@pytest.mark.bench
@pytest.mark.needs_tree("6.12")
def test_speed(tree_dir: Callable[[str], Path]) -> None:
    """Against a bare parse of the same bytes (0.75 s of CPU for core on a quiet machine), so load cancels."""
    every = list(files(tree_dir("6.12"), *CORE))
    parser = Parser(Language(tree_sitter_c.language()))

    def cost(work: Callable[[str, bytes], object]) -> float:
        best = 99.0
        for _ in range(3):
            start = time.process_time()
            for path, raw in every:
                work(path, raw)
            best = min(best, time.process_time() - start)
        return best

    bare = cost(lambda _, raw: parser.parse(raw))
    found = cost(functions)
    print(f"bare parse {bare:.3f} s, all functions {found:.3f} s")
    assert found <= bare / 3
    raw = dict(every)["mm/memory.c"]
    fn = next(fn for fn in functions("mm/memory.c", raw) if fn.name == "do_swap_page")
    every = [("mm/memory.c", raw)] * 10
    look, read = cost(functions) / 10, cost(lambda *_: parse_function(fn)) / 10
    print(f"functions of mm/memory.c {look * 1000:.1f} ms, syntax of one {read * 1000:.1f} ms")
    assert look + read <= bare / 75  # 10 ms quiet
