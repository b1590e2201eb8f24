"""Values of a function's variables on one way through it: where each came from, and what a test asks of it.

An environment maps variables to terms (`worlds.Term`); a variable that is not in it may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from lorelint.code import ir
from lorelint.code.codes import const, negative
from lorelint.code.worlds import Fixed, Passed, Site, Term, Verdict

_PASSING = ("PTR_ERR", "ERR_PTR", "ERR_CAST", "PTR_ERR_OR_ZERO")  # the same value as another type
_INT_NEG_PREDICATES = ("IS_ERR", "IS_ERR_VALUE")
HANDING_ON = frozenset((*_PASSING, *_INT_NEG_PREDICATES, "IS_ERR_OR_NULL"))  # they say something of their argument
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def term_of(expr: ir.Expr, env: Mapping[str, Term], node: int) -> Term | None:
    """Where the value of an expression comes from; None where that is not one place."""
    symbol = const(expr)
    if symbol:
        return symbol
    match expr:
        case ir.Name(name=name):
            return env.get(name)
        case ir.Cast(value=inner):
            return term_of(inner, env, node)
        case ir.Member(base=ir.Name(name=name), arrow=False):
            held = env.get(name)  # a local struct that a callee filled in: what the call stored
            return held if isinstance(held, Site) and held.out else None
        case ir.Call(args=(inner,)) if expr.name in _PASSING:
            return term_of(inner, env, node)
        case ir.Call() if not expr.name.isupper():  # READ_ONCE() and the like are no calls that fail
            return Site(node, expr.name)
        case ir.Assign(op="=", value=value):
            return term_of(value, env, node)
        case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">="):
            return Verdict(expr, True)
        case ir.Unary(op="!", operand=inner):
            return Verdict(inner, False)
    return None


def question(expr: ir.Expr, env: Mapping[str, Term], node: int) -> tuple[Term | None, str, str]:
    """A condition as (term, comparison, constant symbol)."""
    match expr:
        case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">=" as op, left=left, right=right):
            symbol = const(right)
            if symbol:
                return term_of(left, env, node), op, symbol
            symbol = const(left)
            if symbol:
                return term_of(right, env, node), _FLIPPED.get(op, op), symbol
            return None, op, ""
        case ir.Binary(op="&", left=left, right=right) if const(right):
            return term_of(left, env, node), "==", const(right)
        case ir.Call(args=(inner,)) if expr.name in _INT_NEG_PREDICATES:
            return term_of(inner, env, node), "<", "0"
        case ir.Call(args=(inner,)) if expr.name == "IS_ERR_OR_NULL":
            return term_of(inner, env, node), "<=", "0"
    return term_of(expr, env, node), "!=", "0"


def bind(env: dict[str, Term], name: str, term: Term | None) -> None:
    """A variable gets a value."""
    # A flag speaks of what its variables were when it was set.
    for flag in [flag for flag, held in env.items() if isinstance(held, Verdict) and _reads(held, name)]:
        del env[flag]
    if term is None or (isinstance(term, Verdict) and _reads(term, name)):
        env.pop(name, None)
    else:
        env[name] = term


def _reads(verdict: Verdict, name: str) -> bool:
    return name in read_by(verdict)


def read_by(flag: Verdict) -> frozenset[str]:
    """The variables that a flag speaks of."""
    return frozenset(each.name for each in ir.walk(flag.test) if isinstance(each, ir.Name))


def errors(env: dict[str, Term], writes: tuple[ir.Expr, ...]) -> None:
    """Variables that got whether a pointer is an error, as flags: ``ret = PTR_ERR_OR_ZERO(p)``, ``bad = IS_ERR(p)``."""
    for each in writes:
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=ir.Call(args=(arg,)) as asked) if _erred(asked):
                pass
            case ir.Declare(name=name, value=ir.Call(args=(arg,)) as asked) if _erred(asked):
                pass
            case _:
                continue
        bind(env, name, Verdict(ir.Call(each.line, ir.Name(each.line, "IS_ERR"), (arg,)), True))


def _erred(call: ir.Call) -> bool:
    return call.name in ("PTR_ERR_OR_ZERO", "IS_ERR")


def is_error(flag: Verdict) -> bool:
    """Whether a flag says that a pointer is an error."""
    return isinstance(flag.test, ir.Call) and flag.test.name == "IS_ERR"


def assign(env: dict[str, Term], writes: tuple[ir.Expr, ...], node: int, reason: Passed | None) -> None:
    """The variables after the assignments and declarations of a node; `reason` is the test that it stands under."""
    for each in writes:
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                term = term_of(value, env, node)
                fixed = reason is not None and isinstance(term, str) and negative(term)
                bind(env, name, Fixed(str(term), reason) if fixed and reason else term)
            case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)):
                bind(env, name, None)
            case ir.Declare(name=name, value=value) if value is not None:
                bind(env, name, term_of(value, env, node))
            case ir.Declare(name=name):
                bind(env, name, None)


def told(expr: ir.Expr, truth: bool) -> str:
    """The condition as it held, for a reader."""
    match expr:
        case _ if truth:
            return ir.show(expr)
        case ir.Binary(line=line, op=op, left=left, right=right) if op in _OPPOSITE:
            return ir.show(ir.Binary(line, _OPPOSITE[op], left, right))
    return ir.show(ir.Unary(expr.line, "!", expr))


def asked_plainly(expr: ir.Expr) -> str:
    """The variable whose plain truth a condition asks for, "" where it asks for more."""
    match expr:
        case ir.Name(name=name) | ir.Assign(target=ir.Name(name=name)):
            return name
    return ""


def address_of(expr: ir.Expr) -> str:
    """The local variable whose address is handed over (``&x``, also through a cast), else ""."""
    while isinstance(expr, ir.Cast):
        expr = expr.value
    if isinstance(expr, ir.Unary) and expr.op == "&" and isinstance(expr.operand, ir.Name):
        return expr.operand.name
    return ""
