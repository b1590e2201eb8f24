"""Expressions: what is read, what leaves no trace, what is too deep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.expressions import DEEPEST, Reader, integer
from lorelint.code.parse import fragment


def read(text: str, line: int = 1) -> ir.Expr:
    syntax = fragment(f"{text};".encode(), line)
    reader = Reader(syntax.norm, syntax.raw, syntax.first_line)
    statement = syntax.body.named_children[0]
    return reader.read(statement.named_children[0])


def name(text: str) -> ir.Name:
    return ir.Name(0, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", name("x")),
        ("0x1fUL", ir.Number(0, "0x1fUL", 31)),
        ("017", ir.Number(0, "017", 15)),
        ("'a'", ir.Number(0, "'a'", 97)),
        ("'\\n'", ir.Number(0, "'\\n'", 10)),
        ("1.5", ir.Number(0, "1.5", None)),
        ('"a" "b"', ir.Text(0, '"a" "b"')),
        ("NULL", name("NULL")),
        ("p->q.r", ir.Member(0, ir.Member(0, name("p"), "q", True), "r", False)),
        ("a[i]", ir.Index(0, name("a"), name("i"))),
        ("*p", ir.Unary(0, "*", name("p"))),
        ("-EAGAIN", ir.Unary(0, "-", name("EAGAIN"))),
        ("-1", ir.Number(0, "-1", -1)),
        ("a -1", ir.Binary(0, "-", name("a"), ir.Number(0, "1", 1))),
        ("i++", ir.Update(0, "++", name("i"), False)),
        ("--i", ir.Update(0, "--", name("i"), True)),
        ("a = b", ir.Assign(0, "=", name("a"), name("b"))),
        ("a |= b", ir.Assign(0, "|=", name("a"), name("b"))),
        ("c ? a : b", ir.Ternary(0, name("c"), name("a"), name("b"))),
        ("a ?: b", ir.Ternary(0, name("a"), None, name("b"))),
        ("(unsigned long *)p", ir.Cast(0, "unsigned long *", name("p"))),
        ("a, b, c", ir.Comma(0, (name("a"), name("b"), name("c")))),
        ("((a))", name("a")),
        ("sizeof(struct page)", ir.Unary(0, "sizeof", name("struct page"))),
        ("sizeof(*p)", ir.Unary(0, "sizeof", ir.Unary(0, "*", name("p")))),
        ("ops->fault(a, b)", ir.Call(0, ir.Member(0, name("ops"), "fault", True), (name("a"), name("b")))),
        ("(struct s){ .a = 1, 2, [3] = 4 }", ir.Cast(0, "struct s", ir.Init(0, (
            ("a", ir.Number(0, "1", 1)), ("", ir.Number(0, "2", 2)), ("[3]", ir.Number(0, "4", 4)))))),
    ],
)  # fmt: skip
def test_read(text: str, expected: ir.Expr) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "op", "left", "right"),
    [
        ("(x) && y == 3", "&&", "x", "y == 3"),
        ("(x) && y", "&&", "x", "y"),
        ("!(f()) && a", "&&", "!f()", "a"),
        ("!(f()) && a < 2", "&&", "!f()", "a < 2"),
        ("(f()) - 4", "-", "f()", "4"),
        ("(x) & y == 3", "&", "x", "y == 3"),
        ("(f()) * 4 + 1", "+", "f() * 4", "1"),
        ("(x) && y || z", "||", "x && y", "z"),
    ],
)
def test_parentheses_that_are_no_cast(text: str, op: str, left: str, right: str) -> None:
    expr = read(text)
    assert isinstance(expr, ir.Binary)
    assert (ir.show(expr.left), expr.op, ir.show(expr.right)) == (left, op, right)


@pytest.mark.parametrize(
    ("text", "type_"),
    [("(u64)-1", "u64"), ("(u32) - 1", "u32"), ("(size_t)*p", "size_t"), ("(u8)&x", "u8"), ("(void *)&&l", "void *")],
)
def test_casts(text: str, type_: str) -> None:
    expr = read(text)
    assert isinstance(expr, ir.Cast) and expr.type == type_


@pytest.mark.parametrize("text", ["likely(x)", "unlikely((x))", "__builtin_expect(x, 0)", "likely(unlikely(x))"])
def test_hints_leave_no_trace(text: str) -> None:
    assert read(text) == name("x")


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("min_t(unsigned long, a, b)", ("unsigned long", "a", "b")),
        ("container_of(p, struct foo, work)", ("p", "foo", "work")),
        ("offsetof(struct foo, bar)", ("foo", "bar")),
    ],
)
def test_type_arguments_are_names(text: str, args: tuple[str, ...]) -> None:
    call = read(text)
    assert isinstance(call, ir.Call)
    assert call.name == text.partition("(")[0]
    assert tuple(ir.show(arg) for arg in call.args) == args


def test_lines_are_those_of_the_file() -> None:
    expr = read("f(a,\n\t  b +\n\t  c)", 40)
    found = {each.name: each.line for each in ir.walk(expr) if isinstance(each, ir.Name)}
    assert found == {"f": 40, "a": 40, "b": 41, "c": 42}


def test_asm_keeps_text_and_operands() -> None:
    expr = read('asm volatile("nop %0" : "=r"(x) : "r"(y->z))')
    assert isinstance(expr, ir.Opaque)
    assert "nop" in expr.text
    assert [ir.show(part) for part in expr.parts] == ["x", "y->z"]


def test_what_is_unknown_keeps_its_readable_pieces() -> None:
    expr = read("_Generic(x, int: f(a), default: g(b))")
    assert isinstance(expr, ir.Opaque)
    assert {call.name for call in ir.calls(expr)} == {"f", "g"}


def test_depth_is_bounded() -> None:
    deep = read("!" * 5000 + "x")
    assert isinstance(hash(deep), int)  # would recurse without end
    depth = 0
    here = deep
    while isinstance(here, ir.Unary):
        depth += 1
        here = here.operand
    assert isinstance(here, ir.Opaque)
    assert 0 < depth <= DEEPEST


def test_many_flags_are_kept() -> None:
    names = [f"FLAG_{number}" for number in range(100)]
    expr = read(" | ".join(names))
    assert [each.name for each in ir.walk(expr) if isinstance(each, ir.Name)] == names


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("0", 0), ("08", None), ("0b101", 5), ("1ULL", 1), ("x", None), ("1e3", None), ("9" * 80, None)],
)
def test_integer(text: str, value: int | None) -> None:
    assert integer(text) == value


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """C text made of other C text, each part in parentheses."""
    two = st.tuples(inner, st.sampled_from("|| && | ^ & == != < >= << >> + - * / %".split()), inner)
    return st.one_of(
        two.map(lambda each: f"({each[0]}) {each[1]} ({each[2]})"),
        st.tuples(st.sampled_from("- ! ~ * &".split()), inner).map(lambda each: f"{each[0]}({each[1]})"),
        inner.map("({})->q".format),
        inner.map("({}).q".format),
        inner.map("({})(x, y)".format),
        inner.map("g(({}), 1)".format),
        inner.map("(struct s *)({})".format),
        inner.map("({})++".format),
        st.tuples(inner, inner).map(lambda each: f"({each[0]})[{each[1]}]"),
        st.tuples(inner, inner, inner).map(lambda each: f"({each[0]}) ? ({each[1]}) : ({each[2]})"),
    )


C_TEXT = st.recursive(st.sampled_from(["a", "p->f", "n", "g(x)", "v[i]"]), _joined, max_leaves=6)


@given(C_TEXT)
def test_what_is_shown_reads_the_same(text: str) -> None:
    expr = read(text)
    assert read(ir.show(expr)) == expr


@pytest.mark.parametrize("text", ["a + (b << c)", "(a + b) << c", "a - (b - c)", "(*p).q", "*p->f(x)", "(a & b) == c"])
def test_parentheses_are_kept_where_they_say_something(text: str) -> None:
    assert ir.show(read(text)) == text
