"""Kernel C made readable for a grammar that does not preprocess.

Each pass rewrites in place: same length, same newlines, so every offset and line is the file's.
Passes work on masked text (`lex.mask`: comments blank, literals filled), and what a rewrite hides
is kept in `Normal`, because a block macro that became a ``while`` is still not a ``while``.
"""

from __future__ import annotations

import re

from msgspec import Struct

from lorelint.code import words
from lorelint.code.blocks import Block, failing, kind_of, sites
from lorelint.code.conditionals import cutting, resolve, without_dead
from lorelint.code.lex import BLANK, closing, mask
from lorelint.code.statements import statement_arguments
from lorelint.model.regex import regex

_ANNOTATION = regex(
    rb"(?<![\w.>])(?:__\w++|no(?:inline|trace|instr|kprobe)\w*+|asmlinkage|fastcall|[A-Z]\w*+(?:_KUNIT|_ATTR|_ATTRIBUTES|LIB_API)"
    rb"|TARGET_ATTRIBUTE|ACPI_PRINTF_LIKE|check_canary_attributes|uaccess_kmsan_or_inline|rseq_inline|debug_noinline)\b"
)
_DECLARED = regex(rb"([A-Za-z_]\w*+)(?:\s*+\[[^\]]*+\])*+\s*+\Z")
# arguments that are types: two words or more, or a word and stars, between commas and parentheses
_TYPE_ARG = regex(
    rb"([(,])\s*+(\w++(?:\s++\w++)++[\s*]*+(?:const\b[\s*]*+)*+|\w++\s*+\*[\s*]*+(?:const\b[\s*]*+)*+)(?=[,)])"
)
_BEFORE_PAREN = regex(rb"([A-Za-z_]\w*+)\s*+\Z")
_CAST_HEADS = words.KEYWORDS
_TYPEOF = regex(rb"\b(?:\w*typeof(?:_unqual)?(?:__)?|typeof_member)\s*+\(")
_SIZEOF = regex(rb"\b(?:__alignof__|__alignof|_Alignof|alignof|offsetof)\b(?=\s*+\()")
_CASE_RANGE = regex(rb"\bcase\b(?:[^:;{}.]|\.(?!\.\.)){0,200}+(\.\.\.[^:;{}]{0,200}+):")
_TWO_BEFORE_STRING = regex(rb"\b[A-Z_][A-Z0-9_]++(?=\s++[A-Z_][A-Z0-9_]*+\s*+\")")
_CALL_IN_STRING = regex(rb"(?<=\")\s*+__stringify\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)(?=\s*+[\",)])")
_GOTO = regex(rb"\bgoto(?=\s*+\*)")
_STATIC_CALL = regex(rb"\bstatic\s++(?=(?:const\s++)?[A-Z_][A-Z0-9_]*+\s*+\()")
_REGISTER = regex(rb"\b(?:asm|__asm__|__asm)\s*+(?=\(\s*+\"[^\"]*+\"\s*+\)\s*+[=;,])")
_TAIL_WHILE = regex(rb"\}\s*+((?:\w+_)?while_\w+)\s*+(?=\()")
_DO = regex(rb"\bdo\s*+\Z")
_DECLARING = regex(rb"(?<=[\s;{}])((?:DECLARE|DEFINE)_[A-Z0-9_]++)(?=\()\(\s*+(\w++)\s*+,")
_VOLATILE = regex(rb"\b__volatile\b(?!_)")
_SEMICOLON_ARGUMENT = regex(rb";\s*+\)|[,(]\s*+(?:return|break|continue|goto)\b")
_DEFINER = regex(rb"(?m)^(?!(?:if|for|while|switch|asm)\b)[A-Za-z_]\w{3,}+\(")
_OPENS = regex(rb"\s*+\{(?!\s*+\.\s*+\w)")
_LINE_ENDS = regex(rb"[ \t]*+\n\s*?(?:\n(?=[#A-Za-z_]|\Z)|(?<=\n)(?=[#A-Za-z_]|\Z))")
_IS_SET = regex(rb"\s*+=[^=]")


class Normal(Struct, frozen=True):
    """Masked, rewritten text and what the rewrites hid, by offset."""

    code: bytes
    blocks: dict[int, Block]
    frees: dict[int, str]
    computed: frozenset[int]


def normalise(code: bytes, raw: bytes, first_line: int = 1) -> Normal:
    """All passes over masked text of whole functions or of a file; `raw` is the same text unmasked."""
    frees: dict[int, str] = {}
    code = blank_attributes(code, frees)
    if b"typeof" in code:
        code = typeofs(code)
    code = types_as_arguments(code)
    code = small_words(code)
    computed: set[int] = set()
    if b"goto" in code:
        code = computed_gotos(code, computed)
    blocks: dict[int, Block] = {}
    if _SEMICOLON_ARGUMENT.search(code):
        code = statement_arguments(code, raw, blocks)

    code = block_macros(code, raw, first_line, blocks)
    return Normal(code, blocks, frees, frozenset(computed))


def _wipe(out: bytearray, start: int, end: int) -> None:
    out[start:end] = out[start:end].translate(BLANK)


def blank_attributes(code: bytes, frees: dict[int, str]) -> bytes:
    """Blank attributes; remember the cleanup function of ``x __free(f)``."""
    out: bytearray | None = None
    for found in _ANNOTATION.finditer(code):
        word, start, end = found.group(), found.start(), found.end()
        if word in words.WITH_ARGS:
            at = end
            while code[at : at + 1].isspace():
                at += 1
            close = closing(code, at) if code[at : at + 1] == b"(" else -1
            if close < 0:
                continue
            if word in words.CLEANUP:
                _note_cleanup(code, start, code[at + 1 : close - 1], frees)
            end = close
        elif word not in words.PLAIN:
            continue
        if code[end : end + 1] in (b",", b")") and code[max(0, start - 80) : start].rstrip()[-1:] in (b",", b"("):
            continue  # an argument
        if out is None:
            out = bytearray(code)
        _wipe(out, start, end)
    return code if out is None else bytes(out)


def _note_cleanup(code: bytes, start: int, cleanup: bytes, frees: dict[int, str]) -> None:
    declared = _DECLARED.search(code, max(0, start - 200), start)
    if declared is not None:
        frees[declared.start(1)] = cleanup.strip().decode("utf-8", "surrogateescape")


def typeofs(code: bytes) -> bytes:
    """``typeof(*p) x`` becomes ``int        x``: a type that the grammar cannot take for a call."""
    out = bytearray(code)
    done = 0
    for found in _TYPEOF.finditer(code):
        if found.start() < done:
            continue
        close = closing(code, found.end() - 1)
        if close > 0 and close - found.start() >= 3:
            _wipe(out, found.start(), close)
            out[found.start() : found.start() + 3] = b"int"
            done = close
    return bytes(out)


def types_as_arguments(code: bytes) -> bytes:
    """``container_of(p, struct T, m)``, ``va_arg(ap, char *)``, ``min_t(unsigned long, a, b)`` as plain names."""
    for _ in range(2):  # neighbours share a comma
        code, count = _TYPE_ARG.subn(_plain_type, code)
        if not count:
            break
    return code


def _plain_type(found: re.Match[bytes]) -> bytes:
    text = found.group()
    if found.group(1) == b"(":
        before = _BEFORE_PAREN.search(found.string, max(0, found.start() - 96), found.start())
        if before is None or before.group(1) in _CAST_HEADS:
            return text
    start = found.start(2) - found.start()
    name = bytearray(text[start:].replace(b"*", b" "))
    last = None
    for word in re.finditer(rb"\w++", bytes(name)):
        if word.group() in words.TYPE_QUALIFIERS:
            _wipe(name, word.start(), word.end())
            continue
        if last is not None:
            between = name[last.end() : word.start()]
            if b"\n" in between:
                _wipe(name, last.start(), last.end())
            else:
                name[last.end() : word.start()] = b"_" * len(between)
        last = word
    return text[:start] + bytes(name)


def small_words(code: bytes) -> bytes:
    """Constructs with one cheap rewrite each."""
    if b"lign" in code or b"offsetof" in code:
        code = _SIZEOF.sub(_sizeof, code)
    if b'"' in code:
        code = strings(code)
    if b"..." in code:
        code = _CASE_RANGE.sub(_without_range, code)
    if b"static" in code:
        code = _STATIC_CALL.sub(lambda found: found.group().translate(BLANK), code)
    if b"DECLARE_" in code or b"DEFINE_" in code:
        code = declaring_macros(code)
    if b"asm" in code:
        code = code.replace(b"asm_inline", b"asm       ").replace(b"asm_goto_output", b"asm goto       ")
        if b"__volatile" in code:
            code = _VOLATILE.sub(b"volatile  ", code)
        code = _registers(code)
    return code


def _sizeof(found: re.Match[bytes]) -> bytes:
    """``__alignof__(*p)`` as ``sizeof     (*p)``, ``offsetof(T, m[i])`` as an ordinary call."""
    return b"offset_f" if found.group() == b"offsetof" else b"sizeof".ljust(len(found.group()))


def strings(code: bytes) -> bytes:
    """``KERN_ERR PFX "..."`` and ``".." __stringify(x) ".."``: the grammar joins one name with one string."""
    code = _TWO_BEFORE_STRING.sub(lambda found: found.group().translate(BLANK), code)
    if b'" __stringify' in code or b"__stringify" in code:
        code = _CALL_IN_STRING.sub(lambda found: found.group().translate(BLANK), code)
    return code


def _without_range(found: re.Match[bytes]) -> bytes:
    cut = found.start(1) - found.start()
    return found.group()[:cut] + found.group()[cut:-1].translate(BLANK) + b":"


def _registers(code: bytes) -> bytes:
    """``register long x asm("r0") = v;``"""
    out = bytearray(code)
    for found in _REGISTER.finditer(code):
        before = code[max(0, found.start() - 1) : found.start()]
        close = closing(code, found.end())
        declared = _DECLARED.search(code, max(0, found.start() - 96), found.start())
        if close > 0 and before.isspace() and declared is not None and declared.group(1) not in words.KEYWORDS:
            _wipe(out, found.start(), close)
    return bytes(out)


def computed_gotos(code: bytes, computed: set[int]) -> bytes:
    out = bytearray(code)
    for found in _GOTO.finditer(code):
        _wipe(out, found.start(), found.end())
        computed.add(code.index(b"*", found.end()))
    return bytes(out)


def block_macros(code: bytes, raw: bytes, first_line: int, blocks: dict[int, Block]) -> bytes:
    """``list_for_each_entry(p, h, m) {`` becomes ``while             (p, h, m) {``."""
    out: bytearray | None = None
    for site in sites(code):
        out = bytearray(code) if out is None else out
        name = code[site.start : site.opens].rstrip()
        text = name.decode("utf-8", "surrogateescape")
        fail = failing(code, site)
        told = None
        if fail is not None:
            told = (raw[fail[0] : fail[1]], first_line + raw.count(b"\n", 0, fail[0]))
            _wipe(out, *fail)
        blocks[site.start] = Block(text, kind_of(text), raw[site.opens + 1 : site.closes - 1], told)
        _wipe(out, site.start, site.opens)
        empty = not out[site.opens + 1 : site.closes - 1].strip()
        if empty:
            _wipe(out, site.start, site.closes)
        head = b"if(1)" if empty else b"while" if site.opens - site.start >= 5 else b"if"
        out[site.start : site.start + len(head)] = head
        _tidy_arguments(out, site.opens, site.closes)
    return code if out is None else bytes(out)


def _tidy_arguments(out: bytearray, opens: int, closes: int) -> None:
    """An argument that is empty (blank fail statement, ``f(a, , b)``): its comma goes too."""
    inner = bytes(out[opens:closes])
    for found in re.finditer(rb",(?=\s*+[,)])", inner):
        out[opens + found.start()] = 0x20
    start = re.match(rb"\(\s*+,", inner)
    if start is not None:
        out[opens + start.end() - 1] = 0x20


def declaring_macros(code: bytes) -> bytes:
    """``DECLARE_BITMAP(map, N) = { 0 };`` as ``int            map     = { 0 };``"""
    out = bytearray(code)
    for found in _DECLARING.finditer(code):
        close = closing(code, found.end(1))
        if close < 0 or not _IS_SET.match(code, close):
            continue
        name = found.span(2)
        _wipe(out, found.start(1), name[0])
        _wipe(out, name[1], close)
        out[found.start(1) : found.start(1) + 3] = b"int"
    return bytes(out)


def file_scope(code: bytes) -> bytes:
    """``SYSCALL_DEFINE3(..) {`` as a plain header, and calls without a semicolon in column 0 blank."""
    out = bytearray(code)
    for found in _DEFINER.finditer(code):
        close = closing(code, found.end() - 1)
        if close < 0:
            continue
        if _OPENS.match(code, close):
            _wipe(out, found.start(), close)
            out[found.start() : found.start() + 5] = b"x f()"
        elif _LINE_ENDS.match(code, close):
            _wipe(out, found.start(), close)
    return bytes(out)


def normalise_file(raw: bytes, masked: bytes | None = None) -> bytes:
    """A whole file, for a parse that only looks for definitions. `masked` saves masking it again."""
    code = file_scope(mask(raw) if masked is None else masked)
    if b"#" in code:
        code = without_dead(code)
        code = resolve(code, cutting(code), 0)
    return normalise(code, raw).code
