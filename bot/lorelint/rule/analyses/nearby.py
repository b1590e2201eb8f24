"""Who calls a function, as far as its own folder tells: without a search of the whole tree.

Drivers are called from the folder they lie in. Where nobody has made an index each search of the tree costs a second,
and a climb from a helper to the entry of a driver would be dozens of them.
"""

from __future__ import annotations

import re

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.code.search import CallSite, calls_in
from lorelint.rule.analyses.entry import Entry, entries
from lorelint.rule.analyses.folder import beside, folder_of


def callers(program: Program, fn: Function) -> tuple[CallSite, ...]:
    """Direct calls in the file of a static function, in the folder of another."""
    if fn.static:
        return program.callers(fn)
    return program.memo(("callers beside", fn.path, fn.name), lambda: _callers(program, fn))


def _callers(program: Program, fn: Function) -> tuple[CallSite, ...]:
    word = fn.name.encode("utf-8", "surrogateescape")
    found = [
        site
        for path in beside(program, folder_of(fn.path))
        if path.endswith(".c") and word in (program.raw(path) or b"")
        for each in program.functions(path)
        for site in calls_in(each, fn.name)
    ]
    return tuple(sorted(found, key=lambda site: (site.fn.path, site.line)))


def entered(program: Program, fn: Function) -> tuple[Entry, ...]:
    """What a function is entered for, where its name stands as a value in its folder."""
    if not fn.static and not _as_value(program, fn):
        return ()
    return entries(program, fn)


def _as_value(program: Program, fn: Function) -> bool:
    value = re.compile(rb"\b" + re.escape(fn.name.encode("utf-8", "surrogateescape")) + rb"\b(?!\s*\()")
    return any(
        value.search(program.raw(path) or b"") for path in beside(program, folder_of(fn.path)) if path.endswith(".c")
    )
