"""The check taken out of correct functions of a real kernel makes the rules speak; put in again, they fall silent.

The functions are found here and now, by text: a jump back (``goto`` to a label above, ``do .. while``) under an
errno, and beside it a bound, a cond_resched() or a check of fatal signals that can be cut out. Nothing is asked of
the rules to find them, so the share that speaks is a measure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorelint.code.ir import Function
from lorelint.code.lex import mask
from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule

SEED = 20260317
FOLDERS = ("drivers", "mm", "fs", "virt", "arch/x86/kvm", "arch/s390/kvm", "arch/powerpc/kvm", "arch/arm64/kvm")
ERRNO = rb"\(*\s*\w+\s*==\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\s*\)*"
AGAIN = re.compile(ERRNO + rb"(?:\s*\|\|\s*" + ERRNO + rb")*")
COUNT = re.compile(rb"\(*\s*!?\s*(?:--\w+|\w+--|\+\+\w+|\w+\+\+)\s*(?:[<>]=?\s*\w+|[!=]=\s*\w+)?\s*\)*")
COMPARED = re.compile(rb"\(*\s*(\w+)\s*[<>]=?\s*(\w+)\s*\)*")
CLOCK = re.compile(
    rb"\(*\s*!?\s*(?:time_(?:before|after)(?:_eq)?|time_is_\w+|ktime_(?:before|after))\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*\)*"
)
CONDITION = re.compile(rb"\b(if|while)\s*\(")
GOTO = re.compile(rb"\s*+\{?(?:[^{};]*+;){0,6}?\s*+goto\s+(\w+)\s*;")
LEAVE = rb"(?:return[^;{}]*|break|goto\s+\w+)\s*;"
BOUNDED_OUT = re.compile(
    rb"^[ \t]*if\s*\(\s*(?:!?\s*(?:--\w+|\w+--)(?:\s*[<=]=?\s*0)?|(?:\+\+\w+|\w+\+\+)\s*>=?\s*\w+|"
    + rb"time_after(?:_eq)?\(jiffies,[^;{}]*\))\s*\)\s*(?:\{[^{}]*"
    + LEAVE
    + rb"\s*\}|"
    + LEAVE
    + rb")[ \t]*$",
    re.M,
)
YIELD = re.compile(rb"^[ \t]*(?:cond_resched|msleep|usleep_range|fsleep|ssleep|schedule)\([^;{}]*\);[ \t]*$", re.M)
#: A loop that counts or looks at a clock in its head, and leaves on everything but one errno.
HEAD = re.compile(rb"\b(?:for\s*\([^;{}]*;([^;{}]*);([^{};]*)\)|while\s*\(([^{};]*)\))\s*\{")
UNLESS = re.compile(rb"\bif\s*\(\s*\w+\s*!=\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\s*\)\s*\{?\s*" + LEAVE)
SIGNAL = re.compile(
    rb"^[ \t]*if\s*\((?:unlikely\()?(?:fatal_)?signal_pending\(current\)\)?\)\s*(?:\{[^{}]*"
    + LEAVE
    + rb"\s*\}|"
    + LEAVE
    + rb")[ \t]*$",
    re.M,
)


@dataclass(frozen=True)
class Cut:
    """A check that can be taken out: bytes `start` to `end` of a function's text become `instead`."""

    rule: str
    path: str
    function: str
    line: int
    start: int
    end: int
    instead: bytes
    what: str

    def apply(self, text: bytes) -> bytes:
        return text[: self.start] + self.instead + text[self.end :]


def closing(code: bytes, at: int) -> int:
    """The place of the parenthesis that closes the one at `at`, -1 where there is none."""
    depth = 0
    for found in re.finditer(rb"[()]", code[at : at + 2000]):
        depth += 1 if found.group() == b"(" else -1
        if depth == 0:
            return at + found.start()
    return -1


def conjuncts(code: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Spans of the operands of the outermost ``&&`` of a condition."""
    spans, depth, begin = [], 0, start
    for found in re.finditer(rb"[()]|&&", code[start:end]):
        at = start + found.start()
        if found.group() == b"&&":
            if depth == 0:
                spans.append((begin, at))
                begin = at + 2
        else:
            depth += 1 if found.group() == b"(" else -1
    return [*spans, (begin, end)]


def loops(code: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(start of the loop, end of its last test, start and end of the condition under which it goes round)."""
    for found in CONDITION.finditer(code):
        end = closing(code, found.end() - 1)
        if end < 0:
            continue
        if found[1] == b"while":
            before = code[: found.start()].rstrip()
            if before.endswith(b"}") and code[end + 1 :].lstrip()[:1] == b";":
                yield opened(code, len(before) - 1), end, found.end(), end
        else:
            jump = GOTO.match(code, end + 1)
            label = jump and re.search(rb"^[ \t]*" + jump[1] + rb"[ \t]*:", code, re.M)
            if jump and label and label.start() < found.start():
                yield label.start(), jump.end(), found.end(), end


def opened(code: bytes, at: int) -> int:
    """The place of the brace that the one at `at` closes."""
    depth = 0
    for place in range(at, -1, -1):
        if code[place] in b"{}":
            depth += 1 if code[place : place + 1] == b"}" else -1
            if depth == 0:
                return place
    return 0


def cuts(fn: Function) -> Iterator[Cut]:
    """All checks of retry loops that can be cut out of a function."""
    code = mask(fn.text)

    def cut(rule: str, start: int, end: int, instead: bytes, what: str) -> Cut:
        line = fn.first_line + code.count(b"\n", 0, start)
        return Cut(rule, fn.path, fn.name, line, start, end, instead, what)

    for low, high, endless in counted(code):
        yield cut("unbounded-retry", low, high, endless, "bound in the head")
    for start, end, low, high in loops(code):
        parts = conjuncts(code, low, high)
        retried = [part for part in parts if AGAIN.fullmatch(code[part[0] : part[1]].strip())]
        if not retried:
            continue
        body = code[start:end]
        others = [part for part in parts if part not in retried]
        bounds = [part for part in others if is_bound(code[part[0] : part[1]].strip(), body)]
        if len(bounds) == 1 and len(others) == 1:
            kept = b"&&".join(fn.text[a:b] for a, b in retried).strip()
            yield cut("unbounded-retry", low, high, kept, "bound beside the errno")
        if others:
            continue
        for pattern, rule, what in (
            (BOUNDED_OUT, "unbounded-retry", "bound of its own"),
            (YIELD, "retry-no-resched", "yield"),
            (SIGNAL, "retry-no-fatal-signal", "signal check"),
        ):
            found = list(pattern.finditer(code, start, end))
            if len(found) == 1:
                yield cut(rule, found[0].start(), found[0].end(), b"", what)


def counted(code: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Heads of counted loops that are retry loops: (start, end, what they become)."""
    for found in HEAD.finditer(code):
        body = code[found.end() : closed(code, found.end() - 1)]
        test = found[1] if found[3] is None else found[3]
        step = found[2] or b""
        if UNLESS.search(body) and b"continue" not in body and is_bound(test.strip(), body + step):
            yield found.start(), found.end(), b"for (;;) {"


def closed(code: bytes, at: int) -> int:
    """The place of the brace that closes the one at `at`; the end of the text where there is none."""
    depth = 0
    for found in re.finditer(rb"[{}]", code[at:]):
        depth += 1 if found.group() == b"{" else -1
        if depth == 0:
            return at + found.start()
    return len(code)


def is_bound(part: bytes, body: bytes) -> bool:
    if COUNT.fullmatch(part) or CLOCK.fullmatch(part):
        return True
    compared = COMPARED.fullmatch(part)
    if compared is None:
        return False
    changed = [
        re.search(rb"(?:\+\+|--)" + name + rb"\b|\b" + name + rb"\s*(?:\+\+|--|[-+]=)", body)
        for name in compared.groups()
    ]
    return any(changed)


WORTH = re.compile(rb"==\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\b")


def search(tree: DirectoryTree, folders: Sequence[str]) -> Iterator[Cut]:
    cache = Cache.empty()
    program = Program(tree, knowledge((6, 12)), cache)
    for folder in folders:
        for path in tree.files(folder):
            raw = tree.read(path)
            if raw is None or len(raw) > 1 << 20 or not WORTH.search(raw):
                continue
            for fn in program.functions(path):
                if WORTH.search(fn.text):
                    yield from cuts(fn)


@dataclass(frozen=True)
class Tried:
    cut: Cut
    before: bool  # it speaks of the function as it is
    after: bool  # and without the check
    why: str  # reasons of a silence without the check


def attempt(tree: DirectoryTree, cut: Cut, rule: Rule, desk: SimpleNamespace) -> Tried:
    know = knowledge((6, 12))
    whole = Program(tree, know)
    before = desk.judge(whole, rule, cut.function, cut.path)
    fn = whole.function(cut.path, cut.function)
    raw = tree.read(cut.path)
    assert fn is not None and raw is not None and raw.count(fn.text) == 1
    changed = Program(OverlayTree(tree, {cut.path: raw.replace(fn.text, cut.apply(fn.text))}), know)
    after = desk.judge(changed, rule, cut.function, cut.path)
    return Tried(cut, before.fires, after.fires, after.reasons)


def report(tried: Sequence[Tried]) -> str:
    correct = [each for each in tried if not each.before]
    speak = sum(each.after for each in correct)
    lines = [
        f"{len(tried)} functions with a check that can be cut out, {len(correct)} silent as they are, {speak} speak"
    ]
    for each in correct:
        if not each.after:
            cut = each.cut
            lines.append(
                f"silent without its {cut.what}: {cut.rule} {cut.path}:{cut.line} {cut.function}(): {each.why}"
            )
    return "\n".join(lines)


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
    found = {cut.what: text[: cut.start].count("\n") + 1 for cut in cuts(fn)}
    assert found == {"bound in the head": 15, "bound beside the errno": 7, "yield": 10, "signal check": 11}
    made = {cut.what: cut.apply(text.encode()).decode() for cut in cuts(fn)}
    assert "while (ret == -EAGAIN);" in made["bound beside the errno"]
    assert "for (;;) {" in made["bound in the head"]
    assert "cond_resched" not in made["yield"] and "EINTR" not in made["signal check"]


@pytest.mark.needs_tree("6.12")
def test_a_sample_speaks(tree: DirectoryTree, rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    """A few of one part of the tree; all of them under `make prove`."""
    found = list(search(tree, ("drivers/net/ethernet", "drivers/pci", "drivers/crypto")))
    chosen = random.Random(SEED).sample(found, 6)
    tried = [attempt(tree, cut, rules[cut.rule], desk) for cut in sorted(chosen, key=lambda c: (c.path, c.start))]
    print(report(tried))
    assert sum(not each.before for each in tried) >= 5
    assert all(each.after or each.before for each in tried), report(tried)


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_all_of_the_kernel_speaks(
    tree: DirectoryTree, rules: dict[str, Rule], desk: SimpleNamespace, sampled: Callable[..., list[Cut]]
) -> None:
    every = list(search(tree, FOLDERS))
    chosen = sampled(every)
    tried = [attempt(tree, cut, rules[cut.rule], desk) for cut in chosen]
    print(report(tried))
    correct = [each for each in tried if not each.before]
    silent = [each for each in correct if not each.after]
    assert len(every) >= 40 and {cut.rule for cut in every} >= {"unbounded-retry", "retry-no-resched"}
    assert len(correct) >= len(chosen) * 0.6, report(tried)
    assert len(silent) <= len(correct) * 0.2, report(tried)
    assert all(each.why for each in silent), "a silence without a reason:\n" + report(tried)
