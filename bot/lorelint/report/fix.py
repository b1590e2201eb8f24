"""A fix as a diff that applies to the tree its finding was made on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from lorelint.model.finding import Edit, Fix, Judged
from lorelint.report.place import Source

CONTEXT = 3

Lines = Callable[[int], str | None]
"""1-based line of the file -> its text, None where there is none."""


def diff(fix: Fix, line_at: Lines) -> list[str]:
    """Lines of a unified diff, without line feeds; none where the file has no such lines."""
    hunks = list(_hunks(fix.edits, line_at))
    if not hunks:
        return []
    return [f"--- a/{fix.path}", f"+++ b/{fix.path}", *(line for hunk in hunks for line in hunk)]


def patch(findings: Iterable[Judged], source: Source) -> str:
    """All fixes as one diff, which git apply and patch(1) take; of two about the same line the first."""
    chosen: dict[tuple[int, str], dict[int, Edit]] = {}
    for judged in findings:
        fix = judged.finding.fix
        if fix is None:
            continue
        taken = chosen.setdefault((judged.patch, fix.path), {})
        if not any(edit.line in taken for edit in fix.edits):
            taken.update({edit.line: edit for edit in fix.edits})
    text = ""
    for (seq, path), edits in sorted(chosen.items()):
        fix = Fix(path, tuple(edits[at] for at in sorted(edits)), "")
        text += "".join(f"{line}\n" for line in diff(fix, lambda at, seq=seq, path=path: source(seq, path, at)))  # type: ignore[misc]
    return text


def _hunks(edits: Sequence[Edit], line_at: Lines) -> Iterator[list[str]]:
    """One hunk for edits whose context touches; one that leaves its line as it is makes none."""
    groups: list[list[Edit]] = []
    for edit in edits:
        if edit.lines == (line_at(edit.line),):
            continue
        if groups and edit.line - groups[-1][-1].line <= 2 * CONTEXT:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    offset = 0
    for group in groups:
        first = max(1, group[0].line - CONTEXT)
        changed = {edit.line: edit.lines for edit in group}
        body: list[str] = []
        old = new = 0
        for at in range(first, group[-1].line + CONTEXT + 1):
            text = line_at(at)
            if text is None or (text == "" and line_at(at + 1) is None):  # what follows the last line feed is no line
                break
            instead = changed.get(at, (text,))
            old, new = old + 1, new + len(instead)
            body += _changed(text, instead)
        if not old:
            return
        yield [f"@@ -{first},{old} +{first + offset},{new} @@", *body]
        offset += new - old


def _changed(text: str, instead: Sequence[str]) -> list[str]:
    """The line taken out and others put in; where it stays among them it is context."""
    if text in instead:
        at = instead.index(text)
        return [*(f"+{line}" for line in instead[:at]), f" {text}", *(f"+{line}" for line in instead[at + 1 :])]
    return [f"-{text}", *(f"+{line}" for line in instead)]
