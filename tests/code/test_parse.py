"""Functions to syntax: placeholders, variants, what could not be parsed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from lorelint.code.functions import functions
from lorelint.code.ir import Function
from lorelint.code.parse import Syntax, definitions, fragment, parse_function
from lorelint.model.tree import LIMIT


def made(raw: bytes) -> tuple[Syntax, ...]:
    (fn,) = functions("a.c", raw)
    return parse_function(fn)


def all_of(syntax: Syntax, kind: str) -> list[Node]:
    found, stack = [], [syntax.body]
    while stack:
        node = stack.pop()
        if node.type == kind:
            found.append(node)
        stack.extend(reversed(node.children))
    return found


def test_offsets_and_lines_are_the_files() -> None:
    raw = b"int x;\n\n/* two\n lines */ static noinline int *f(struct a *p, /* { */ int b)\n"
    raw += b'{\n\tg(p, "a;b");\n\treturn 0;\n}\n'
    (syntax,) = made(raw)
    assert syntax.degraded == ()
    assert len(syntax.norm) == len(syntax.raw)
    (call,) = all_of(syntax, "call_expression")
    assert syntax.text(call) == 'g(p, "a;b")'
    assert syntax.plain(call) == 'g(p, "sss")'
    assert syntax.line(call) == 6
    assert syntax.line(syntax.body) == 5


def test_a_definer_has_a_body_too() -> None:
    (syntax,) = made(b"SYSCALL_DEFINE1(name, int, a)\n{\n\treturn a;\n}\n")
    assert syntax.degraded == ()
    assert len(all_of(syntax, "return_statement")) == 1


def test_a_short_header() -> None:
    (syntax,) = made(b"int f()\n{\n\tfor_each_x(a)\n\t\tb();\n}\n")
    assert syntax.degraded == ()
    (loop,) = all_of(syntax, "while_statement")
    assert syntax.blocks[loop.start_byte].name == "for_each_x"


def test_a_struct_in_the_return_type() -> None:
    raw = b"static struct s {\n\tint a;\n} *f(int b) {\n\treturn g(b);\n}\n"
    (syntax,) = made(raw)
    assert syntax.degraded == ()
    assert [syntax.text(node) for node in all_of(syntax, "call_expression")] == ["g(b)"]


def test_variants() -> None:
    raw = b"""int f(int a)
{
#ifdef ALWAYS
	start();
#endif
	if (a)
		one();
#ifdef ONE
	else if (b)
		two();
#elif TWO
	else if (c)
		three();
#endif
	return 0;
}
"""
    syntaxes = made(raw)
    told = [[syntax.text(node) for node in all_of(syntax, "call_expression")] for syntax in syntaxes]
    assert told == [["start()", "one()", "two()"], ["start()", "one()", "three()"], ["start()", "one()"]]
    assert all(not syntax.degraded for syntax in syntaxes)
    assert all(all_of(syntax, "preproc_if") for syntax in syntaxes)  # the whole statement stays a conditional


def test_variants_that_are_equal_count_once() -> None:
    raw = b"int f(void)\n{\n\tg(1,\n#ifdef A\n#endif\n\t  2);\n}\n"
    assert len(made(raw)) == 1


def test_at_most_four_variants() -> None:
    arms = b"".join(b"#elif A%d\n\t  %d\n" % (number, number) for number in range(9))
    raw = b"int f(void)\n{\n\tg(1,\n#if X\n\t  x\n" + arms + b"#endif\n\t  );\n}\n"
    assert len(made(raw)) == 4


def test_block_inside_an_expression() -> None:
    raw = b"int f(void)\n{\n\tif (wait_some(d, 2000,\n\t\tif (x()) break;\n\t) < 0)\n\t\treturn 1;\n\treturn 0;\n}\n"
    (syntax,) = made(raw)
    assert syntax.degraded == ()
    (loop,) = all_of(syntax, "while_statement")
    assert syntax.blocks[loop.start_byte].name == "wait_some"


def test_rescues() -> None:
    raw = b"""int f(void)
{
	SETUP(x)
	if (has(dev, FEAT, 48_47))
		put(d, ==, 3,);
	asm volatile(ALT("nop", "x %0") : "=r" (a) : "r" (b) MORE("y"));
	cfg = CONFIG(.event=0xc0, .umask=0x01);
	say(LEVEL PREFIX "a" fmt(3) "b");
	O32 LONG count;
	return a;
}
"""
    (syntax,) = made(raw)
    assert syntax.degraded == ()
    assert "return a;" in [syntax.text(node) for node in all_of(syntax, "return_statement")]
    assert {"has", "put", "say"} <= {syntax.text(node.children[0]) for node in all_of(syntax, "call_expression")}


def test_what_does_not_parse_is_said_by_line() -> None:
    (syntax,) = made(b"int f(void)\n{\n\ta();\n\t] what [ is : this @\n\tb();\n}\n")
    assert 4 in syntax.degraded
    assert all(3 <= line <= 6 for line in syntax.degraded)


def test_fragment() -> None:
    syntax = fragment(b" return -EINTR", 8)
    (node,) = all_of(syntax, "return_statement")
    assert syntax.line(node) == 8
    assert syntax.text(node).startswith("return -EINTR")
    assert syntax.degraded == ()
    assert fragment(b"}" * 9, 3).body.type == "compound_statement"
    assert fragment(b"(" * 9000, 3).body.type == "compound_statement"


def test_limits() -> None:
    def fn(text: bytes) -> Function:
        return Function("f", "a.c", 1, 2, (), "int", False, text)

    assert parse_function(fn(b"int f(void)\n{" + b" " * LIMIT + b"}")) == ()
    assert parse_function(fn(b"no braces")) == ()
    assert parse_function(fn(b"int f(void)\n{" + b"(" * 5000 + b"}")) == ()


def test_definitions_of_a_whole_file() -> None:
    raw = b"#ifdef A\nint f(void)\n{\n}\n#else\nint g(void)\n{\n}\n#endif\n"
    raw += b"static int __init h(void)\n{\n\treturn 0;\n}\nlate_initcall(h)\n"
    assert next(raw[start:end] for start, _, end in definitions(raw)) == b"int f(void)\n{\n}"
    assert len(list(definitions(raw))) == 3


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_never_raises(body: bytes) -> None:
    fn = Function("f", "a.c", 1, 2, (), "int", False, b"int f(void)\n{\n" + body + b"\n}")
    for syntax in parse_function(fn):
        assert len(syntax.norm) == len(syntax.raw)
        assert all(1 <= line <= fn.text.count(b"\n") + 1 for line in syntax.degraded)
    fragment(body, 1)
