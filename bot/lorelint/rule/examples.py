"""The examples beside the rules: whole-file diffs that say what must be found, and where.

    --- a/drivers/x/x.c
    +++ b/drivers/x/x.c
     int untouched(void)            every line of the file: ' ' stays, '-' goes, '+' comes
    +       broken();               /* want: text of the message */

Several files follow one another, each with its two headers; an empty line is an empty line that stays.
A text without headers is one new C file. ``# kernel: 6.12`` before the first header names the version
that the lists are cut to. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from lorelint.code.program import Cache, Program
from lorelint.kernel.load import knowledge, known_versions
from lorelint.model.base import Applied, Base, BaseStep, FileBase, Grade, Snapshot
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Edit, Judged, Kind
from lorelint.model.mail import Change, FileDiff, Message, Patch
from lorelint.model.regex import regex
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.concern import OPEN
from lorelint.rule.delta import Delta, delta
from lorelint.rule.door import Rule

_WANT = regex(r"/\*\s*want:\s*(.*?)\s*\*/")
_KERNEL = regex(r"#\s*kernel:\s*(\d+)\.(\d+)\s*\Z")
_FILE = regex(r"(---|\+\+\+) (?:[ab]/)?(\S+)")


class Want(Struct, frozen=True):
    """A finding that must come: its place in the tree after, and a piece of its message."""

    path: str
    line: int
    text: str


class Example(Struct, frozen=True):
    """Both trees and what must be found between them. None in a tree: no such file."""

    before: Mapping[str, bytes | None]
    after: Mapping[str, bytes | None]
    wants: tuple[Want, ...]
    kernel: tuple[int, int]


def parse(text: str, where: str = "example") -> Example:
    """Read an example. Raises LorelintError with the line that is none of a whole-file diff."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    gone: set[str] = set()
    kernel = known_versions()[-1]
    old = path = ""
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    if not any(line.startswith("+++ ") for line in lines):
        return _all_new(lines, where, kernel)
    for number, line in enumerate(lines, 1):
        if match := _KERNEL.match(line):
            kernel = (int(match[1]), int(match[2]))
        elif (match := _FILE.match(line)) and _is_header(lines, number):
            if match[1] == "---":
                old = match[2]
                continue
            path = old if match[2] == "/dev/null" else match[2]
            before[path], after[path] = [], []
            gone |= {path} if match[2] == "/dev/null" else set()
        elif not path or line[:1] not in ("", " ", "+", "-", "\t"):
            remedy = "begin every line with a blank, + or -"
            raise LorelintError(
                f"no line of a whole-file diff: {line[:40]!r}", where=f"{where}:{number}", remedy=remedy
            )
        else:
            op, rest = (line[0], line[1:]) if line[:1] in (" ", "+", "-") else (" ", line)
            if op != "+":
                before[path].append(rest)
            if op != "-":
                after[path].append(rest)
    files_before = {path: _bytes(content) for path, content in before.items()}
    files_after = {path: None if path in gone else _bytes(content) for path, content in after.items()}
    return Example(files_before, files_after, tuple(_wants(after)), kernel)


def _is_header(lines: list[str], number: int) -> bool:
    """A ``---`` line is a header where ``+++`` follows, and the other way about: C has neither."""
    line = lines[number - 1]
    other = lines[number] if line.startswith("---") and number < len(lines) else ""
    return line.startswith("+++") or other.startswith("+++ ")


def _all_new(lines: list[str], where: str, kernel: tuple[int, int]) -> Example:
    path = where.rpartition("/")[2].rpartition(".")[0] + ".c"
    return Example({path: None}, {path: _bytes(lines)}, tuple(_wants({path: lines})), kernel)


def _bytes(lines: list[str]) -> bytes | None:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape") if lines else None


def _wants(files: Mapping[str, list[str]]) -> Iterator[Want]:
    for path, lines in files.items():
        for number, line in enumerate(lines, 1):
            for match in _WANT.finditer(line):
                yield Want(path, number, match[1])


# -- running one -------------------------------------------------------------------------------


def applied(example: Example) -> Applied:
    """The example as a series of one patch on an exact base."""
    under = EmptyTree("example")
    paths = sorted({*example.before, *example.after})
    diffs = tuple(FileDiff(path, path, Change.MODIFY, "", "", (), 0) for path in paths)
    mail = Message("example", "example", "", "", "", "", (), (), (), "")
    patch = Patch(1, "example", "example", ("", ""), "", "", diffs, mail)
    files = {path: FileBase(path, Grade.EXACT, "the example is whole") for path in paths}
    snapshot = Snapshot(patch, OverlayTree(under, example.before), OverlayTree(under, example.after), files)
    base = Base("example", "", Grade.EXACT, (BaseStep("named", "example", True, "the example is whole"),))
    return Applied(base, (snapshot,))


def run(rule: Rule, example: Example) -> Delta:
    """The rule on the example, before and after."""
    know, cache = knowledge(example.kernel), Cache.empty()
    return delta(applied(example), (rule,), lambda tree: Program(tree, know, cache))


def problems(rule: Rule, text: str = "", where: str = "") -> tuple[str, ...]:
    """What is wrong with a rule's example (`text`, else the one beside the rule), one line each; empty = all is well.

    Every want must be met on its line; anything that was not wanted is wrong; there must be a want, and a
    near miss: another function that holds the rule's tokens and stays silent. A fix must end what it is offered for.
    """
    where = where or f"{rule.name.replace('-', '_')}.diff"
    example = parse(text or rule.example, where)
    result = run(rule, example)
    spoken = [each for each in result.judged if each.finding.kind is Kind.DEFECT and each.status in OPEN]
    found = [f"{where}: the rule failed on {each.function}(): {each.text}" for each in result.failures]
    unmet = list(example.wants)
    for judged in spoken:
        meant = next((want for want in unmet if _meets(judged, want)), None)
        if meant is None:
            found.append(f"{where}: not wanted: {_shown(judged)}")
        else:
            unmet.remove(meant)
    found += [f"{where}: {want.path}:{want.line}: not found: {want.text}" for want in unmet]
    if not example.wants:
        found.append(f"{where}: wants nothing: a rule is shown speaking")
    found += [f"{where}: {each}" for judged in spoken for each in _fixed(rule, example, judged)]
    if not _near_miss(rule, example, {(each.finding.path, each.finding.function) for each in spoken}):
        found.append(f"{where}: has no near miss: a function with the rule's words that stays silent")
    return tuple(found)


def _meets(judged: Judged, want: Want) -> bool:
    finding = judged.finding
    return (finding.path, finding.line) == (want.path, want.line) and want.text in finding.message


def _shown(judged: Judged) -> str:
    finding = judged.finding
    return f"{finding.path}:{finding.line}: {finding.message} ({judged.status}, {finding.function}())"


def _fixed(rule: Rule, example: Example, judged: Judged) -> Iterator[str]:
    """What is wrong with the fix of a finding."""
    fix = judged.finding.fix
    if fix is None:
        return
    text = example.after.get(fix.path)
    changed = None if text is None else with_edits(text, fix.edits)
    if changed is None:
        yield f"the fix does not apply: {_shown(judged)}"
        return
    after = {**example.after, fix.path: changed}
    again = run(rule, Example(example.before, after, (), example.kernel)).judged
    if any(each.finding.fingerprint == judged.finding.fingerprint and each.status in OPEN for each in again):
        yield f"the fix does not end it: {_shown(judged)}"


def with_edits(content: bytes, edits: Sequence[Edit]) -> bytes | None:
    """A file after the edits of a fix; None where there are none, or it has no such lines."""
    lines = content.split(b"\n")
    if not edits or edits[-1].line > len(lines):
        return None
    for edit in reversed(edits):
        lines[edit.line - 1 : edit.line] = [line.encode("utf-8", "surrogateescape") for line in edit.lines]
    return b"\n".join(lines)


def _near_miss(rule: Rule, example: Example, spoken: set[tuple[str, str]]) -> bool:
    program = Program(OverlayTree(EmptyTree("example"), example.after), knowledge(example.kernel))
    functions = (fn for path in sorted(example.after) for fn in program.functions(path))
    return any(rule.tokens.admit(fn.text) and fn.key not in spoken for fn in functions)
