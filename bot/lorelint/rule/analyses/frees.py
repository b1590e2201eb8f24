"""What a function frees of that which it was handed: memory, by kfree() and its like, as chains of its parameters.

A reference that is dropped frees nothing here: whoever else holds one keeps the object.
"""

from __future__ import annotations

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.model.finding import Step
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.onward import is_chain
from lorelint.rule.analyses.scope import Scope, peel

DEPTH = 3  # calls below the function
_DEEP = 6  # locals followed one after the other
_ROOT = regex(r"^[&*(]*(\w+)")


class Freed(Struct, frozen=True):
    """One free.

    what   the chain that is freed, from a parameter or local of the function asked about (``dmabuf->priv->pages``)
    node   where, in that function
    api    what frees at last
    steps  from the call in that function down to the free
    """

    what: str
    node: int
    api: str
    steps: tuple[Step, ...]


def frees(program: Program, fn: ir.Function, depth: int = DEPTH) -> tuple[Freed, ...]:
    """All that a function frees, itself or in callees of its file and folder, in order."""
    return program.memo(("frees", fn.path, fn.name, fn.text, depth), lambda: _frees(program, fn, depth))


def _frees(program: Program, fn: ir.Function, depth: int) -> tuple[Freed, ...]:
    names = program.know.names("frees")
    scope = Scope(program, fn)
    found: list[Freed] = []
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if not call.name or not call.args:
                continue
            if call.name in names:
                what = canonical(scope, call.args[0])
                step = Step(fn.path, call.line, f"{fn.name}() calls {ir.show(call)}")
                found.append(Freed(what, node.id, call.name, (step,)))
            elif depth:
                found.extend(_below(program, scope, node.id, call, depth))
    return tuple(each for each in found if each.what)


def _below(program: Program, scope: Scope, node: int, call: ir.Call, depth: int) -> list[Freed]:
    """What a callee frees, in terms of the caller."""
    found = []
    for callee in near(program, call.name, scope.fn.path):
        if callee.key == scope.fn.key:
            continue
        handed = {param.name: arg for param, arg in zip(callee.params, call.args, strict=False)}
        step = Step(scope.fn.path, call.line, f"{scope.fn.name}() calls {call.name}()")
        for each in frees(program, callee, depth - 1):
            root = _ROOT.match(each.what)
            if root is None or root.group(1) not in handed:
                continue
            what = substitute(each.what, root.group(1), canonical(scope, handed[root.group(1)]))
            found.append(Freed(what, node, each.api, (step, *each.steps)))
    return found


def canonical(scope: Scope, expr: ir.Expr) -> str:
    """The text of a chain with locals of one value followed to it; "" for anything computed."""
    text = ""
    for _ in range(_DEEP):
        expr = peel(expr)
        while isinstance(expr, ir.Member):
            text = ("->" if expr.arrow else ".") + expr.field + text
            expr = peel(expr.base)
        match expr:
            case ir.Unary(op="&", operand=inner) if is_chain(inner):
                return joined("&" + canonical(scope, inner), text)
            case ir.Name(name=name):
                value = scope.value(name)
                if value is None or not is_chain(peel(value)):
                    return name + text
                expr = value
            case _:
                return ""
    return ""


def substitute(text: str, root: str, value: str) -> str:
    """A chain that begins at `value` instead of at the name `root`; "" where that is nothing plain."""
    at = text.find(root)
    return text[:at] + joined(value, text[at + len(root) :]) if value else ""


def joined(base: str, rest: str) -> str:
    """``&x`` and ``->f`` is ``x.f``."""
    if base.startswith("&") and rest.startswith("->"):
        return base[1:] + "." + rest[2:]
    return base + rest
