"""Declarations of local variables."""

from __future__ import annotations

from tree_sitter import Node

from lorelint.code import ir
from lorelint.code.scopes import Scopes

_TYPE_LIMIT = 300  # bytes of a declaration's type that are kept


class Declarations(Scopes):
    """Each declarator is a step of its own: the first value of one may use the one before."""

    def declaration(self, node: Node) -> None:
        declarators = node.children_by_field_name("declarator")
        if not declarators:
            return
        end = min(declarators[0].start_byte, node.start_byte + _TYPE_LIMIT)
        text = self.syntax.norm
        if self.syntax.raw.startswith((b"typeof", b"__typeof", b"__auto_type"), node.start_byte):
            text = self.syntax.raw  # read as `int` otherwise
        base = " ".join(text[node.start_byte : end].decode("utf-8", "surrogateescape").split())
        if base.startswith(("extern ", "typedef ", "__label__")):
            return
        cleanup = None
        if self.syntax.frees:  # `type __free(f) x`: noted at the type, holds for all declarators
            before = self.syntax.norm[node.start_byte : declarators[0].start_byte].rstrip()
            word = (before[-100:].rsplit(None, 1) or [b""])[-1]
            cleanup = self.syntax.frees.get(node.start_byte + len(before) - len(word))
        self.todo.extend([(self._declarator, each, base, cleanup) for each in reversed(declarators)])

    def _declarator(self, node: Node, base: str, cleanup: str | None) -> None:
        value: Node | None = None
        if node.type == "init_declarator":
            value = node.child_by_field_name("value")
            node = node.child_by_field_name("declarator") or node
        name, shape = self._shape(node)
        if name is None:
            return
        expr, plain = (None, True) if value is None else self.read(value)
        if base.startswith("static ") and "const " not in base:
            expr, plain = None, True  # set once, before the function first runs
        line, text = self.reader.line(name), self.reader.text(name)
        cleanup = self.syntax.frees.get(name.start_byte, cleanup)
        if cleanup is not None:
            self.todo.append((self.hold, f"free:{cleanup}", (ir.Name(line, text),), line))
        self.declare(ir.Declare(line, text, f"{base} {shape}" if shape else base, expr), plain)

    def _shape(self, node: Node) -> tuple[Node | None, str]:
        """(the name, stars and brackets around it) of a declarator; no name for a prototype."""
        stars, after, prototype = "", "", False
        while not node.type.endswith("identifier"):
            if node.type == "pointer_declarator":
                stars, prototype = "*" + stars, False
            elif node.type == "array_declarator":
                size = node.child_by_field_name("size")
                after = f"[{'' if size is None else self.reader.plain_text(size)}]" + after
            elif node.type == "function_declarator":
                after, prototype = "()" + after, True
            inner = node.child_by_field_name("declarator") or next(iter(node.named_children), None)
            if inner is None:
                return None, ""
            node = inner
        return (None if prototype and not stars else node), stars + after
