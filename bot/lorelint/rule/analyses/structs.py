"""Where a struct is defined, and what its fields are."""

from __future__ import annotations

import re

from lorelint.code.program import Program
from lorelint.rule.analyses.folder import beside, folder_of, headers

Fields = tuple[tuple[str, str], ...]


def field_type(program: Program, tag: str, field: str, near: str) -> str:
    """Type text of a field, "" where the struct or the field was not found."""
    return dict(fields(program, tag, near)).get(field, "") if tag else ""


def fields(program: Program, tag: str, near: str) -> Fields:
    """(name, type text) of the fields of a struct as seen from a file; () where no definition was found.

    Looked for in the file, its folder, and the headers it includes; never in the whole tree.
    """
    return program.memo(("struct", tag, near), lambda: _fields(program, tag, near))


def _fields(program: Program, tag: str, near: str) -> Fields:
    head = re.compile(rb"struct\s+" + re.escape(tag.encode("utf-8", "surrogateescape")) + rb"\s*(?:__\w+\s*)*\{")
    for path in dict.fromkeys((near, *headers(program, near), *beside(program, folder_of(near)))):
        raw = program.raw(path)
        if raw is not None and head.search(raw):
            for struct in program.structs(path):
                if struct.name == tag:
                    return struct.fields
    return ()
