"""Macros and includes of a file, from its directives."""

from __future__ import annotations

from dataclasses import field

from msgspec import Struct

from lorelint.code.lex import mask
from lorelint.model.placed import placed
from lorelint.model.regex import regex

LONGEST = 16_384  # bytes of one macro's body that are read


@placed
class Macro:
    """A function-like macro.

    body   its text on one line, without comments
    calls  lower-case names called in the body, in order, each once
    wraps  the one function it hands its arguments to, "" where it does anything else
    """

    path: str
    line: int = field(compare=False)
    name: str
    params: tuple[str, ...]
    body: str
    calls: tuple[str, ...] = ()
    wraps: str = ""


class Include(Struct, frozen=True):
    path: str  # as written
    local: bool  # in quotes


# From the number sign on, which is one fast search; that nothing stands before it on its line is looked at after.
_DEFINE = regex(rb"#[ \t]*+define[ \t]++(\w++)\(([^()\n]*+)\)((?:[^\\\n]|\\\r?\n|\\)*+)")
_INCLUDE = regex(rb"(?m)^[ \t]*+#[ \t]*+include[ \t]*+([\"<])([^\">\n]++)[\">]")
_CONTINUED = regex(rb"\\\r?\n")
_CALL = regex(r"(?<![\w.>])([a-z_]\w*)\s*\(")
_WRAP = regex(r"([A-Za-z_]\w*)\s*\(")
_PAREN = regex(r"[()]")
_NOT_CALLS = frozenset(
    "if while for switch return sizeof typeof __typeof__ defined do else __attribute__ __alignof__".split()
)


def macros(path: str, raw: bytes) -> tuple[Macro, ...]:
    """All function-like macros of a file, in order (a name defined under several conditions: each of them)."""
    if b"define" not in raw:
        return ()
    found = []
    line, at = 1, 0
    for each in _DEFINE.finditer(raw):
        if raw[raw.rfind(b"\n", 0, each.start()) + 1 : each.start()].strip(b" \t"):
            continue
        line += raw.count(b"\n", at, each.start())
        at = each.start()
        words = (word.strip() for word in each.group(2).split(b","))
        params = tuple(word.decode("utf-8", "surrogateescape") for word in words if word)
        body = _CONTINUED.sub(b" ", each.group(3)[:LONGEST])
        if b"/*" in body or b"//" in body:
            body = _without_comments(body)
        text = " ".join(body.decode("utf-8", "surrogateescape").split())
        calls = tuple(dict.fromkeys(word for word in _CALL.findall(text) if word not in _NOT_CALLS | {*params}))
        name = each.group(1).decode()
        found.append(Macro(path, line, name, params, text, calls, _wraps(text, params, name)))
    return tuple(found)


def _without_comments(body: bytes) -> bytes:
    plain = mask(body)
    # literals are filled in masked text, so only what became blank is taken from it
    return bytes(0x20 if new == 0x20 else old for old, new in zip(body, plain, strict=True))


def _wraps(text: str, params: tuple[str, ...], name: str) -> str:
    text = text.rstrip("; ")
    while text.startswith("(") and _close(text, 0) == len(text):
        text = text[1:-1].strip()
    found = _WRAP.match(text)
    if found is None or found.group(1) in _NOT_CALLS or found.group(1) in params or found.group(1) == name:
        return ""
    return found.group(1) if _close(text, found.end() - 1) == len(text) else ""


def _close(text: str, at: int) -> int:
    """Just past the parenthesis that closes the one at `at`; -1 where there is none."""
    depth = 0
    for found in _PAREN.finditer(text, at):
        depth += 1 if found.group() == "(" else -1
        if depth == 0:
            return found.end()
    return -1


def includes(raw: bytes) -> tuple[Include, ...]:
    """What a file includes, in order."""
    return tuple(
        Include(each.group(2).decode("utf-8", "surrogateescape"), each.group(1) == b'"')
        for each in _INCLUDE.finditer(raw)
    )
