"""What holds on each way through a function: the values of the path-sensitive half of every retry question.

A `World` is one equivalence class of paths up to a point: which call a variable's value came from,
what the tests on the way said about that call's result, and which marks (a yield, a bound, a signal
exit ..., chosen by the caller) the paths have passed. Worlds with equal content are one, dead variables
are dropped, so their number stays small; where it does not, they are folded into one *coarse* world,
which says of itself that it no longer tells paths apart. `explore` makes them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.codes import Codes

TRAIL = 4  # selecting tests remembered


class Site(Struct, frozen=True):
    """A call in the graph, as the origin of a value: its result, or what it stored through ``&out``."""

    node: int
    name: str  # "" for an indirect call
    out: str = ""


class Verdict(Struct, frozen=True):
    """A variable that holds the outcome of a test: ``again = ret == -EAGAIN``."""

    test: ir.Expr
    holds: bool  # value is the test, or its negation


class Passed(Struct, frozen=True):
    """One test on the way: what it was about and what came out."""

    node: int
    text: str  # C text of the condition as it held (negated where the False edge was taken)
    site: Site | None  # the call whose result was tested, None for any other condition
    codes: Codes  # what the result can still be after the test
    quiet: bool = False  # the plain truth of a pointer or flag: no sign of failure


class Fixed(Struct, frozen=True):
    """A constant set right behind a test: ``if (!pte) { err = -EAGAIN; goto out; }`` keeps its reason."""

    symbol: str
    why: Passed


Term = Site | str | Fixed | Verdict  # str: a constant's symbol
Env = frozenset[tuple[str, Term]]  # where the value of each variable came from
Known = frozenset[tuple[Site, Codes]]  # what the tests said about the calls
Trail = tuple[Passed, ...]


class World(Struct, frozen=True):
    env: Env = frozenset()
    known: Known = frozenset()
    trail: Trail = ()  # the last tests on call results (predicates aside), oldest first
    last: Passed | None = None  # the very last test of any kind
    marks: frozenset[Hashable] = frozenset()
    coarse: bool = False

    def term(self, name: str) -> Term | None:
        for key, term in self.env:
            if key == name:
                return term
        return None

    def codes(self, site: Site) -> Codes | None:
        for key, codes in self.known:
            if key == site:
                return codes
        return None


class Explored(Struct, frozen=True):
    """Worlds before each node, and those that took one of the edges asked about; sorted by what they hold."""

    at: Mapping[int, tuple[World, ...]]
    arrived: Mapping[tuple[int, int], tuple[World, ...]]
    cut: bool  # the step budget was reached


def symbol_of(term: Term | None) -> Site | str | Verdict | None:
    """A term without the reason of a constant."""
    return term.symbol if isinstance(term, Fixed) else term


# -- text by which worlds are sorted: it does not depend on hashing


def env_text(env: Env) -> str:
    return str(sorted(f"{name}={_term(term)}" for name, term in env))


def known_text(known: Known) -> str:
    return str(sorted(f"{_term(site)}:{_codes(codes)}" for site, codes in known))


def trail_text(trail: Trail) -> str:
    return str([passed_text(each) for each in trail])


def marks_text(marks: frozenset[Hashable]) -> str:
    return str(sorted(map(str, marks)))


def passed_text(passed: Passed) -> str:
    site = _term(passed.site) if passed.site else ""
    return f"{passed.node:06}{passed.text}{site}{_codes(passed.codes)}{passed.quiet}"


def _term(term: Term) -> str:
    match term:
        case Site(node=node, name=name, out=out):
            return f"{node:06}{name}>{out}"
        case Verdict(test=test, holds=holds):
            return f"{holds}:{ir.show(test)}"
        case Fixed(symbol=symbol, why=why):
            return f"{symbol}@{passed_text(why)}"
    return term


def _codes(codes: Codes) -> str:
    return f"{sorted(codes.named)}{codes.neg}{codes.pos}{sorted(codes.but)}"
