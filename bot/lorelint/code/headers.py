"""The header of a function definition, read without a parser.

What stands before the brace is plain enough in kernel style that a few rules about parentheses
read it, and the few that are macros (``SYSCALL_DEFINE3(name, ...)``) no grammar would.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lorelint.code import words
from lorelint.code.ir import Param
from lorelint.code.lex import blank, closing, mask, opening
from lorelint.model.regex import regex

_PLAIN = regex(rb"(\([^()]*+\))\s*+\Z")
_AFTER_CALL = regex(rb"\)[ \t]*+\n\s*?(?<=\n)(?=[A-Za-z_])")
_WORD = regex(rb"[A-Za-z_]\w*+")
_NAME_AT_END = regex(rb"([A-Za-z_]\w*+)\s*+\Z")
_ANNOTATION = regex(rb"\b(?:__\w++|no\w++|asmlinkage|[A-Z]\w*+(?:_IF_KUNIT|_IFN_KUNIT|_ATTRIBUTE))")
_DEFINER = regex(rb"\A(?:COMPAT_|__?)*+SYSCALL(?:32|64|_32|_64)?_?DEFINE[0-9x]\Z|\ABPF_CALL_[0-9x]\Z")
_UPPER = regex(rb"\A_*+[A-Z][A-Z0-9_]*+\w*+\Z")
_POINTER_NAME = regex(rb"\(\s*+\*+\s*+(?:const\s++|volatile\s++)*+(\w*)")
_ARRAY = regex(rb"\[[^\]]*+\]")
_ELLIPSIS = Param("...", "...")
_BUILTIN = frozenset(
    b"void int char long short unsigned signed float double bool _Bool const struct union enum volatile".split()
)
_TAGS = frozenset((b"struct", b"union", b"enum"))


class Header(NamedTuple):
    """Where the name of a function stands in its header, and between which offsets its parameters."""

    name: bytes
    at: int  # offset of the name
    opens: int  # offset of the parameters' opening parenthesis (of the macro's, for a definer)
    closes: int  # offset just past the closing one
    pairs: bool  # parameters are ``type, name`` pairs after the first argument (SYSCALL_DEFINEn)
    definer: bytes  # the macro's name, b"" for a plain definition


def header(code: bytes) -> Header | None:
    """Read masked text that ends before a brace; None where it is no function's header."""
    begin = code.find(b"(")
    found = _PLAIN.match(code, begin) if begin > 0 else None
    if found is not None:
        before = code[:begin]
        if b"__" not in before:
            named = _NAME_AT_END.search(before, max(0, begin - 80))
            if named is not None:
                return _named(code, named, begin, found.end(1))
    text = without_annotations(code) if b"__" in code else code
    if _AFTER_CALL.search(text):
        text = _declaration(text)
    end = len(text.rstrip())
    while end and text[end - 1 : end] != b")":  # a word after the parameters, known or not
        found = _NAME_AT_END.search(text, max(0, end - 64), end)
        if found is None or found.group(1) in words.KEYWORDS:
            return _old_style(text)
        end = len(text[: found.start()].rstrip())
    while end:
        begin = opening(text, end - 1, 65536, 4096)
        if begin < 0:
            return None
        named = _NAME_AT_END.search(text, max(0, begin - 256), begin)
        if named is not None:
            return _named(text, named, begin, end)
        inner = len(text[:begin].rstrip())
        if text[inner - 1 : inner] != b")":
            return None
        # a function that returns a pointer to a function: int (*name(int a))(long)
        outer = opening(text, inner - 1)
        if outer < 0 or not _POINTER_NAME.match(text, outer):
            return _made_name(text, outer, inner, begin, end)
        end = len(text[: inner - 1].rstrip())
        if text[end - 1 : end] != b")":
            return None
    return None


def _declaration(text: bytes) -> bytes:
    """Blank calls in column 0 that stand before a declaration and have no semicolon: ``late_initcall(f)``."""
    cut = declared_from(text)
    return blank(text[:cut]) + text[cut:]


def declared_from(text: bytes) -> int:
    """Where the declaration begins after such calls, in text without annotations."""
    cut = at = depth = 0
    for found in _AFTER_CALL.finditer(text):
        depth += text.count(b"(", at, found.end()) - text.count(b")", at, found.end())
        at = found.end()
        if depth == 0:
            cut = found.start() + 1
    return cut


def _made_name(text: bytes, outer: int, inner: int, begin: int, end: int) -> Header | None:
    """``int PREFIX(name)(int a)``: the name that a macro completes."""
    named = _NAME_AT_END.search(text, max(0, outer - 80), outer) if outer > 0 else None
    part = _WORD.fullmatch(text, outer + 1, inner - 1) if outer > 0 else None
    if named is None or part is None or named.group(1) in words.KEYWORDS:
        return None
    return Header(part.group(), part.start(), begin, end, False, b"")


def _old_style(text: bytes) -> Header | None:
    """``int f(a, b) int a; char *b; {``: only where declarations follow the parameters."""
    if b";" not in text:
        return None
    end = text.find(b")")
    begin = opening(text, end) if end > 0 else -1
    named = _NAME_AT_END.search(text, 0, begin) if begin > 0 else None
    return _named(text, named, begin, end + 1) if named is not None else None


def _named(text: bytes, named: re.Match[bytes], begin: int, end: int) -> Header | None:
    name = named.group(1)
    before = text[: named.start()]
    if name in words.KEYWORDS or b"=" in before:
        return None
    upper = name[0] == 0x5F or name[0] < 0x61  # an underscore or a capital
    if upper and (_DEFINER.match(name) or (_UPPER.match(name) and not _type_before(before))):
        first = _WORD.search(text, begin, end)
        if first is None or text[begin + 1 : first.start()].strip() or first.group() in words.KEYWORDS:
            return None
        return Header(first.group(), first.start(), begin, end, bool(_DEFINER.match(name)), name)
    return Header(name, named.start(1), begin, end, False, b"")


def _type_before(before: bytes) -> bool:
    """A type stands right before the name, not only ``static``."""
    tail = before.rsplit(b")", 1)[-1].rsplit(b";", 1)[-1].split()
    return any(word not in (b"static", b"inline", b"extern", b"const") for word in tail)


def without_annotations(code: bytes, keep: frozenset[bytes] = frozenset()) -> bytes:
    out = bytearray(code)
    for found in _ANNOTATION.finditer(code):
        word, start, end = found.group(), found.start(), found.end()
        if word in keep:
            continue
        if word in words.WITH_ARGS:
            at = end
            while code[at : at + 1] in (b" ", b"\t", b"\n"):
                at += 1
            close = closing(code, at) if code[at : at + 1] == b"(" else -1
            end = close if close > 0 else end
        elif word not in words.PLAIN:
            continue
        out[start:end] = bytes(c if c == 10 else 32 for c in code[start:end])
    return bytes(out)


def params(text: bytes, head: Header) -> tuple[Param, ...]:
    """The parameters, from the header's raw text. A lone ``void`` is none, ``...`` is ``Param("...", "...")``."""
    inner = text[head.opens + 1 : head.closes - 1]
    if b"/*" in inner or b"//" in inner or b"#" in inner:
        inner = first_arms(mask(inner))
    if b"__" in inner:
        inner = without_annotations(inner, words.KEPT_IN_TYPES)
    parts = split(inner)
    if head.definer:
        if not head.pairs:
            return ()
        rest = [part.strip() for part in parts[1:]]
        return tuple(Param(_text(name), type_text(kind)) for kind, name in zip(rest[::2], rest[1::2], strict=False))
    if len(parts) == 1 and parts[0].strip() in (b"void", b""):
        return ()
    return tuple(param(part) for part in parts)


def first_arms(code: bytes) -> bytes:
    """Masked text with conditionals: the first arm of each, directives and other arms blank."""
    out: list[bytes] = []
    keep: list[bool] = []
    for line in code.split(b"\n"):
        word = line.strip()
        if word.startswith(b"#"):
            if word.startswith(b"#if"):
                keep.append(True)
            elif keep and word.startswith(b"#endif"):
                keep.pop()
            elif keep:
                keep[-1] = False
            line = b" " * len(line)
        out.append(line if all(keep) else b" " * len(line))
    return b"\n".join(out)


def split(inner: bytes) -> list[bytes]:
    """Cut at commas outside parentheses and brackets."""
    if b"(" not in inner and b"[" not in inner:
        return inner.split(b",")
    parts, depth, start = [], 0, 0
    for found in re.finditer(rb"[(),\[\]{}]", inner):
        char = found.group()
        if char in b"([{":
            depth += 1
        elif char in b")]}":
            depth -= 1
        elif depth == 0:
            parts.append(inner[start : found.start()])
            start = found.end()
    parts.append(inner[start:])
    return parts


@lru_cache(8192)
def param(part: bytes) -> Param:
    pointer = _POINTER_NAME.search(part)
    if pointer is not None:
        name = pointer.group(1)
        return Param(_text(name), type_text(part[: pointer.start(1)] + part[pointer.end(1) :]))
    arrays = b""
    if b"[" in part:
        arrays = b"*" * len(_ARRAY.findall(part))
        part = _ARRAY.sub(b"", part)
    part = part.rstrip()
    if part.strip() == b"...":
        return _ELLIPSIS
    named = _NAME_AT_END.search(part)
    if named is None:
        return Param("", type_text(part))
    name, kind = named.group(1), part[: named.start(1)]
    left = kind.split()
    if not left or name in _BUILTIN or name in words.KEPT_IN_TYPES or left[-1] in _TAGS:
        return Param("", type_text(part + b" " + arrays))  # a type alone
    return Param(_text(name), type_text(kind + arrays))


def type_text(kind: bytes) -> str:
    """Single spaces, stars together after one space: ``const struct page **``."""
    text = _text(kind)
    if "(" in text:
        return re.sub(r"\s*\*\s*(?=[\w*)])", " *", " ".join(text.split())).replace("( *", "(*").replace("* *", "**")
    stars = text.replace("*", " * ").split() if "*" in text else text.split()
    return " ".join(stars).replace("* *", "**").replace("* *", "**")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_PREFIX = regex(rb"\w++\s*+\(\Z")
_STATIC = regex(rb"[A-Z_]*STATIC[A-Z_]*\Z")
_LINKAGE = regex(rb"[A-Z0-9_]*(?:STATIC|INLINE|ATTR|EXPORT|VISIBLE|CALLABLE)[A-Z0-9_]*\Z")
_STORAGE = frozenset(b"static inline extern __inline __inline__ __always_inline register".split())


def returns(text: bytes, head: Header) -> tuple[str, bool]:
    """Return type and whether the function is ``static``."""
    if head.definer:
        return ("long" if head.pairs else ""), text.startswith(b"static")
    before = text[: head.at]
    if before.endswith(b"("):  # PREFIX(name)(int a)
        before = _PREFIX.sub(b"", before)
    return _returns(before)


@lru_cache(8192)
def _returns(before: bytes) -> tuple[str, bool]:
    if b"/*" in before or b"//" in before or b"#" in before:
        before = first_arms(mask(before))
    if b"__" in before or b"no" in before or b"asmlinkage" in before or b"KUNIT" in before:
        before = without_annotations(before, words.KEPT_IN_TYPES)
    kind = before.replace(b"*", b" * ").split()
    static = b"static" in kind or any(_STATIC.match(word) for word in kind)
    told = type_text(b" ".join(word for word in kind if word not in _STORAGE and not _LINKAGE.match(word)))
    return told if "(" not in told else "", static
