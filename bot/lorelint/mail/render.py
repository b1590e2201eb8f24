"""File changes to the text of a git diff, in one canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lorelint.mail.paths import DEV_NULL, quote
from lorelint.model.mail import Change, FileDiff, Hunk

# A FileDiff holds no modes: nothing we say depends on them.
_MODE = "100644"


def render(files: Iterable[FileDiff]) -> str:
    """The diff text that parses to these changes again (line maps aside). Binary content is not held, nor shown."""
    lines: list[str] = []
    for file in files:
        lines += _file(file)
    return "".join(line + "\n" for line in lines)


def render_hunk(hunk: Hunk) -> tuple[str, ...]:
    """A hunk's lines, header first, as git prints them."""
    old, new = _range(hunk.old_start, hunk.old_count), _range(hunk.new_start, hunk.new_count)
    header = f"@@ -{old} +{new} @@" + (f" {hunk.section}" if hunk.section else "")
    return (header, *_body(hunk))


def _range(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start},{count}"


def _body(hunk: Hunk) -> Iterator[str]:
    last_old = max((at for at, line in enumerate(hunk.lines) if line.op in " -"), default=-1)
    last_new = max((at for at, line in enumerate(hunk.lines) if line.op in " +"), default=-1)
    for at, line in enumerate(hunk.lines):
        yield line.op + line.text
        if (hunk.no_newline_old and at == last_old) or (hunk.no_newline_new and at == last_new):
            yield "\\ No newline at end of file"


def _file(file: FileDiff) -> Iterator[str]:
    old = quote("a/" + (file.old_path or file.new_path))
    new = quote("b/" + (file.new_path or file.old_path))
    yield f"diff --git {old} {new}"
    yield from _extended(file)
    if file.old_blob or file.new_blob:
        width = max(len(file.old_blob), len(file.new_blob))
        mode = "" if file.change in (Change.CREATE, Change.DELETE) else f" {_MODE}"
        yield f"index {file.old_blob or '0' * width}..{file.new_blob or '0' * width}{mode}"
    if file.change is Change.BINARY:
        yield f"Binary files {old if file.old_path else DEV_NULL} and {new if file.new_path else DEV_NULL} differ"
    if file.hunks:
        yield f"--- {_named(old) if file.old_path else DEV_NULL}"
        yield f"+++ {_named(new) if file.new_path else DEV_NULL}"
    for hunk in file.hunks:
        yield from render_hunk(hunk)


def _named(name: str) -> str:
    # git ends a name that has a space with a tab, so that a date after it can be told from it.
    return name + "\t" if " " in name and not name.startswith('"') else name


def _extended(file: FileDiff) -> Iterator[str]:
    if file.change is Change.CREATE or (file.change is Change.BINARY and not file.old_path):
        yield f"new file mode {_MODE}"
    elif file.change is Change.DELETE or (file.change is Change.BINARY and not file.new_path):
        yield f"deleted file mode {_MODE}"
    elif file.change is Change.MODE:
        yield f"old mode {_MODE}"
        yield "new mode 100755"
    elif file.change in (Change.RENAME, Change.COPY):
        word = file.change.value
        yield f"{word} from {quote(file.old_path)}"
        yield f"{word} to {quote(file.new_path)}"
