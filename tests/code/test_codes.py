"""The algebra of returned values: what a union admits, what a comparison leaves on each side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.codes import ANY, TRUTH, Codes, compare, const, negative
from lorelint.code.program import Program

SYMBOLS = ("0", "1", "-1", "-EAGAIN", "-EBUSY", "-EINVAL", "VM_FAULT_RETRY")
#: Two that no set names stand for all the others.
ALL = frozenset((*SYMBOLS, "-EOTHER", "SOME_OTHER"))
OPS = ("==", "!=", "<", ">", "<=", ">=")

symbols = st.sampled_from(SYMBOLS)


@st.composite
def sets(draw: st.DrawFn) -> Codes:
    """Sets as tests make them: some start, narrowed and joined."""
    made = Codes(draw(st.frozensets(symbols)), draw(st.booleans()), draw(st.booleans()))
    for _ in range(draw(st.integers(0, 3))):
        symbol, op = draw(symbols), draw(st.sampled_from(OPS))
        made = compare(made, op, symbol)[draw(st.integers(0, 1))]
    return made


def meant(codes: Codes) -> frozenset[str]:
    return frozenset(each for each in ALL if codes.admits(each))


@given(sets(), sets())
def test_a_union_admits_what_either_does(one: Codes, other: Codes) -> None:
    assert meant(one | other) == meant(one) | meant(other)
    assert meant(other | one) == meant(one | other)


@given(sets(), sets(), sets())
def test_the_order_of_unions_leaves_no_trace(one: Codes, two: Codes, three: Codes) -> None:
    assert (one | two) | three == one | (two | three)
    assert (one | two) | three == (three | one) | two


@given(sets(), sets())
def test_meeting_is_to_share_a_value(one: Codes, other: Codes) -> None:
    assert one.meets(other) is other.meets(one) is bool(meant(one) & meant(other))


@given(sets())
def test_empty_admits_nothing(codes: Codes) -> None:
    assert codes.empty is (not meant(codes))
    if codes.only:
        assert meant(codes) == {codes.only}


@given(sets(), st.sampled_from(OPS), symbols)
def test_a_comparison_splits(codes: Codes, op: str, symbol: str) -> None:
    yes, no = compare(codes, op, symbol)
    assert meant(yes) | meant(no) == meant(codes), "the two sides cover"
    decides = op in ("==", "!=") or symbol == "0"
    if decides:
        assert not meant(yes) & meant(no), "the two sides are disjoint"


@given(sets(), st.sampled_from(("<", ">", "<=", ">=")))
def test_signs(codes: Codes, op: str) -> None:
    def sign(each: str) -> int:
        return 0 if each == "0" else -1 if negative(each) else 1

    holds = {"<": lambda n: n < 0, ">": lambda n: n > 0, "<=": lambda n: n <= 0, ">=": lambda n: n >= 0}[op]
    yes, no = compare(codes, op, "0")
    assert all(holds(sign(each)) for each in meant(yes))
    assert not any(holds(sign(each)) for each in meant(no))


@given(sets())
def test_whole_numbers_next_to_zero(codes: Codes) -> None:
    yes, no = compare(codes, "<", "1")
    assert meant(yes) == meant(compare(codes, "<=", "0")[0]) and meant(yes) | meant(no) == meant(codes)
    yes, no = compare(codes, ">", "-1")
    assert meant(yes) == meant(compare(codes, ">=", "0")[0])


@given(sets())
def test_failing_means_no_zero_and_something_negative(codes: Codes) -> None:
    assert codes.fails is ("0" not in meant(codes) and any(map(negative, meant(codes))))


def test_failing() -> None:
    assert Codes(frozenset({"-EAGAIN"})).fails
    assert ANY.nonzero().fails, "if (ret) is taken for a failure"
    assert not TRUTH.nonzero().fails, "a predicate that is true is none"
    assert not ANY.fails and not Codes().fails and not ANY.above_zero().fails


def test_shown() -> None:
    assert Codes(frozenset({"0", "-EAGAIN"}), True).show() == "-EAGAIN, 0, another error"
    assert Codes(neg=True).show() == "any error"
    assert Codes(pos=True).show() == "a positive value"
    assert Codes().show() == "nothing"


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("0", "0"), ("NULL", "0"), ("false", "0"), ("true", "1"), ("16", "16"), ("0x10", "16"), ("-16", "-16"),
        ("-EAGAIN", "-EAGAIN"), ("- -EAGAIN", "EAGAIN"), ("-0", "0"), ("(long)-EBUSY", "-EBUSY"),
        ("ERR_PTR(-ENOMEM)", "-ENOMEM"), ("VM_FAULT_RETRY", "VM_FAULT_RETRY"),
        ("ret", ""), ("f()", ""), ("N", ""), ("ERR_PTR(ret)", ""), ("-ret", ""),
    ],
)  # fmt: skip
def test_constants(small: Callable[..., Program], text: str, symbol: str) -> None:
    program = small(f"int f(int ret)\n{{\n\treturn {text};\n}}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    (expr,) = (node.expr for node in program.cfg(fn).nodes if node.at is ir.At.RETURN)
    assert expr is not None and const(expr) == symbol
