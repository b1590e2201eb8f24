"""The pieces of a file by column-0 structure."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code.segments import PieceKind, segments


def found(raw: bytes, kind: PieceKind = PieceKind.FUNCTION) -> list[str]:
    return [piece.head.name.decode() for piece in segments(raw).pieces if piece.kind is kind and piece.head]


def texts(raw: bytes, kind: PieceKind = PieceKind.FUNCTION) -> list[bytes]:
    return [raw[piece.start : piece.end] for piece in segments(raw).pieces if piece.kind is kind]


def test_styles_of_definition() -> None:
    raw = b"""/* a { b */
#define SWAP(a) \\
{ \\
	a; \\
}
static int one(int a)
{
	return a;
}

int two(void) {
	return 2;
}
static inline int three(int a,
			int b) { return a + b; }
static inline void four(void) {}
struct pair {
	int a;
} *five(struct pair *p)
{
	return p;
}
static void
six(void) __acquires(lock)
{
}
int (*seven(int a))(long)
{
	return 0;
}
SYSCALL_DEFINE2(eight, int, a, char __user *, b)
{
	return 0;
}
"""
    assert found(raw) == ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    assert not segments(raw).doubt
    assert texts(raw)[4].startswith(b"*five(")
    assert texts(raw)[5] == b"static void\nsix(void) __acquires(lock)\n{\n}"


def test_a_comment_stays_outside() -> None:
    raw = b"int x;\n\n/**\n * f() - does; {\n */\nstatic int f(void)\n{\n\treturn '}';\n}\n"
    assert texts(raw) == [b"static int f(void)\n{\n\treturn '}';\n}"]


def test_braces_in_conditionals_and_literals() -> None:
    raw = b"""int f(int a)
{
#ifdef A
	if (a) {
#else
	if (!a) {
#endif
		g("}{");
	}
	return 0;
}
int after(void)
{
	return '{';
}
"""
    assert found(raw) == ["f", "after"]


def test_loose_calls_and_the_other_arm() -> None:
    raw = b"""static int up(void)
{
	return 0;
}
late_initcall(up)
#else
static inline int down(void)
{
	return 0;
}
"""
    assert found(raw) == ["up", "down"]
    assert texts(raw)[1].startswith(b"static inline int down")


def test_data_types_and_tables() -> None:
    raw = b"""struct plain {
	int a;
};
static const struct ops table = {
	.run = run,
};
machine(name) {
	.probe = p,
};
static int v[] = { 1, 2 }, w = { 3 };
enum { A, B };
int f(void)
{
}
"""
    assert [piece.kind for piece in segments(raw).pieces] == [
        PieceKind.TYPE,
        PieceKind.DATA,
        PieceKind.DATA,
        PieceKind.DATA,
        PieceKind.TYPE,
        PieceKind.FUNCTION,
    ]


def test_an_event_macro_holds_no_function() -> None:
    raw = b"TRACE_EVENT(x,\n\tTP_PROTO(int a),\n\tTP_fast_assign(\n\t\ta = 1;\n\t\tif (a) { b(); }\n\t)\n);\n"
    raw += b"int f(void)\n{\n}\n"
    assert found(raw) == ["f"]


def test_what_has_no_semicolon_hides_nothing() -> None:
    raw = b"""#include <a.h>
/* words */
#include "b.h"

static void f(int a)
#define NOP(x) (x = 1)
#define TWO(x, y) \\
	((x) = (y))
{
	NOP(a);
}

DEFINE_GUARD(g, flags(_T),
		_T->a = 1)

static int g(void)
{
	return 0;
}

#define AFTER(x) = x
int h(void)
{
	return 0;
}
"""
    assert found(raw) == ["f", "g", "h"]
    assert texts(raw)[1].startswith(b"static int g")
    assert not segments(raw).doubt


def test_a_table_without_end_hides_nothing() -> None:
    """What stands behind a table whose semicolon a macro holds."""
    raw = b"TABLE(a) = {\n\t1,\n}\nEND\nint f(void)\n{\n}\n\n/* words */\nint g(void)\n{\n}\n"
    assert found(raw) == ["f", "g"]
    assert not segments(raw).doubt


def test_rows_of_a_table_that_is_declared_elsewhere() -> None:
    raw = b"/* rows */\n{ 1, },\n{ .call = f, },\n#if 0\n{ 2 },\n#endif\n{ .call = g },\n"
    assert not segments(raw).doubt
    assert {piece.kind for piece in segments(raw).pieces} == {PieceKind.OTHER, PieceKind.DATA}


def test_doubt_falls_back_to_a_parse() -> None:
    raw = b"int f(void)\n{\n\treturn 0;\n}\n}\nint g(void)\n{\n}\n"
    assert segments(raw).doubt == "a stray closing brace"
    assert found(raw) == ["f", "g"]


def test_names_in_column_0_inside_a_body() -> None:
    # the second body is not closed in column 0, so the first closing brace there is not its own
    raw = b"int f(void) {\n\treturn 0; }\nint g(void)\n{\nout:\n\treturn 1;\n}\n"
    assert found(raw) == ["f", "g"]
    assert texts(raw)[0] == b"int f(void) {\n\treturn 0; }"


def test_extern_c() -> None:
    raw = b'#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void)\n{\n}\n#ifdef __cplusplus\n}\n#endif\n'
    assert found(raw) == ["f"]
    assert not segments(raw).doubt


def test_no_newline_at_the_end_and_cr() -> None:
    assert found(b"int f(void)\r\n{\r\n\treturn 0;\r\n}") == ["f"]


def test_too_large() -> None:
    assert segments(b"int f(void)\n{\n}\n" + b" " * (1 << 20)).pieces == ()


HOSTILE = {
    "parens": b"(" * 60_000,
    "braces": b"{" * 60_000,
    "calls": b"a(" * 30_000 + b"{",
    "comments": b"/*" * 60_000,
    "quotes": b'"' * 60_001,
    "conditionals": b"#if\n" * 20_000,
    "items": b"x(\n;" * 20_000,
    # a megabyte of each: what looked at the item again for each brace of it would take an hour
    "rows": b"{ 1 },\n" * 140_000,
    "rows and comments": b"{}, /**/" * 120_000,
    "blocks": b"a{}" * 340_000,
    "blocks in lines": b"\n{}" * 340_000,
    "types": b"struct a{\n}\n" * 80_000,
    "values": b"={}" * 340_000,
    "expressions of statements": b"({})" * 250_000,
    "behind a long comment": b"/*" + b" " * 500_000 + b"*/ x" + b"\n#a" * 160_000,
    "keywords": b"struct " * 140_000 + b"(){}",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_ends_soon(raw: bytes) -> None:
    segments(raw)


WORDS = (
    *(b"int f(void)\n", b"{\n", b"}\n", b"#if X\n", b"#else\n", b"#endif\n", b"a(b)", b";", b"=", b"/*", b"*/", b'"'),
    *(b"(", b")", b"struct s ", b"\n", b"\t", b"\\\n", b"x:", b"\0", b"\r\n", b"\xe9", b"'", b"#define A(x) {\\\n"),
    *(b"__free(k)", b".", b"SYSCALL_DEFINE1(a, b, c)\n"),
)
C_LIKE = st.lists(st.sampled_from(WORDS), max_size=60).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(C_LIKE, st.binary(max_size=300)))
def test_never_raises_and_pieces_are_in_order(raw: bytes) -> None:
    pieces = segments(raw).pieces
    for piece in pieces:
        assert 0 <= piece.start <= piece.brace < piece.end <= len(raw)
        assert raw[piece.brace : piece.brace + 1] == b"{"
        assert piece.head is None or raw[piece.start + piece.head.at :].startswith(piece.head.name)
    functions = [piece for piece in pieces if piece.kind is PieceKind.FUNCTION]
    assert all(one.end <= two.start for one, two in pairwise(functions))
