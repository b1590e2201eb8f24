"""Rewrites that make kernel C readable for a grammar: what they do, and that they move nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code.blocks import BlockKind, kind_of
from lorelint.code.conditionals import cutting, groups, resolve, variants, without_dead
from lorelint.code.lex import mask
from lorelint.code.normalise import Normal, file_scope, normalise, normalise_file
from lorelint.code.rescue import RESCUES


def normal(raw: bytes) -> Normal:
    found = normalise(mask(raw), raw)
    same_places(raw, found.code)
    return found


def same_places(raw: bytes, code: bytes) -> None:
    assert len(code) == len(raw)
    assert [at for at, char in enumerate(code) if char == 10] == [at for at, char in enumerate(raw) if char == 10]


def plain(raw: bytes) -> str:
    return " ".join(normal(raw).code.decode().split())


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (b"a /* b */ c // d", "a c"),
        (b"f(\"a{b\", '}');", "f(\"sss\", 's');"),
        (b"'\"'; '\\''; \"\\\"\";", "'s'; 'ss'; \"ss\";"),
        (b"static int __init f(void __user *p) __must_hold(&l);", "static int f(void *p) ;"),
        (b" x = container_of(p, struct T, m);", "x = container_of(p, T, m);"),
        (b" x = min_t(unsigned long, a, b);", "x = min_t(unsigned_long, a, b);"),
        (b" x = va_arg(ap, const char *);", "x = va_arg(ap, char );"),
        (b" p = alloc(struct foo **, 3);", "p = alloc( foo , 3);"),
        (b" y = (unsigned long)x;", "y = (unsigned long)x;"),
        (b" z = sizeof(struct foo);", "z = sizeof(struct foo);"),
        (b" typeof(*p) q = (typeof(x))(y);", "int q = (int )(y);"),
        (b" __alignof__(*p); offsetof(struct T, m[i]);", "sizeof (*p); offset_f( T, m[i]);"),
        (b" case 1 ... 4: x();", "case 1 : x();"),
        (b" static DEFINE_RATELIMIT_STATE(rs, a, b);", "DEFINE_RATELIMIT_STATE(rs, a, b);"),
        (b" DECLARE_BITMAP(map, N) = { 0 };", "int map = { 0 };"),
        (b' register long r asm("r0") = v;', "register long r = v;"),
        (b' printk(KERN_ERR PFX "x");', 'printk( PFX "s");'),
        (b' f("a" __stringify(__LINE__) "b");', 'f("s" "s");'),
        (b" f(a, __initdata);", "f(a, __initdata);"),
    ],
)
def test_rewrites(raw: bytes, want: str) -> None:
    assert plain(raw).replace("  ", " ") == want


def test_cleanup_is_remembered() -> None:
    raw = b"\tstruct foo *x __free(kfree) = f();\n\tint y[4] __cleanup(done);\n"
    found = normal(raw)
    assert found.frees == {raw.index(b"x"): "kfree", raw.index(b"y"): "done"}
    assert b"__free" not in found.code


def test_computed_goto() -> None:
    raw = b"\tgoto *table[x];\n\tgoto out;\n"
    found = normal(raw)
    assert found.computed == {raw.index(b"*")}
    assert b"goto out" in found.code


def test_block_macros() -> None:
    raw = b"""x f()
{
	list_for_each_entry(p, &h, list) {
		a();
	}
	for_each_thing(t)
		if (t) b();
	scoped_cond_guard(mutex_intr, return -EINTR, &l) { c(); }
	drm_exec_until_all_locked(&exec) {
	}
	once_only() {
	}
	plain(a, b);
	if (x) { }
	walk_all(t)
		++n;
	my_loop(a)
		b();
}
"""
    found = normal(raw)
    told = {block.name: (block.kind, block.args) for block in found.blocks.values()}
    assert told == {
        "list_for_each_entry": (BlockKind.EACH, b"p, &h, list"),
        "for_each_thing": (BlockKind.EACH, b"t"),
        "scoped_cond_guard": (BlockKind.ONCE, b"mutex_intr, return -EINTR, &l"),
        "drm_exec_until_all_locked": (BlockKind.RETRY, b"&exec"),
        "once_only": (BlockKind.ONCE, b""),
        "my_loop": (BlockKind.EACH, b"a"),
    }
    for at in found.blocks:
        assert found.code[at : at + 5] in (b"while", b"if(1)")
    cond = next(block for block in found.blocks.values() if block.fail)
    assert cond.fail == (b" return -EINTR", 8)
    assert b"plain(a, b);" in found.code


def test_block_after_a_long_comment() -> None:
    raw = b"x f()\n{\n\t/*\n" + b"\t * words\n" * 200 + b"\t */\n\tfor_each_item(a)\n\t\tb();\n}\n"
    assert [block.name for block in normal(raw).blocks.values()] == ["for_each_item"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("list_for_each_entry_safe", BlockKind.EACH),
        ("scoped_guard", BlockKind.ONCE),
        ("with_intel_runtime_pm", BlockKind.ONCE),
        ("drm_exec_until_all_locked", BlockKind.RETRY),
        ("for_each_set_bit_from", BlockKind.EACH),
        ("device_for_each_child_node_scoped", BlockKind.EACH),
        ("xe_validation_guard", BlockKind.ONCE),
        ("nobody_knows", BlockKind.EACH),
    ],
)
def test_kinds(name: str, kind: BlockKind) -> None:
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    ("raw", "want", "kind"),
    [
        (b"{\n\tCHECK_IT((a), return -1);\n}", "{ while ((a)){ return -1;} }", BlockKind.ONCE),
        (b"{\n\twait_for(d, 20,\n\t\tif (x()) break;\n\t);\n}", "{ while (d, 20){ if (x()) break; } }", BlockKind.EACH),
        (b"{\n\tIF_ERR(say(1);)\n\tx();\n}", "{ if(1){say(1);} x(); }", BlockKind.ONCE),
        (
            b"{\n\tif (wait_for(d, 2000,\n\t\tif (x()) break;\n\t) < 0)\n\t\treturn;\n}",
            "{ if (({while(1){ if (x()) break; }})< 0) return; }",
            BlockKind.EACH,
        ),
    ],
)
def test_statements_as_arguments(raw: bytes, want: str, kind: BlockKind) -> None:
    found = normal(raw)
    assert "".join(found.code.decode().split()) == "".join(want.split())
    (block,) = found.blocks.values()
    assert block.kind is kind
    assert found.code[min(found.blocks) :].startswith((b"while", b"if(1)"))


def test_for_loops_are_no_macros() -> None:
    assert normal(b"{\n\tfor (;;) x();\n\tfor (a; b; ) y();\n}").blocks == {}


CUT = b"""x f()
{
	if (a)
		b();
#ifdef C
	else
		c();
#endif
#ifdef D
	d();
#else
	e();
#endif
#if 0
	dead();
#endif
	return f(1,
#ifdef G
		g
#else
		h
#endif
	);
}
"""


def test_conditionals_that_cut() -> None:
    code = mask(CUT)
    assert len(groups(code)) == 4
    alive = without_dead(code)
    assert b"dead" not in alive
    cut = cutting(alive)
    assert len(cut) == 2
    assert variants(cut) == 2
    first, second = (resolve(alive, cut, number) for number in range(2))
    same_places(CUT, first)
    assert b"c();" in first
    assert b"\tg\n" in first
    assert b"\th\n" not in first
    assert b"c();" not in second
    assert b"\th\n" in second
    for text in (first, second):
        assert text.count(b"#") == 3  # the conditional around whole statements stays
        assert b"d();" in text
        assert b"e();" in text


@pytest.mark.parametrize(
    "raw",
    [
        b"{\n#ifdef A\nout:\n#endif\n\tx();\n}",
        b"{\n\tif (a)\n#ifdef A\n\t\tx();\n#else\n\t\ty();\n#endif\n}",
        b"{\n#ifdef A\n\tif (a) {\n#else\n\t{\n#endif\n\t}\n}",
        b"{\n\tx = a |\n#ifdef A\n\tb |\n#endif\n\tc;\n}",
    ],
)
def test_cuts(raw: bytes) -> None:
    assert len(cutting(mask(raw))) == 1


@pytest.mark.parametrize(
    "raw", [b"{\n#ifdef A\n\tx();\n#endif\n}", b"{\n#if X\n\tif (a) {\n\t}\n#elif Y\n\ty();\n#else\n#endif\n\tz();\n}"]
)
def test_does_not_cut(raw: bytes) -> None:
    assert cutting(mask(raw)) == []


def test_directives_become_plain() -> None:
    raw = b"#if defined(A) && \\\n\tB /* x */\n#elif IS_ENABLED(C)\n#ifndef D\n#endif\n# else // x\n#endif\n"
    raw += b"#define E {\n#if 0\n#endif\n"
    code = mask(raw)
    same_places(raw, code)
    told = [line.rstrip() for line in code.decode().split("\n")]
    assert told == ["#if X", "", "#elif X", "#if X", "#endif", "# else", "#endif", "", "#if 0", "#endif", ""]


def test_file_scope() -> None:
    raw = b"SYSCALL_DEFINE1(name, int, a)\n{\n}\nlate_initcall(x)\n\nint g(int a)\n{\n}\nmachine(n) {\n\t.a = b,\n};\n"
    code = file_scope(mask(raw))
    same_places(raw, code)
    assert code.startswith(b"x f()")
    assert b"initcall" not in code
    assert b"machine(n)" in code


WORDS = (
    *(
        b"for_each_x(a)",
        b"{",
        b"}",
        b";",
        b"(",
        b")",
        b",",
        b"\n",
        b"\t",
        b" ",
        b"#if A\n",
        b"\n#else\n",
        b"\n#endif\n",
    ),
    *(b"/*", b"*/", b'"', b"'", b"\\", b"struct T *", b"typeof(", b"__free(", b"__user", b"x", b"asm(", b"return"),
    *(b"goto *", b"case 1 ... 2:", b"\0", b"\r", b"\xff", b"#define A \\\n", b"if(", b"static DECLARE_X(a, b) = "),
    *(b"while_x(", b"KERN_ERR PFX ", b"offsetof(", b"scoped_cond_guard(a, b, c) {", b"__stringify(a)"),
)
BITS = st.lists(st.sampled_from(WORDS), max_size=50).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(st.one_of(BITS, st.binary(max_size=200)))
def test_nothing_moves_whatever_the_bytes(raw: bytes) -> None:
    code = mask(raw)
    same_places(raw, code)
    same_places(raw, normalise(code, raw).code)
    same_places(raw, normalise_file(raw))
    for rescue in RESCUES:
        same_places(raw, rescue(code, 0))
    cut = cutting(without_dead(code))
    for number in range(variants(cut)):
        same_places(raw, resolve(code, cut, number))


HOSTILE = {
    "parens": b"((((" * 20_000,
    "heads": b") {" * 30_000,
    "typeof": b"typeof(" * 20_000,
    "conditionals": b"#if X\n" * 20_000,
    "comments": b"/*" * 60_000,
    "statements": b"f(a, return " * 10_000,
    "cleanups": b"__free(" * 15_000,
    "iterators": b"for_each_x(" * 10_000 + b") {",
    "types": b"struct a *, " * 10_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_ends_soon(raw: bytes) -> None:
    normal(raw)
