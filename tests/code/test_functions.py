"""Headers of functions, read without a parser."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lorelint.code.functions import functions, one
from lorelint.code.ir import Function, Param


def first(raw: bytes) -> Function:
    return functions("d/a.c", raw)[0]


@pytest.mark.parametrize(
    ("header", "name", "returns", "static", "params"),
    [
        (b"int f(void)", "f", "int", False, []),
        (b"int f()", "f", "int", False, []),
        (
            b"static inline struct page **f(struct page *p, unsigned int n)",
            "f",
            "struct page **",
            True,
            ["struct page * p", "unsigned int n"],
        ),
        (
            b"static noinline __must_check long f(const char __user *buf)",
            "f",
            "long",
            True,
            ["const char __user * buf"],
        ),
        (b"static\nint\nf(int a,\n  int b /* c, d */)", "f", "int", True, ["int a", "int b"]),
        (b"void f(int a[], int b[2][3], unsigned long)", "f", "void", False, ["int * a", "int ** b", "unsigned long "]),
        (b"int f(int (*cb)(void *, int), void *data)", "f", "int", False, ["int (*)(void *, int) cb", "void * data"]),
        (b"void f(const char *fmt, ...)", "f", "void", False, ["const char * fmt", "... ..."]),
        (
            b"int f(struct s __maybe_unused *a, u8 b __attribute__((unused)))",
            "f",
            "int",
            False,
            ["struct s * a", "u8 b"],
        ),
        (b"int (*f(int a))(long)", "f", "", False, ["int a"]),
        (b"static void f(int a) __acquires(l) __releases(m)", "f", "void", True, ["int a"]),
        (b"SYSCALL_DEFINE2(f, int, a, const void __user *, b)", "f", "long", False, ["int a", "const void __user * b"]),
        (b"SYSCALL_DEFINE0(f)", "f", "long", False, []),
        (b"COMPAT_SYSCALL_DEFINE1(f, compat_ulong_t, a)", "f", "long", False, ["compat_ulong_t a"]),
        (b"BPF_CALL_1(f, struct sk_buff *, skb)", "f", "long", False, ["struct sk_buff * skb"]),
        (b"DEFINE_IDTENTRY(f)", "f", "", False, []),
        (b"struct s *f(struct s *a) /* note */", "f", "struct s *", False, ["struct s * a"]),
        (b"static int unknown_word_first f(int a)", "f", "int unknown_word_first", True, ["int a"]),
        (b"int f(int a\n#ifdef B\n, int b\n#endif\n)", "f", "int", False, ["int a", "int b"]),
        (b"static int PREFIX(f)(int a)", "f", "int", True, ["int a"]),
        (b"STATIC int f(int a)", "f", "int", True, ["int a"]),
        (b"DEFINE_GUARD(g, T, a(_T), _T = 0)\n\nint f(int a)", "f", "int", False, ["int a"]),
        (b"main()", "main", "", False, []),
    ],
)
def test_headers(header: bytes, name: str, returns: str, static: bool, params: list[str]) -> None:
    fn = first(b"int before;\n" + header + b"\n{\n\treturn 0;\n}\n")
    assert fn.name == name
    assert fn.returns == returns
    assert fn.static is static
    assert [f"{param.type} {param.name}" for param in fn.params] == params
    assert fn.text.startswith(header[header.rfind(b"\n\n") + 2 :] if b"\n\n" in header else header)


def test_where() -> None:
    raw = b"\n/* c */\nstatic int\nf(int a,\n  int b)\n{\n\treturn 0;\n}\n\nint g(void)\n{\n}\n"
    f, g = functions("d/a.c", raw)
    assert (f.first_line, f.line, f.end_line) == (3, 4, 8)
    assert f.text == b"static int\nf(int a,\n  int b)\n{\n\treturn 0;\n}"
    assert (g.first_line, g.line, g.end_line) == (10, 10, 12)
    assert f.key == ("d/a.c", "f")


def test_one() -> None:
    raw = b"int f(int a)\n{\n}\nint g(void)\n{\n}\nint f(int b)\n{\n}\n"
    assert one("a.c", raw, "f") == functions("a.c", raw)[0]
    assert one("a.c", raw, "g") == functions("a.c", raw)[1]
    assert one("a.c", raw, "h") is None
    assert one("a.c", raw, "a") is None


def test_latin_1() -> None:
    fn = first(b"int f(int \xe9)\n{\n}\n")
    assert fn.text.endswith(b"}")
    assert isinstance(fn.params[0], Param)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                b"static ",
                b"int ",
                b"*",
                b"(",
                b")",
                b",",
                b"f",
                b"__free(",
                b"[",
                b"]",
                b"SYSCALL_DEFINE1",
                b"#if A\n",
                b"=",
            )
        ),
        max_size=20,
    ).map(b"".join)
)
@example(b"static #if A\n()")
def test_no_header_raises(header: bytes) -> None:
    for fn in functions("a.c", b"x;\n" + header + b"\n{\n}\n"):
        assert fn.first_line <= fn.line <= fn.end_line
        assert fn.name.encode() in fn.text
