"""Control flow: every construct by its graph, and random programs by running them twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.draft import NODE_LIMIT
from lorelint.code.ir import At, LoopKind
from lorelint.code.loops import loops
from lorelint.code.lower import lower


def function(body: str, line: int = 1) -> ir.Function:
    inside = "\n".join(row if row.startswith("#") else "\t" + row.lstrip() for row in body.split("\n"))
    text = f"static int f(int a, int b)\n{{\n{inside}\n}}"
    raw = text.encode("utf-8", "surrogateescape")
    return ir.Function("f", "x.c", line, line + text.count("\n"), (), "int", True, raw, line)


def graph(body: str) -> str:
    """A line for each node: what it is, and where it leads."""
    cfg = lower(function(body))
    check(cfg)
    return "\n".join(told(node) for node in cfg.nodes if node.id > 1)


def told(node: ir.Node) -> str:
    what = node.label + ":" if node.at is At.LABEL else "" if node.expr is None else ir.show(node.expr)
    word = "" if node.at is At.DO else f"{node.at.value} "
    ways = " ".join(f"{outcome(edge.when)}{'EXIT' if edge.to == 1 else edge.to}" for edge in node.out)
    return f"{node.id} {word}{what} > {ways}".replace("  ", " ").strip()


def outcome(when: bool | tuple[ir.Expr, ...] | None) -> str:
    if when is None:
        return ""
    if isinstance(when, bool):
        return "T" if when else "F"
    return ",".join(ir.show(each) for each in when) + "="


def check(cfg: ir.Cfg) -> None:
    """What holds for every graph."""
    assert [node.id for node in cfg.nodes] == list(range(len(cfg.nodes)))
    assert (cfg.nodes[0].at, cfg.nodes[1].at, cfg.nodes[1].out) == (At.ENTRY, At.EXIT, ())
    assert sum(node.at in (At.ENTRY, At.EXIT) for node in cfg.nodes) == 2
    preds: list[list[int]] = [[] for _ in cfg.nodes]
    for node in cfg.nodes:
        for to in {edge.to for edge in node.out}:
            preds[to].append(node.id)
        outcomes = [edge.when for edge in node.out]
        match node.at:
            case At.TEST:
                assert len(outcomes) == len(set(outcomes)) <= 2 and set(outcomes) <= {True, False} and node.expr
            case At.EACH:
                assert outcomes == [True, False] or cfg.opaque  # a goto without its label leads nowhere
            case At.SWITCH:
                assert all(isinstance(each, tuple) for each in outcomes) and outcomes.count(()) == 1
            case At.MAYBE:
                assert set(outcomes) == {None} or (not outcomes and cfg.opaque)
            case _:
                assert outcomes in ([None], [])
    assert cfg.preds == tuple(tuple(sorted(each)) for each in preds)
    assert all(preds[id] for id in range(2, len(preds))), "a node that cannot be reached"
    heads = {head for head, _ in cfg.kinds}
    assert len(heads) == len(cfg.kinds) and heads <= set(range(2, len(preds)))


def lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


CASES = {
    "conditions are split": (
        "if ((a && !b) || likely(c)) x(); else y();",
        """
        2 test a > T3 F4
        3 test b > T4 F5
        4 test c > T5 F6
        5 x() > EXIT
        6 y() > EXIT
        """,
    ),
    "a ternary as a condition": (
        "if (a ? b : !c) x();",
        """
        2 test a > T3 F4
        3 test b > T5 FEXIT
        4 test c > TEXIT F5
        5 x() > EXIT
        """,
    ),
    "an assignment in a loop condition is the head": (
        "while ((ret = f(x)) == -EAGAIN) g();",
        """
        2 ret = f(x) > 3
        3 test ret == -EAGAIN > T4 FEXIT
        4 g() > 2
        """,
    ),
    "an assignment behind && is done only there": (
        "if (a && (b = f()) && b < 3) x();",
        """
        2 test a > T3 FEXIT
        3 b = f() > 4
        4 test b > T5 FEXIT
        5 test b < 3 > T6 FEXIT
        6 x() > EXIT
        """,
    ),
    "commas": ("if (f(), a) x(), y();", "2 f() > 3\n3 test a > T4 FEXIT\n4 x() > 5\n5 y() > EXIT"),
    "chains of assignments": ("a = b = f();", "2 b = f() > 3\n3 a = b > EXIT"),
    "arguments and returns": (
        "g(a = f(), 1); return b = 2;",
        "2 a = f() > 3\n3 g(a, 1) > 4\n4 b = 2 > 5\n5 return b > EXIT",
    ),
    "a target that must not be evaluated twice": (
        "while ((*d++ = *s++)) ;",
        "2 #1 = *s++ > 3\n3 *d++ = #1 > 4\n4 test #1 > T2 FEXIT",
    ),
    "an effect that hangs on a condition inside a value": (
        "x = g(a && (b = f()));",
        """
        2 test a > T3 F6
        3 b = f() > 4
        4 test b > T5 F6
        5 #1 = 1 > 7
        6 #1 = 0 > 7
        7 x = g(#1) > EXIT
        """,
    ),
    "conditional values": (
        "int v = a ? 1 : 2; v += b ? 3 : 4; return a ? v : f();",
        """
        2 test a > T3 F4
        3 int v = 1 > 5
        4 int v = 2 > 5
        5 test b > T6 F7
        6 v += 3 > 8
        7 v += 4 > 8
        8 test a > T9 F10
        9 return v > EXIT
        10 return f() > EXIT
        """,
    ),
    "a ?: b": (
        "a = f() ?: g(); b = h(b) ?: k(b); return f() ?: g();",
        """
        2 a = f() > 3
        3 test a > T5 F4
        4 a = g() > 5
        5 #1 = h(b) > 6
        6 test #1 > T7 F8
        7 b = #1 > 9
        8 b = k(b) > 9
        9 #2 = f() > 10
        10 test #2 > T11 F12
        11 return #2 > EXIT
        12 return g() > EXIT
        """,
    ),
    "values kept whole where nothing hangs on them": (
        "x = a && b; f(a ? 1 : 2);",
        "2 x = a && b > 3\n3 f(a ? 1 : 2) > EXIT",
    ),
    "conditional statements": (
        "a && f(); b || g(); a ? f() : (void)0;",
        """
        2 test a > T3 F4
        3 f() > 4
        4 test b > T6 F5
        5 g() > 6
        6 test a > T7 FEXIT
        7 f() > EXIT
        """,
    ),
    "statement expressions": (
        "x = ({ int t = f(); if (t) return 9; t + 1; }); if (({ g(); a; })) h(); ({ k(); });",
        """
        2 int t = f() > 3
        3 test t > T4 F5
        4 return 9 > EXIT
        5 x = t + 1 > 6
        6 g() > 7
        7 test a > T8 F9
        8 h() > 9
        9 k() > EXIT
        """,
    ),
    "reports hand their condition on": (
        "if (WARN_ON_ONCE(a < 0)) f(); if (!drm_WARN_ON(dev, b)) g(); WARN_ON(a);",
        """
        2 test a < 0 > T3 F4
        3 f() > 4
        4 test b > T6 F5
        5 g() > 6
        6 WARN_ON(a) > EXIT
        """,
    ),
    "IS_ERR_OR_NULL stays whole": ("if (IS_ERR_OR_NULL(p)) f();", "2 test IS_ERR_OR_NULL(p) > T3 FEXIT\n3 f() > EXIT"),
    "what does not return": (
        "BUG_ON(a && b); if (a) panic(\"x\"); f(); BUG(); g();",
        """
        2 test a > T3 F5
        3 test b > T4 F5
        4 BUG() >
        5 test a > T6 F7
        6 panic("x") >
        7 f() > 8
        8 BUG() >
        """,
    ),
    "literal conditions": ("if (0) f(); if (1) g(); else h(); while (0) k();", "2 g() > EXIT"),
    "do while (0) is no loop": (
        "do { if (a) break; if (b) continue; f(); } while (0); g();",
        """
        2 test a > T5 F3
        3 test b > T5 F4
        4 f() > 5
        5 g() > EXIT
        """,
    ),
    "loops without an end": ("for (;;) { if (f()) break; g(); }", "2 label : > 3\n3 test f() > TEXIT F4\n4 g() > 2"),
    "for, continue and break": (
        "for (int i = 0; i < 3; i++) { if (a) continue; if (b) break; f(); }",
        """
        2 int i = 0 > 3
        3 test i < 3 > T4 FEXIT
        4 test a > T7 F5
        5 test b > TEXIT F6
        6 f() > 7
        7 i++ > 3
        """,
    ),
    "do, continue goes to the test": (
        "do { if (a) continue; f(); } while (b && g());",
        """
        2 label : > 3
        3 test a > T5 F4
        4 f() > 5
        5 test b > T6 FEXIT
        6 test g() > T2 FEXIT
        """,
    ),
    "switch": (
        """
        switch (a) {
        case 1 ... 3:
        case 5: f(); fallthrough;
        case 6: g(); break;
        default: return 1;
        case 7: ;
        }
        h();
        """,
        """
        2 switch a > 1 ... 3,5=3 6=4 =5 7=6
        3 f() > 4
        4 g() > 6
        5 return 1 > EXIT
        6 h() > EXIT
        """,
    ),
    "switch without a default, on an assignment": (
        "switch (x = f()) { case 1: g(); }",
        "2 x = f() > 3\n3 switch x > 1=4 =EXIT\n4 g() > EXIT",
    ),
    "cases inside a loop": (
        "switch (a) { case 0: do { f(); case 1: g(); } while (--n); }",
        """
        2 switch a > 0=3 1=5 =EXIT
        3 label : > 4
        4 f() > 5
        5 g() > 6
        6 test --n > T3 FEXIT
        """,
    ),
    "goto, also into a block": (
        "if (a) goto in; f(); if (b) { g(); in: h(); } return 0;",
        """
        2 test a > T6 F3
        3 f() > 4
        4 test b > T5 F8
        5 g() > 6
        6 label in: > 7
        7 h() > 8
        8 return 0 > EXIT
        """,
    ),
    "computed goto": (
        "static void *t[] = { &&one, &&two }; if (b) goto three; goto *t[a]; one: f(); two: return 1; three: return 2;",
        """
        2 static void *[] t > 3
        3 test b > T9 F4
        4 maybe > 5 7
        5 label one: > 6
        6 f() > 7
        7 label two: > 8
        8 return 1 > EXIT
        9 label three: > 10
        10 return 2 > EXIT
        """,
    ),
    "asm goto": (
        'asm goto("jmp %l[out]" : : : : out); f(); out: g();',
        """
        2 asm goto("jmp %l[out]" : : : : out) > 3
        3 maybe > 4 5
        4 f() > 5
        5 label out: > 6
        6 g() > EXIT
        """,
    ),
    "a label that only a macro jumps to": (
        "unsafe_get_user(x, p, Efault); return 0; Efault: return -1;",
        """
        2 unsafe_get_user(x, p, Efault) > 6
        3 return 0 > EXIT
        4 label Efault: > 5
        5 return -1 > EXIT
        6 maybe > 3 4
        """,
    ),
    "a variable named like a label": (
        "if (a) goto err; f(err); err: return err;",
        "2 test a > T4 F3\n3 f(err) > 4\n4 label err: > 5\n5 return err > EXIT",
    ),
    "iterators": (
        "list_for_each_entry(p, &head, list) { if (p->x) break; if (p->y) continue; f(p); } g();",
        """
        2 each list_for_each_entry(p, &head, list) > T3 F6
        3 test p->x > T6 F4
        4 test p->y > T2 F5
        5 f(p) > 2
        6 g() > EXIT
        """,
    ),
    "retry blocks": (
        "drm_exec_until_all_locked(&exec) {\nret = lock(&exec);\n"
        "drm_exec_retry_on_contention(&exec);\nif (ret) return ret;\n}",
        """
        2 each drm_exec_until_all_locked(&exec) > T3 FEXIT
        3 ret = lock(&exec) > 4
        4 drm_exec_retry_on_contention(&exec) > 5
        5 maybe > 2 6
        6 test ret > T7 F2
        7 return ret > EXIT
        """,
    ),
    "guard is released on every way out": (
        """
        guard(mutex)(&l);
        for (;;) {
            guard(rcu)();
            if (a) break;
            if (b) continue;
            if (c) return f();
            if (d) goto out;
        }
        g();
        out:
        h();
        """,
        """
        2 guard(mutex)(&l) > 3
        3 label : > 4
        4 guard(rcu)() > 5
        5 test a > T6 F7
        6 end of guard(rcu)() > 15
        7 test b > T8 F9
        8 end of guard(rcu)() > 3
        9 test c > T10 F13
        10 return f() > 11
        11 end of guard(rcu)() > 12
        12 end of guard(mutex)(&l) > EXIT
        13 test d > T19 F14
        14 end of guard(rcu)() > 3
        15 g() > 16
        16 label out: > 17
        17 h() > 18
        18 end of guard(mutex)(&l) > EXIT
        19 end of guard(rcu)() > 16
        """,
    ),
    "a jump back before the guard releases it": (
        "again: f(); { guard(mutex)(&l); if (g()) goto again; }",
        """
        2 label again: > 3
        3 f() > 4
        4 guard(mutex)(&l) > 5
        5 test g() > T7 F6
        6 end of guard(mutex)(&l) > EXIT
        7 end of guard(mutex)(&l) > 2
        """,
    ),
    "scoped_guard": (
        "scoped_guard(mutex, &l) { if (a) break; if (b) return 1; f(); } g();",
        """
        2 guard(mutex)(&l) > 3
        3 test a > T4 F5
        4 end of guard(mutex)(&l) > 10
        5 test b > T6 F8
        6 return 1 > 7
        7 end of guard(mutex)(&l) > EXIT
        8 f() > 9
        9 end of guard(mutex)(&l) > 10
        10 g() > EXIT
        """,
    ),
    "scoped_cond_guard": (
        "scoped_cond_guard(mutex_intr, return -EINTR, &l) { f(); } g();",
        """
        2 maybe > 3 6
        3 guard(mutex_intr)(&l) > 4
        4 f() > 5
        5 end of guard(mutex_intr)(&l) > 7
        6 return -EINTR > EXIT
        7 g() > EXIT
        """,
    ),
    "__free and CLASS": (
        "struct foo *p __free(kfree) = get(); CLASS(fd, f)(a); if (!p) return -ENOMEM; use(f, p);",
        """
        2 struct foo *p = get() > 3
        3 guard(fd)(a) > 4
        4 class_fd_t f = class_fd_constructor(a) > 5
        5 test p > T9 F6
        6 return -ENOMEM > 7
        7 end of guard(fd)(a) > 8
        8 end of guard(free:kfree)(p) > EXIT
        9 use(f, p) > 10
        10 end of guard(fd)(a) > 11
        11 end of guard(free:kfree)(p) > EXIT
        """,
    ),
    "__free before the name": (
        "cpumask_var_t __free(free_cpumask_var) m = NULL; f(m);",
        "2 cpumask_var_t m = NULL > 3\n3 f(m) > 4\n4 end of guard(free:free_cpumask_var)(m) > EXIT",
    ),
    "preprocessor arms never follow one another": (
        "f();\n#ifdef A\na1();\n#elif defined(B)\nb1();\n#else\nc1();\n#endif\n#if C\nd1();\n#endif\ng();",
        """
        2 f() > 3
        3 maybe > 4 5 6
        4 a1() > 7
        5 b1() > 7
        6 c1() > 7
        7 maybe > 8 9
        8 d1() > 9
        9 g() > EXIT
        """,
    ),
    "a condition cut by the preprocessor": (
        "#ifdef A\nif (a &&\n#else\nif (b &&\n#endif\n c)\n f();",
        """
        2 maybe > 3 6
        3 test a > T4 FEXIT
        4 test c > T5 FEXIT
        5 f() > EXIT
        6 test b > T7 FEXIT
        7 test c > T8 FEXIT
        8 f() > EXIT
        """,
    ),
    "declarations": (
        "int *p, q[4], (*fn)(int) = g; static int once = 3; extern int e; int proto(int); typedef int t;",
        "2 int *p > 3\n3 int [4] q > 4\n4 int *() fn = g > 5\n5 static int once > EXIT",
    ),
    "nothing": ("", ""),
    "what leaves no trace": (";;{}(void)a; fallthrough;", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_graph(case: str) -> None:
    body, expected = CASES[case]
    assert lines(graph(body)) == lines(expected)


def test_lines_are_those_of_the_file() -> None:
    cfg = lower(function("if (a)\n\tx();\nelse\n\ty();", line=70))
    assert [node.line for node in cfg.nodes] == [70, 76, 72, 73, 75]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("while (a) f();", LoopKind.WHILE),
        ("while (1) f();", LoopKind.WHILE),
        ("while (1 || a) f();", LoopKind.WHILE),
        ("while ((0 && a) || b) f();", LoopKind.WHILE),
        ("while ((a = f())) ;", LoopKind.WHILE),
        ("while (({ f(); a; })) ;", LoopKind.WHILE),
        ("while (f(), a) ;", LoopKind.WHILE),
        ("while (({ while (b) f(); a; }) && c) ;", LoopKind.WHILE),
        ("for (;;) f();", LoopKind.FOR),
        ("for (i = 0; i < 3; i++) f();", LoopKind.FOR),
        ("do f(); while (a);", LoopKind.DO),
        ("do { while (b) f(); } while (a);", LoopKind.DO),
        ("list_for_each_entry(p, h, l) f();", LoopKind.EACH),
        ("for_each_online_cpu(cpu) { f(); }", LoopKind.EACH),
        ("drm_exec_until_all_locked(&e) { f(); }", LoopKind.RETRY),
        ("again: f(); if (a) goto again;", LoopKind.GOTO),
    ],
)
def test_kind_of_loop(body: str, kind: LoopKind) -> None:
    found = loops(lower(function(body)))
    assert found[0].kind is kind
    assert all(loop.head == loop.back[0][1] for loop in found)


@pytest.mark.parametrize(
    "body", ["f(a", "if (", "} } }", "goto nowhere;", "case 3: f();", "break;", "int = = 3; f();", "switch"]
)
def test_broken_text_is_opaque(body: str) -> None:
    cfg = lower(function(body))
    check(cfg)
    assert cfg.opaque or body in ("case 3: f();", "} } }")


def test_a_label_of_another_reading() -> None:
    """Where directives cut a statement, a goto may stay in a reading whose label went with the other arm."""
    cfg = lower(function("if (a)\ngoto out;\n#ifdef A\nif (b) {\n#else\nout: if (c) {\n#endif\nf();\n}"))
    check(cfg)
    assert not cfg.opaque
    assert sum(node.label == "out" for node in cfg.nodes) == 1


def test_calls_beside_an_error_are_kept() -> None:
    cfg = lower(function("f();\n@@ $$;\ng();"))
    names = {call.name for node in cfg.nodes for call in ir.calls(node.expr)}
    assert {"f", "g"} <= names
    assert cfg.opaque == (4,)


def test_too_large_is_said() -> None:
    cfg = lower(function("f();\n" * (NODE_LIMIT + 1)))
    check(cfg)
    assert len(cfg.nodes) == 3 and cfg.opaque == (1,)


@pytest.mark.parametrize(
    "body",
    [
        "if (a) " * 10_000 + "f();",
        "{" * 10_000 + "f();" + "}" * 10_000,
        "f(" * 10_000 + ")" * 10_000 + ";",
        "return " + "a ? b : " * 5_000 + "c;",
        "if (" + "a && (" * 5_000 + "b" + ")" * 5_000 + ") f();",
        "while (a) " * 3_000 + "f();",
        "a = " * 5_000 + "f();",
        "if (a) f(); else " * 5_000 + "g();",
        "x = ({ " * 500 + "1; " + "});" * 500,
        "guard(mutex)(&l);" * 150 + "return 1;" * 150,
        "l: " * 3_000 + "f();",
    ],
    ids=lambda body: str(body)[:16],
)
def test_depth(body: str) -> None:
    cfg = lower(function(body))
    check(cfg)
    loops(cfg)


WORDS = """
    if else while for do switch case default : ; { } ( ) [ ] , ? && || ! = == goto return break continue x f a->b 1 0
    "s" 'c' * & ... guard(mutex)(&l); scoped_guard(mutex,&l) int struct list_for_each_entry(p,h,l) lbl: __free(kfree)
    asm({ }) ({ sizeof typeof &&lbl goto*x; @ \\ \udcff /* */ // # 9e
"""
TOKENS = [*WORDS.split(), "\n", "\n#if A\n", "\n#if 0\n", "\n#elif B\n", "\n#else\n", "\n#endif\n"]


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_lowered(tokens: list[str]) -> None:
    cfg = lower(function(" ".join(tokens)))
    check(cfg)
    loops(cfg)


@given(st.binary(max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_lowered(text: bytes) -> None:
    fn = ir.Function("f", "x.c", 1, 9, (), "", False, b"f(){" + text + b"}", 1)
    check(lower(fn))
