"""tree-sitter expressions to `ir.Expr`.

A node is flattened into a list, parents first, and built from the back, children first: no recursion,
whatever the depth. What is nested deeper than `DEEPEST` becomes `Opaque`, because comparing and hashing
values recurses. Parentheses, ``likely()`` and ``unlikely()`` leave no trace.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from tree_sitter import Node

from lorelint.code import ir
from lorelint.model.placed import placed
from lorelint.model.regex import regex

DEEPEST = 120
TEXT_LIMIT = 200  # bytes of source kept of what is not understood

# include/linux/compiler.h: hints to the compiler that hand their argument on.
_HINTS = frozenset({"likely", "unlikely", "__builtin_expect", "likely_notrace", "unlikely_notrace"})

_INTEGER = regex(rb"(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlLzZ]*")


@placed
class Statements(ir.Opaque):
    """A statement expression ``({ .. })``, until the lowering has put its statements in line."""

    body: Node | None = None


Build = Callable[[str, int, list[ir.Expr]], ir.Expr]
Plan = tuple[Build, str, Sequence[Node]]  # how to build, a piece of text, the operands
_Step = tuple[Build, str, int, int]  # how to build, a piece of text, the line, how many operands
_NOTHING: list[ir.Expr] = []


class Reader:
    """Reads the expressions of one parsed text.

    `stirs` counts the assignments, commas and statement expressions read so far: what the lowering
    has to take out of the middle of an expression. Nothing counted, nothing to do.
    """

    __slots__ = ("_base", "_norm", "_raw", "stirs")

    def __init__(self, norm: bytes, raw: bytes, first_line: int) -> None:
        """`norm` is what was parsed, `raw` the original of the same length, which has the literals."""
        self._norm = norm
        self._raw = raw
        self._base = first_line
        self.stirs = 0

    def text(self, node: Node) -> str:
        return self._norm[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def line(self, node: Node) -> int:
        return node.start_point[0] + self._base

    def read(self, node: Node) -> ir.Expr:
        base = self._base
        line = node.start_point[0] + base
        one_line = node.end_point[0] + base == line
        norm = self._norm
        order: list[_Step | ir.Expr] = []
        todo = [node]
        while todo:
            here = todo.pop()
            if not one_line:
                line = here.start_point[0] + base
            kind = here.type
            if kind in _NAMES:  # half of all nodes
                name = norm[here.start_byte : here.end_byte].decode("utf-8", "surrogateescape")
                if name.startswith(_REWRITTEN):
                    name = " ".join(self._literal(here).split())
                order.append(ir.Name(line, name))
                continue
            plan = _PLANS.get(kind, Reader._other)(self, here)
            if isinstance(plan, Node):
                todo.append(plan)
                continue
            build, text, operands = plan
            if operands:
                order.append((build, text, line, len(operands)))
                todo.extend(operands)
            else:
                order.append(build(text, line, _NOTHING))
        return _built(order) if len(order) <= DEEPEST else _built_bounded(order)

    # -- plans, one for each kind of node; a bare Node means "read that instead"

    def _number(self, node: Node) -> Plan:
        return _build_number, self.text(node), ()

    def _character(self, node: Node) -> Plan:
        return _build_character, self._literal(node), ()

    def _string(self, node: Node) -> Plan:
        return _build_text, self._literal(node), ()

    def _literal(self, node: Node) -> str:
        return self._raw[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def _call(self, node: Node) -> Plan | Node:
        parts = node.children
        if len(parts) != 2:
            return self._other(node)
        operands = parts[1].named_children
        callee = parts[0]
        if operands and callee.type == "identifier" and self.text(callee) in _HINTS:
            return operands[0]
        return _build_call, "", [callee, *operands]

    def _field(self, node: Node) -> Plan:
        parts = node.children
        if len(parts) != 3:
            return self._other(node)
        arrow = "->" if parts[1].type == "->" else "."
        return _build_member, arrow + self.text(parts[2]), (parts[0],)

    def _subscript(self, node: Node) -> Plan:
        parts = node.named_children
        return (_build_index, "", parts) if len(parts) == 2 else self._other(node)

    def _unary(self, node: Node) -> Plan:
        parts = node.children
        if len(parts) == 2 and parts[1].type == "cast_expression" and (no_cast := self._no_cast(parts[1])):
            op, left, right = no_cast
            return _build_no_cast, f"{op} {left} {parts[0].type}", (right,)
        return (_build_unary, parts[0].type, (parts[1],)) if len(parts) == 2 else self._other(node)

    def _update(self, node: Node) -> Plan:
        parts = node.children
        if len(parts) != 2:
            return self._other(node)
        if parts[0].is_named:
            return _build_update, "post" + parts[1].type, (parts[0],)
        return _build_update, "pre" + parts[0].type, (parts[1],)

    def _binary(self, node: Node) -> Plan:
        parts = node.children
        if len(parts) != 3:
            return self._other(node)
        left, prefix = parts[0], ""
        if left.type == "parenthesized_expression" and parts[1].type in ("-", "+", "&", "*"):
            cast = _TYPE_IN_PARENTHESES.fullmatch(self._norm, left.start_byte, left.end_byte)
            if cast is not None:  # `(u64)-1`
                return _build_cast_of, f"{parts[1].type} {cast[1].decode()}", (parts[2],)
        if left.type == "unary_expression" and left.child_count == 2:
            prefix, left = left.children[0].type, left.children[1]
        if left.type == "cast_expression" and (no_cast := self._no_cast(left)):
            op, name, right = no_cast
            if _BINDING.get(parts[1].type, 0) > _BINDING[op]:
                return _build_no_cast_of, f"{op} {name} {prefix} {parts[1].type}", (right, parts[2])
        return _build_binary, parts[1].type, (parts[0], parts[2])

    def _assign(self, node: Node) -> Plan:
        parts = node.children
        if len(parts) != 3:
            return self._other(node)
        self.stirs += 1
        return _build_assign, parts[1].type, (parts[0], parts[2])

    def _comma(self, node: Node) -> Plan:
        """All of ``a, b, c`` at once: the grammar nests it to the right."""
        self.stirs += 1
        items: list[Node] = []
        here = node
        while here.type == "comma_expression" and here.named_child_count == 2:
            left, right = here.named_children
            items.append(left)
            here = right
        items.append(here)
        return (_build_comma, "", items) if len(items) > 1 else self._other(node)

    def _ternary(self, node: Node) -> Plan:
        parts = node.named_children
        if len(parts) == 3:
            return _build_ternary, "", parts
        return (_build_elvis, "", parts) if len(parts) == 2 else self._other(node)

    def _cast(self, node: Node) -> Plan:
        parts = node.named_children
        if len(parts) != 2:
            return self._other(node)
        if no_cast := self._no_cast(node):
            op, left, right = no_cast
            return _build_no_cast, f"{op} {left} ", (right,)
        return _build_cast, self.plain_text(parts[0]), (parts[1],)

    def _no_cast(self, node: Node) -> tuple[str, str, Node] | None:
        """(operator, left side, right side) of ``(x) && y == 3`` or ``(f()) - 4``, which the grammar takes for a cast.

        Kernel style has spaces on both sides of an operator with two operands, and none behind one with one.
        """
        parts = node.named_children
        value = parts[-1]
        if value.type not in ("pointer_expression", "unary_expression") or node.type != "cast_expression":
            return None
        op, right = value.children[0], value.children[-1]
        sign = op.type
        if sign == "&" and right.type == "pointer_expression" and right.start_byte == op.end_byte:
            sign, op, right = "&&", right.children[0], right.children[-1]
        name = _VALUE_IN_PARENTHESES.fullmatch(self._norm[parts[0].start_byte : parts[0].end_byte])
        if _TYPE_IN_PARENTHESES.match(self._norm, node.start_byte):
            return None
        if name is None or sign not in _BINDING or not self._norm[op.end_byte : op.end_byte + 1].isspace():
            return None
        return sign, name[1].decode() + ("()" if name[2] else ""), right

    def _parentheses(self, node: Node) -> Plan | Node:
        parts = node.named_children
        if len(parts) != 1:
            return self._other(node)
        if parts[0].type == "compound_statement":
            self.stirs += 1
            body = parts[0]

            def build(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
                return Statements(line, text, (), body)

            return build, self.brief(node), ()
        return parts[0]

    def _sizeof(self, node: Node) -> Plan:
        parts = node.named_children
        word = node.children[0].type
        return (_build_unary, word, parts) if len(parts) == 1 else self._other(node)

    def _offsetof(self, node: Node) -> Plan:
        parts = node.named_children
        text = " ".join(self.plain_text(part) for part in parts)
        return (_build_offsetof, text, ()) if len(parts) == 2 else self._other(node)

    def _type(self, node: Node) -> Plan:
        return _build_name, self.plain_text(node), ()

    def _initialiser(self, node: Node) -> Plan:
        keys: list[str] = []
        operands: list[Node] = []
        for item in node.named_children:
            value = item.child_by_field_name("value") if item.type == "initializer_pair" else None
            if value is None:
                keys.append("")
                operands.append(item)
            else:
                key = self._norm[item.start_byte : value.start_byte].decode("utf-8", "surrogateescape")
                keys.append(" ".join(key.split()).rstrip("=: ").removeprefix("."))
                operands.append(value)
        return _build_init, "\n".join(keys), operands

    def _asm(self, node: Node) -> Plan:
        operands = [
            value
            for group in node.named_children
            for operand in group.named_children
            if (value := operand.child_by_field_name("value")) is not None
        ]
        return _build_opaque, " ".join(self._literal(node)[:TEXT_LIMIT].split()), operands

    def _other(self, node: Node) -> Plan:
        """What has no plan keeps its text and those of its pieces that can be read."""
        parts = [part for part in node.named_children if part.type in _PLANS or part.type in _NAMES]
        return _build_opaque, self.brief(node), parts

    def plain_text(self, node: Node) -> str:
        """The text with single spaces, cut if it is long (a struct defined on the spot)."""
        end = min(node.end_byte, node.start_byte + TEXT_LIMIT)
        return " ".join(self._norm[node.start_byte : end].decode("utf-8", "surrogateescape").split())

    brief = plain_text


def _built(order: list[_Step | ir.Expr]) -> ir.Expr:
    values: list[ir.Expr] = []
    for step in reversed(order):
        if isinstance(step, tuple):
            build, text, line, count = step
            operands = values[-count:]
            del values[-count:]
            values.append(build(text, line, operands))
        else:
            values.append(step)
    return values[0]


def _built_bounded(order: list[_Step | ir.Expr]) -> ir.Expr:
    """As `_built`, watching the depth, which only an expression of many pieces can exceed."""
    values: list[tuple[ir.Expr, int]] = []
    for step in reversed(order):
        if not isinstance(step, tuple):
            values.append((step, 1))
            continue
        build, text, line, count = step
        operands = values[-count:]
        del values[-count:]
        depth = 1 + max(below for _, below in operands)
        if depth > DEEPEST:
            values.append((ir.Opaque(line, ".."), 1))
        else:
            values.append((build(text, line, [value for value, _ in operands]), depth))
    return values[0][0]


def _build_name(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
    return ir.Name(line, text)


def _build_number(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
    value = integer(text.lstrip("+-"))  # the grammar takes a sign before digits for a part of the literal
    return ir.Number(line, text, -value if value and text.startswith("-") else value)


def _build_character(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
    return ir.Number(line, text, _character_value(text))


def _build_text(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
    return ir.Text(line, text)


def _build_call(_: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Call(line, parts[0], tuple(parts[1:]))


def _build_member(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    if text[0] == "-":
        return ir.Member(line, parts[0], text[2:], True)
    return ir.Member(line, parts[0], text[1:], False)


def _build_index(_: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Index(line, parts[0], parts[1])


def _build_unary(op: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Unary(line, op, parts[0])


def _build_update(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Update(line, text[-2:], parts[0], text.startswith("pre"))


def _build_binary(op: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Binary(line, op, parts[0], parts[1])


def _build_cast_of(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    op, _, type_ = text.partition(" ")
    return ir.Cast(line, type_, ir.Unary(line, op, parts[0]))


def _build_no_cast(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    op, left, prefix = text.split(" ")
    return ir.Binary(line, op, _no_cast_left(left, prefix, line), parts[0])


def _build_no_cast_of(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    """The operator behind it binds tighter: ``(x) && y == 3``."""
    op, left, prefix, inner = text.split(" ")
    return ir.Binary(line, op, _no_cast_left(left, prefix, line), ir.Binary(line, inner, parts[0], parts[1]))


def _no_cast_left(left: str, prefix: str, line: int) -> ir.Expr:
    name = ir.Name(line, left.removesuffix("()"))
    value = ir.Call(line, name, ()) if left.endswith("()") else name
    return ir.Unary(line, prefix, value) if prefix else value


def _build_assign(op: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Assign(line, op, parts[0], parts[1])


def _build_comma(_: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Comma(line, tuple(parts))


def _build_ternary(_: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Ternary(line, parts[0], parts[1], parts[2])


def _build_elvis(_: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Ternary(line, parts[0], None, parts[1])


def _build_cast(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Cast(line, text, parts[0])


def _build_offsetof(text: str, line: int, _: list[ir.Expr]) -> ir.Expr:
    type_, _space, member = text.rpartition(" ")
    return ir.Call(line, ir.Name(line, "offsetof"), (ir.Name(line, type_), ir.Name(line, member)))


def _build_init(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Init(line, tuple(zip(text.split("\n"), parts, strict=True)) if parts else ())


def _build_opaque(text: str, line: int, parts: list[ir.Expr]) -> ir.Expr:
    return ir.Opaque(line, text, tuple(parts))


def integer(text: str) -> int | None:
    """The value of a C integer literal, None for anything else. Bounded: no integer of C has 70 digits."""
    match = _INTEGER.fullmatch(text.encode("utf-8", "surrogateescape")) if len(text) < 70 else None
    if match is None:
        return None
    digits = match[1].decode()
    if len(digits) > 1 and digits[0] == "0" and digits[1] not in "xXbB":
        return int(digits, 8) if digits.strip("01234567") == "" else None
    return int(digits, 0)


def _character_value(text: str) -> int | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return ord(value) if isinstance(value, str) and len(value) == 1 else None


_TYPE_IN_PARENTHESES = regex(rb"\(\s*((?:__)?[us](?:8|16|32|64)|[a-z]\w*_t|unsigned|int|long|short|char)\s*\)")
_VALUE_IN_PARENTHESES = regex(rb"([A-Za-z_]\w*)\s*(\(\s*\))?")
_BINDING = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
_NAMES = frozenset({
    "identifier", "field_identifier", "type_identifier", "primitive_type", "statement_identifier",
    "null", "true", "false",
})  # fmt: skip
# What the normalising passes join with underscores or shorten: ``min_t(unsigned long, ..)``, ``offsetof(..)``.
_REWRITTEN = ("unsigned_", "signed_", "long_", "short_", "struct_", "union_", "enum_", "const_", "offset_f")
_PLANS: dict[str, Callable[[Reader, Node], Plan | Node]] = {
    "number_literal": Reader._number,
    "char_literal": Reader._character,
    "string_literal": Reader._string,
    "concatenated_string": Reader._string,
    "call_expression": Reader._call,
    "field_expression": Reader._field,
    "subscript_expression": Reader._subscript,
    "unary_expression": Reader._unary,
    "pointer_expression": Reader._unary,
    "update_expression": Reader._update,
    "binary_expression": Reader._binary,
    "assignment_expression": Reader._assign,
    "comma_expression": Reader._comma,
    "conditional_expression": Reader._ternary,
    "cast_expression": Reader._cast,
    "compound_literal_expression": Reader._cast,
    "parenthesized_expression": Reader._parentheses,
    "sizeof_expression": Reader._sizeof,
    "alignof_expression": Reader._sizeof,
    "offsetof_expression": Reader._offsetof,
    "type_descriptor": Reader._type,
    "initializer_list": Reader._initialiser,
    "gnu_asm_expression": Reader._asm,
}
