"""Sets of values a call may have returned: error codes by name, zero, and "some other".

A value is one symbol: ``0``, a number, a positive name (``VM_FAULT_RETRY``), a negative name (``-EAGAIN``).
Pointers share the scheme: NULL is ``0``, an ERR_PTR is its code, a good pointer is "some other positive".
"""

from __future__ import annotations

from msgspec import Struct

from lorelint.code import ir

_ZERO = frozenset({"0", "NULL", "false", "FALSE"})


class Codes(Struct, frozen=True):
    """The symbols in `named`, and beyond them any other negative / positive value if so marked.

    `but` lists symbols that `neg` and `pos` no longer include.
    """

    named: frozenset[str] = frozenset()
    neg: bool = False
    pos: bool = False
    but: frozenset[str] = frozenset()

    @property
    def zero(self) -> bool:
        return "0" in self.named

    @property
    def empty(self) -> bool:
        return not (self.named or self.neg or self.pos)

    @property
    def fails(self) -> bool:
        """No success among them: not zero, and something negative or a named failure."""
        return not self.zero and not self.empty and (self.neg or any(negative(each) for each in self.named))

    @property
    def only(self) -> str:
        """The one symbol it must be, else ""."""
        if self.neg or self.pos or len(self.named) != 1:
            return ""
        return next(iter(self.named))

    def admits(self, symbol: str) -> bool:
        if symbol in self.named:
            return True
        if symbol in self.but:
            return False
        return self.neg if negative(symbol) else self.pos and symbol != "0"

    def __or__(self, other: Codes) -> Codes:
        but = frozenset(each for each in self.but | other.but if not (self.admits(each) or other.admits(each)))
        return Codes(self.named | other.named, self.neg or other.neg, self.pos or other.pos, but)

    def meets(self, other: Codes) -> bool:
        """The two have a value in common, as far as can be told."""
        if any(other.admits(each) for each in self.named) or any(self.admits(each) for each in other.named):
            return True
        return (self.neg and other.neg) or (self.pos and other.pos)

    def equal(self, symbol: str) -> Codes:
        return Codes(frozenset({symbol})) if self.admits(symbol) else Codes()

    def other_than(self, symbol: str) -> Codes:
        return Codes(self.named - {symbol}, self.neg, self.pos, self.but | {symbol})

    def below_zero(self) -> Codes:
        return Codes(frozenset(each for each in self.named if negative(each)), self.neg, False, self.but)

    def above_zero(self) -> Codes:
        return Codes(
            frozenset(each for each in self.named if each != "0" and not negative(each)), False, self.pos, self.but
        )

    def nonzero(self) -> Codes:
        return Codes(self.named - {"0"}, self.neg, self.pos, self.but)

    def only_zero(self) -> Codes:
        return self.equal("0")

    def show(self) -> str:
        parts = sorted(self.named)
        if self.neg:
            parts.append("another error" if self.named else "any error")
        if self.pos:
            parts.append("a positive value")
        return ", ".join(parts) or "nothing"


ANY = Codes(frozenset({"0"}), True, True)
TRUTH = Codes(frozenset({"0"}), False, True)


def negative(symbol: str) -> bool:
    return symbol.startswith("-")


def const(expr: ir.Expr) -> str:
    """The symbol of a constant expression, "" where it is none."""
    match expr:
        case ir.Number(value=value) if value is not None:
            return str(value)
        case ir.Name(name=name) if name in _ZERO:
            return "0"
        case ir.Name(name="true" | "TRUE"):
            return "1"
        case ir.Name(name=name) if name.isupper() and len(name) > 1:
            return name
        case ir.Unary(op="-", operand=inner):
            symbol = const(inner)
            return (
                f"-{symbol}"
                if symbol and symbol != "0" and not negative(symbol)
                else symbol and symbol.removeprefix("-")
            )
        case ir.Cast(value=inner):
            return const(inner)
        case ir.Call(args=(inner,)) if expr.name == "ERR_PTR":
            symbol = const(inner)
            return symbol
    return ""


def compare(codes: Codes, op: str, symbol: str) -> tuple[Codes, Codes]:
    """`codes` where ``value op symbol`` holds, and where it does not."""
    if op == "==":
        return codes.equal(symbol), codes.other_than(symbol)
    if op == "!=":
        return codes.other_than(symbol), codes.equal(symbol)
    if symbol == "0":
        return _against_zero(codes, op)
    if symbol == "1" and op in ("<", ">="):  # n < 1 is n <= 0 for whole numbers
        yes, no = _against_zero(codes, "<=")
        return (yes, no) if op == "<" else (no, yes)
    if symbol == "-1" and op in (">", "<="):
        yes, no = _against_zero(codes, ">=")
        return (yes, no) if op == ">" else (no, yes)
    return codes, codes


def _against_zero(codes: Codes, op: str) -> tuple[Codes, Codes]:
    low, high, mid = codes.below_zero(), codes.above_zero(), codes.only_zero()
    match op:
        case "<":
            return low, high | mid
        case ">=":
            return high | mid, low
        case ">":
            return high, low | mid
        case "<=":
            return low | mid, high
    return codes, codes
