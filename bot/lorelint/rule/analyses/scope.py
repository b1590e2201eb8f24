"""Names of one function: what they are declared as, where their value comes from, what an expression is made of.

Light-weight on purpose: enough typing to say *of which struct is this field*, enough data flow to say
*these two expressions speak of the same address*. What is not known is empty, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.structs import field_type

_TAG = regex(r"\b(?:struct|union)\s+(\w+)")
_PLAIN = regex(r"^(?:const |volatile )*(\w+)")
_DEEP = 4  # locals followed one after the other
_WIDE = 64  # atoms of one expression
_CONTAINER = frozenset({"container_of", "container_of_const", "list_entry", "list_first_entry", "rb_entry"})
_PASSING = frozenset(
    {"READ_ONCE", "WRITE_ONCE", "ACCESS_ONCE", "rcu_dereference", "smp_load_acquire", "likely", "unlikely"}
)


def tag(type_: str) -> str:
    """The struct a type text is about (``struct vc4_bo *`` -> ``vc4_bo``); a typedef's name; "" for none."""
    found = _TAG.search(type_) or _PLAIN.search(type_)
    return found.group(1) if found else ""


def peel(expr: ir.Expr) -> ir.Expr:
    """The expression without casts, ``READ_ONCE()`` and the like, one ``&`` or ``*`` aside."""
    while True:
        match expr:
            case ir.Cast(value=inner):
                expr = inner
            case ir.Call(args=(inner, *_)) if expr.name in _PASSING:
                expr = inner
            case _:
                return expr


class Scope:
    """The names of one function."""

    def __init__(self, program: Program, fn: ir.Function) -> None:
        self.program = program
        self.fn = fn
        self.cfg = program.cfg(fn)
        self.types: dict[str, str] = {param.name: param.type for param in fn.params if param.name}
        self.params: tuple[str, ...] = tuple(param.name for param in fn.params)
        self._values: dict[str, list[ir.Expr]] = {}
        self._nodes: dict[int, int] = {}  # by the identity of a value, which lives as long as the graph
        for node in self.cfg.nodes:
            if node.expr is not None:
                self._learn(node)

    def _learn(self, node: ir.Node) -> None:
        assert node.expr is not None
        for each in ir.walk(node.expr):
            match each:
                case ir.Declare(name=name, type=type_, value=value):
                    self.types.setdefault(name, type_)
                    if value is not None:
                        self._values.setdefault(name, []).append(value)
                        self._nodes[id(value)] = node.id
                case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                    self._values.setdefault(name, []).append(value)
                    self._nodes[id(value)] = node.id
                case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)):
                    self._values.setdefault(name, []).append(each)

    def local(self, name: str) -> bool:
        return name in self.types

    def values(self, name: str) -> tuple[ir.Expr, ...]:
        """All that is ever assigned to a local; a compound assignment stands for itself."""
        return tuple(self._values.get(name, ()))

    def node_of(self, value: ir.Expr) -> int | None:
        """The node at which one of `values` is assigned."""
        return self._nodes.get(id(value))

    def value(self, name: str) -> ir.Expr | None:
        """The one value a local has, None for a parameter that is also assigned, or for several values."""
        many = self._values.get(name, ())
        return many[0] if len(many) == 1 and name not in self.params else None

    def resolve(self, expr: ir.Expr) -> ir.Expr:
        """An expression with locals of one value followed to that value."""
        expr = peel(expr)
        for _ in range(_DEEP):
            if not isinstance(expr, ir.Name):
                break
            value = self.value(expr.name)
            if value is None:
                break
            expr = peel(value)
        return expr

    # -- types -----------------------------------------------------------------------------

    def type_of(self, expr: ir.Expr) -> str:
        """Type text of an expression, "" where it is not known."""
        fields: list[str] = []
        for _ in range(16):
            match expr:
                case ir.Member(base=base, field=name):
                    fields.append(name)
                    expr = base
                case ir.Cast(type=type_):
                    return self._fields(type_, fields)
                case ir.Index(base=inner) | ir.Unary(op="*" | "&", operand=inner):
                    expr = inner
                case ir.Name(name=name):
                    return self._fields(self.types.get(name, ""), fields)
                case ir.Call():
                    return self._fields(self._returned(expr), fields)
                case _:
                    return ""
        return ""

    def _returned(self, call: ir.Call) -> str:
        if call.name in _CONTAINER and len(call.args) >= 2:
            return ir.show(call.args[1]) + " *"
        if call.name in _PASSING and call.args:
            return self.type_of(call.args[0])
        for fn in resolve(self.program, call.name, self.fn.path, wide=False) if call.name else ():
            return fn.returns
        return ""

    def _fields(self, type_: str, fields: list[str]) -> str:
        for name in reversed(fields):
            if not type_:
                return ""
            type_ = field_type(self.program, tag(type_), name, self.fn.path)
        return type_

    def tag_of(self, expr: ir.Expr) -> str:
        """The struct an expression is or points to; for one without a name, the struct around it and the field."""
        after: list[str] = []
        found = tag(self.type_of(expr))
        while found in ("struct", "union") and isinstance(expr, ir.Member | ir.Index):
            if isinstance(expr, ir.Member):
                after.append(expr.field)
            expr = expr.base
            found = tag(self.type_of(expr))
        return ".".join((found, *reversed(after))) if found not in ("struct", "union") else ""

    # -- where values come from ------------------------------------------------------------

    def atoms(self, expr: ir.Expr, depth: int = _DEEP) -> frozenset[str]:
        """What an expression is made of: parameters, locals and field chains, locals followed to their values.

        Names of functions, constants in capitals and the base of a longer chain are left out.
        """
        found: set[str] = set()
        todo = [(expr, depth)]
        while todo and len(found) < _WIDE:
            here, left = todo.pop()
            for name in _chains(here):
                text = ir.show(name)
                if text in found:
                    continue
                found.add(text)
                # a pointer to an object is the object, not the address it was found by
                if left and isinstance(name, ir.Name) and "struct " not in self.types.get(name.name, ""):
                    todo.extend((value, left - 1) for value in self._values.get(name.name, ()))
        return frozenset(found)

    def members(self, expr: ir.Expr, depth: int = _DEEP) -> tuple[tuple[str, str], ...]:
        """(struct, field) of every field an expression is made of, locals followed to their values."""
        found: dict[tuple[str, str], None] = {}
        seen: set[str] = set()
        todo = [(expr, depth)]
        while todo and len(seen) < _WIDE:
            here, left = todo.pop()
            for each in _chains(here):
                if isinstance(each, ir.Member):
                    if owner := self.tag_of(each.base):
                        found[(owner, each.field)] = None
                elif isinstance(each, ir.Name) and left and each.name not in seen:
                    seen.add(each.name)
                    todo.extend((value, left - 1) for value in self._values.get(each.name, ()))
        return tuple(found)


def _chains(expr: ir.Expr) -> Iterator[ir.Expr]:
    """Maximal names and field chains of an expression."""
    todo = [expr]
    while todo:
        here = todo.pop()
        match here:
            case ir.Name(name=name):
                if not name.isupper():
                    yield here
            case ir.Member():
                yield here
            case ir.Call(args=args):
                todo.extend(args)
            case _:
                todo.extend(ir.children(here))
