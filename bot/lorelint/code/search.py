"""Names in text: where a call or a definition stands, and which file can mean which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lorelint.code.ir import Function
from lorelint.code.lex import mask


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call; `line` is that of the callee's name."""

    fn: Function
    line: int


# Folders whose code is never linked into the kernel.
_APART = frozenset(("tools", "samples", "scripts", "Documentation", "usr"))
# Where a definition that everybody calls most likely is; only the order in which files are opened depends on it.
_CORE = ("include", "mm", "kernel", "lib", "fs", "virt", "block", "ipc", "security", "crypto", "net", "init", "io_uring")


def order(paths: tuple[str, ...], near: str) -> tuple[str, ...]:
    """Nearest first: the same folder, the folders around it, headers for all, the core, the rest."""
    folder = near.rpartition("/")[0].split("/")

    def rank(path: str) -> tuple[int, int, int, str]:
        parts = path.split("/")
        shared = 0
        for one, two in zip(parts[:-1], folder, strict=False):
            if one != two:
                break
            shared += 1
        top = parts[0]
        apart = int(top in _APART and folder[0] != top)
        core = _CORE.index(top) if top in _CORE else len(_CORE)
        return (apart, -shared, core, path)

    return tuple(sorted(paths, key=rank))


def visible(fn: Function, near: str) -> bool:
    """Whether a call in file `near` can mean this definition in another file."""
    there, here = fn.path.split("/"), near.split("/")
    if there[0] != here[0] and (there[0] in _APART or here[0] in _APART):
        return False
    if there[0] == here[0] == "arch" and there[1:2] != here[1:2]:
        return False
    if not fn.path.endswith(".h"):
        return not fn.static
    # a header for all, or one of the folders above or below
    if there[0] == "include" or "include" in there[:-1]:
        return True
    folder, mine = there[:-1], here[:-1]
    return folder == mine[: len(folder)] or mine == folder[: len(mine)] or folder[:2] == mine[:2]


def may_define(raw: bytes, name: str) -> bool:
    """A cheap look before a file's functions are found: the name before a parenthesis, or as a definer's first argument."""
    word = re.escape(name.encode("utf-8", "surrogateescape"))
    return re.search(rb"(?m)^[A-Za-z_*][^;\n]*?(?<!\w)" + word + rb"[ \t]*+[(),]|^" + word + rb"[ \t]*+\(", raw) is not None


def calls_in(fn: Function, name: str) -> Iterator[CallSite]:
    """Calls of `name` by name in the body of a function."""
    word = name.encode("utf-8", "surrogateescape")
    if word not in fn.text or any(param.name == name for param in fn.params):
        return
    code = mask(fn.text)
    pattern = re.compile(rb"(?<![\w.>])" + re.escape(word) + rb"\s*+\(|(?<=[^-]>)" + re.escape(word) + rb"\s*+\(")
    start = code.find(b"{")
    for found in pattern.finditer(code, start):
        yield CallSite(fn, fn.first_line + code.count(b"\n", 0, found.start()))
