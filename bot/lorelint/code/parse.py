"""C text to syntax, by tree-sitter, one function at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from msgspec import Struct
from tree_sitter import Language, Node, Parser

from lorelint.code.blocks import Block, BlockKind
from lorelint.code.conditionals import cutting, resolve, variants, without_dead
from lorelint.code.ir import Function
from lorelint.code.lex import BLANK, mask, too_deep
from lorelint.code.normalise import normalise, normalise_file
from lorelint.code.rescue import RESCUES
from lorelint.model.tree import LIMIT

__all__ = ["Block", "BlockKind", "Syntax", "fragment", "parse_function"]

_HOLDERS = frozenset(
    "translation_unit preproc_if preproc_ifdef preproc_else preproc_elif linkage_specification declaration_list"
    " ERROR".split()
)


@functools.cache
def _parser() -> Parser:
    import tree_sitter_c

    return Parser(Language(tree_sitter_c.language()))


class Syntax(Struct, frozen=True, eq=False):
    """The syntax of one function. Offsets of nodes index `raw` and `norm` alike.

    node        the ``function_definition``; its header is a placeholder
    body        its ``compound_statement``
    raw         the text as it stands in the file
    norm        what was parsed: comments blank, literals filled, macros rewritten
    first_line  line of the file where `raw` starts
    blocks      by start byte of a ``while_statement`` / ``if_statement``: the block macro it was
    frees       by start byte of a declared identifier: its ``__free()`` cleanup
    computed    start bytes of expression statements that were ``goto *expr;``
    degraded    lines of the file with text that could not be parsed
    """

    node: Node
    body: Node
    raw: bytes
    norm: bytes
    first_line: int
    blocks: Mapping[int, Block]
    frees: Mapping[int, str]
    computed: frozenset[int]
    degraded: tuple[int, ...]

    def line(self, node: Node) -> int:
        """Line of the file on which a node starts."""
        return self.first_line + int(node.start_point[0])

    def text(self, node: Node) -> str:
        """The original text of a node; comments inside it are still there."""
        return self.raw[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def plain(self, node: Node) -> str:
        """The normalised text of a node."""
        return self.norm[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")


def parse_function(function: Function) -> tuple[Syntax, ...]:
    """The syntax of a function, one for each variant of the conditionals that cut its statements."""
    raw = function.text
    if len(raw) > LIMIT:
        return ()
    code = mask(raw)
    brace = code.find(b"{")
    if brace < 0 or too_deep(code):
        return ()
    code = without_dead(_placeholder(code, brace))
    cut = cutting(code) if b"#" in code else []
    found: list[Syntax] = []
    for variant in range(variants(cut)):
        text = resolve(code, cut, variant) if cut else code
        syntax = _syntax(text, raw, function.first_line)
        if syntax is None or syntax.degraded:
            syntax = _harder(text, raw, function.first_line, variant, syntax)
        if syntax is not None and all(syntax.norm != other.norm for other in found):
            found.append(syntax)
    return tuple(found)


def _harder(code: bytes, raw: bytes, line: int, variant: int, first: Syntax | None) -> Syntax | None:
    """Rewrites that lose something, each kept where it leaves fewer errors."""
    best, kept = first, code
    for rescue in RESCUES:
        text = rescue(kept, variant)
        if text == kept:
            continue
        syntax = _syntax(text, raw, line)
        if syntax is not None and (best is None or _errors(syntax) < _errors(best)):
            best, kept = syntax, text
            if not best.degraded:
                break
    return best


def _errors(syntax: Syntax) -> int:
    return len(syntax.degraded)


def definitions(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Function definitions by a parse of a whole file: start, opening brace, end; in order."""
    if len(raw) > LIMIT:
        return
    code = mask(raw)
    if too_deep(code):
        return
    root = _parser().parse(normalise_file(raw, code)).root_node
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "function_definition":
            body = node.child_by_field_name("body")
            if body is not None and body.type == "compound_statement":
                yield node.start_byte, body.start_byte, body.end_byte
        elif node.type in _HOLDERS:
            stack.extend(reversed(node.children))


def fragment(text: bytes, line: int) -> Syntax:
    """Statements or an expression on their own; `line` is that of the text's first line."""
    head, tail = b"x f() { ", b"\n;}"
    raw = head + text + tail
    code = mask(text)
    syntax = _syntax(head + code + tail, raw, line) if len(raw) <= LIMIT and not too_deep(code) else None
    if syntax is None:
        syntax = _syntax(b"x f() { ;}", b"x f() { ;}", line)
        assert syntax is not None
    return syntax


def _placeholder(code: bytes, brace: int) -> bytes:
    """The header as ``x f()``, its bytes spread over the places that are no newline."""
    head = bytearray(code[:brace].translate(BLANK))
    places = [at for at in range(min(brace, 4096)) if head[at] != 0x0A]
    if len(places) < 5:
        return code
    for at, char in zip(places, b"x f()", strict=False):
        head[at] = char
    return bytes(head) + code[brace:]


def _syntax(code: bytes, raw: bytes, first_line: int) -> Syntax | None:
    normal = normalise(code, raw, first_line)
    root = _parser().parse(normal.code).root_node
    node = next((child for child in root.children if child.type == "function_definition"), None)
    if node is None:
        return None
    body = node.child_by_field_name("body")
    if body is None or body.type != "compound_statement":
        return None
    lines = tuple(sorted(first_line + row for row in error_rows(root))) if root.has_error else ()
    return Syntax(node, body, raw, normal.code, first_line, normal.blocks, normal.frees, normal.computed, lines)


def error_rows(root: Node) -> Iterator[int]:
    """Rows of ERROR and MISSING nodes."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_error or node.is_missing:
            yield int(node.start_point[0])
        if node.has_error:
            stack.extend(node.children)
