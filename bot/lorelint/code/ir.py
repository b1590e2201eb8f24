"""Expressions and control flow, free of syntax: what every analysis and rule reads.

Conditions are split at ``&&``, ``||``, ``!`` and ``?:`` until each branch tests one thing; assignments
inside conditions, calls' arguments or returns become statements of their own before the test. So a
branch node holds one atomic expression, and a path is a list of facts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import Struct, field

from lorelint.code.work import metered, spend
from lorelint.model.placed import placed

T = TypeVar("T")


@placed
class Expr:
    """Base of all expressions. `line` is 1-based in the file and takes no part in equality."""

    line: int = dataclasses.field(compare=False, repr=False)


@placed
class Name(Expr):
    """A variable, function or constant by its name."""

    name: str


@placed
class Number(Expr):
    """A literal; `value` is None where it does not fit plain reading (floats)."""

    text: str
    value: int | None


@placed
class Text(Expr):
    """A string literal, its quotes included."""

    text: str


@placed
class Call(Expr):
    """`callee` is a `Name` for a direct call, a `Member` for ``ops->fault(..)``."""

    callee: Expr
    args: tuple[Expr, ...]

    @property
    def name(self) -> str:
        """The name called directly, "" for an indirect call."""
        return self.callee.name if isinstance(self.callee, Name) else ""


@placed
class Member(Expr):
    """``base.field``, or ``base->field`` with `arrow`."""

    base: Expr
    field: str
    arrow: bool


@placed
class Index(Expr):
    """``base[index]``"""

    base: Expr
    index: Expr


@placed
class Unary(Expr):
    """``! - + ~ * & sizeof``"""

    op: str
    operand: Expr


@placed
class Update(Expr):
    """``++`` and ``--``"""

    op: str
    target: Expr
    prefix: bool


@placed
class Binary(Expr):
    """Arithmetic, comparison or logic of two operands."""

    op: str
    left: Expr
    right: Expr


@placed
class Assign(Expr):
    """``=`` and the compound forms (``op`` is ``=``, ``+=``, ...)."""

    op: str
    target: Expr
    value: Expr


@placed
class Declare(Expr):
    """A local variable. `type` is its text with single spaces, pointers included (``struct page *``)."""

    name: str
    type: str
    value: Expr | None


@placed
class Ternary(Expr):
    """``c ? a : b`` left in the middle of an expression (``a ?: b`` has `then` None)."""

    cond: Expr
    then: Expr | None
    other: Expr


@placed
class Cast(Expr):
    """``(type)value``"""

    type: str
    value: Expr


@placed
class Init(Expr):
    """``{ .a = 1, 2 }``: (designator text without the leading dot, or ""; value)."""

    items: tuple[tuple[str, Expr], ...]


@placed
class Comma(Expr):
    """``a, b``"""

    items: tuple[Expr, ...]


@placed
class Guard(Expr):
    """``guard(kind)(args)``, ``scoped_guard(kind, args)``, ``CLASS()``, ``__free(kind)``.

    A node with this expression acquires; its twin with `leave` set releases, and stands on every way
    out of the scope. For ``__free(f)`` only the `leave` twin exists, kind ``free:f``, args the variable.
    """

    kind: str
    args: tuple[Expr, ...]
    leave: bool


@placed
class Opaque(Expr):
    """Anything else (asm, syntax errors, compound literals' odd corners); `parts` are its readable pieces."""

    text: str
    parts: tuple[Expr, ...] = ()


def _nothing(expr: Any) -> tuple[Expr, ...]:
    return ()


_BELOW: dict[type[Expr], Callable[[Any], tuple[Expr, ...]]] = {
    Expr: _nothing,
    Name: _nothing,
    Number: _nothing,
    Text: _nothing,
    Call: lambda expr: (expr.callee, *expr.args),
    Member: lambda expr: (expr.base,),
    Index: lambda expr: (expr.base, expr.index),
    Unary: lambda expr: (expr.operand,),
    Update: lambda expr: (expr.target,),
    Binary: lambda expr: (expr.left, expr.right),
    Assign: lambda expr: (expr.value, expr.target),
    Declare: lambda expr: () if expr.value is None else (expr.value,),
    Ternary: lambda expr: (expr.cond, expr.other) if expr.then is None else (expr.cond, expr.then, expr.other),
    Cast: lambda expr: (expr.value,),
    Init: lambda expr: tuple([value for _, value in expr.items]),
    Comma: lambda expr: expr.items,
    Guard: lambda expr: expr.args,
    Opaque: lambda expr: expr.parts,
}


def _below(kind: type[Expr]) -> Callable[[Any], tuple[Expr, ...]]:
    """How the sub-expressions of a kind are had; a kind of another module is like the one it is derived from."""
    found = _BELOW[kind] = next(_BELOW[each] for each in kind.__mro__ if each in _BELOW)
    return found


def children(expr: Expr) -> tuple[Expr, ...]:
    """Direct sub-expressions, in order of evaluation as far as C has one."""
    return (_BELOW.get(type(expr)) or _below(type(expr)))(expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and all below it, parents first, without recursion."""
    stack = [expr]
    while stack:
        here = stack.pop()
        yield here
        kind = type(here)
        if kind is not Name:
            below = (_BELOW.get(kind) or _below(kind))(here)
            if below:
                stack += below[::-1]


def calls(expr: Expr | None) -> Iterator[Call]:
    """All calls in an expression, outermost first."""
    stack = [] if expr is None else [expr]
    while stack:
        here = stack.pop()
        kind = type(here)
        if kind is not Name:
            if isinstance(here, Call):
                yield here
            below = (_BELOW.get(kind) or _below(kind))(here)
            if below:
                stack += below[::-1]


def show(expr: Expr) -> str:
    """C text of an expression on one line, for messages and for comparison; depth is bounded."""
    return _show(expr, 0)


_DEEP = 24


def _show(expr: Expr, depth: int) -> str:
    if depth > _DEEP:
        return ".."
    below = depth + 1
    match expr:
        case Name(name=name):
            return name
        case Number(text=text) | Text(text=text):
            return text
        case Call(callee=callee, args=args):
            return f"{_base(callee, below)}({', '.join(_show(a, below) for a in args)})"
        case Member(base=base, field=name, arrow=arrow):
            return f"{_base(base, below)}{'->' if arrow else '.'}{name}"
        case Index(base=base, index=index):
            return f"{_base(base, below)}[{_show(index, below)}]"
        case Unary(op=op, operand=operand):
            space = " " if op.isalpha() else ""
            inner = _unary(operand, below)
            return f"{op}({inner})" if inner.startswith(op) else f"{op}{space}{inner}"  # -(-a)
        case Update(op=op, target=target, prefix=prefix):
            return f"{op}{_unary(target, below)}" if prefix else f"{_base(target, below)}{op}"
        case Binary(op=op, left=left, right=right):
            return f"{_operand(left, op, below)} {op} {_operand(right, op, below, right=True)}"
        case Assign(op=op, target=target, value=value):
            return f"{_show(target, below)} {op} {_show(value, below)}"
        case Declare(name=name, type=type_, value=value):
            star = "" if type_.endswith("*") else " "
            return f"{type_}{star}{name}" + ("" if value is None else f" = {_show(value, below)}")
        case Ternary(cond=cond, then=then, other=other):
            middle = "" if then is None else f" {_one(then, below)} "
            return f"{_one(cond, below)} ?{middle}: {_one(other, below)}"
        case Cast(type=type_, value=value):
            return f"({type_}){_unary(value, below)}"
        case Init(items=items):
            return "{ " + ", ".join(f".{d} = {_show(v, below)}" if d else _show(v, below) for d, v in items) + " }"
        case Comma(items=many):
            return ", ".join(_show(item, below) for item in many)
        case Guard(kind=kind, args=args, leave=leave):
            return f"{'end of ' if leave else ''}guard({kind})({', '.join(_show(a, below) for a in args)})"
        case Opaque(text=text):
            return " ".join(text.split())[:120]
    return "?"


#: How tightly an operator binds (C11 6.5.5 to 6.5.14).
_BINDS = {
    op: at for at, ops in enumerate("|| && | ^ & ==,!= <,>,<=,>= <<,>> +,- *,/,%".split()) for op in ops.split(",")
}


def _base(expr: Expr, depth: int) -> str:
    """What a field, an element or a call is of."""
    text = _show(expr, depth)
    return f"({text})" if isinstance(expr, Unary | Binary | Cast | Ternary | Assign | Comma) else text


def _unary(expr: Expr, depth: int) -> str:
    """What a prefix or a cast is of."""
    text = _show(expr, depth)
    return f"({text})" if isinstance(expr, Binary | Ternary | Assign | Comma) else text


def _one(expr: Expr, depth: int) -> str:
    """What stands where a comma or an assignment would be read as two."""
    text = _show(expr, depth)
    return f"({text})" if isinstance(expr, Ternary | Assign | Comma) else text


def _operand(expr: Expr, op: str, depth: int, *, right: bool = False) -> str:
    """One side of an operator, in parentheses where it would be read otherwise, and where one would have to think."""
    if not isinstance(expr, Binary):
        return _one(expr, depth)
    text = _show(expr, depth)
    if expr.op == op and not right:
        return text
    loose = _BINDS.get(expr.op, 0) - right < _BINDS.get(op, 0)
    return f"({text})" if loose or op in ("&", "|", "^", "<<", ">>") else text


class At(StrEnum):
    """What a node of the graph is."""

    ENTRY = "entry"
    EXIT = "exit"  # the one end of the function; every return leads here
    DO = "do"  # a statement: `expr`
    TEST = "test"  # a branch on `expr`; edges carry True / False
    SWITCH = "switch"  # a branch on `expr`; edges carry case labels
    MAYBE = "maybe"  # a branch of unknown condition (preprocessor, computed goto)
    EACH = "each"  # head of an iterator macro: `expr` is its Call; True = one more item, False = done
    RETURN = "return"  # `expr` is the value, None for a bare return
    LABEL = "label"  # `label` names it; no effect


class Edge(Struct, frozen=True):
    """To where, and under which outcome.

    when    None: always. True / False: outcome of a TEST or EACH. A tuple of expressions: these case
            labels of a SWITCH; an empty tuple: none of the others (default, or past the switch).
    """

    to: int
    when: bool | tuple[Expr, ...] | None = None


class Node(Struct, frozen=True):
    """One step. Node 0 is the ENTRY, node 1 the EXIT."""

    id: int
    at: At
    line: int
    expr: Expr | None = None
    out: tuple[Edge, ...] = ()
    label: str = ""


class LoopKind(StrEnum):
    FOR = "for"
    WHILE = "while"
    DO = "do"
    GOTO = "goto"
    EACH = "each"  # an iterator macro: ends by itself, continue is no retry
    RETRY = "retry"  # a macro that goes round until it succeeds (drm_exec_until_all_locked)


class Loop(Struct, frozen=True):
    """A natural loop (by dominators); goto loops too.

    head    node id; every node of `body` is reached through it (unless `tangled`)
    back    edges (from, head) that go round; one Loop holds all back edges of one head
    leave   edges (from inside, to outside)
    label   the label jumped to, for a goto loop
    """

    head: int
    kind: LoopKind
    line: int
    body: frozenset[int]
    back: tuple[tuple[int, int], ...]
    leave: tuple[tuple[int, int], ...]
    label: str = ""
    tangled: bool = False  # entered beside its head too (irreducible)


class Nodes(tuple[Node, ...]):
    """The nodes of a graph. To go over all of them is work (`work.spend`): rules do so for each place they ask of."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Node]:
        spend(len(self) >> 2)
        return super().__iter__()


class Cfg(Struct, frozen=True, eq=False):
    """The control flow of one function; equal to itself alone."""

    nodes: tuple[Node, ...]
    kinds: tuple[tuple[int, LoopKind], ...] = ()  # loop statement heads: node id of the head -> kind
    opaque: tuple[int, ...] = ()  # lines of syntax that could not be read
    preds: tuple[tuple[int, ...], ...] = ()  # predecessors of each node
    # what was derived from the graph alone, by who derives it; it lives as long as the graph
    derived: dict[Hashable, Any] = field(default_factory=dict)

    def node(self, id: int) -> Node:
        return self.nodes[id]

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What follows from the graph alone, worked out once: at nobody's cost, whoever asks first."""
        if key not in self.derived:
            with metered():
                self.derived[key] = compute()
        found: T = self.derived[key]
        return found


class Param(Struct, frozen=True):
    name: str  # "" where the declaration gives none
    type: str  # single spaces, pointers included


class Function:
    """A function definition. Equality is by path, name and text.

    line, end_line  of the line that holds the name, and of the last
    returns         type text, "" when unreadable
    text            from the start of the declaration to the closing brace
    first_line      of `text`
    """

    __slots__ = ("_params", "end_line", "first_line", "line", "name", "path", "returns", "static", "text")

    def __init__(
        self,
        name: str,
        path: str,
        line: int,
        end_line: int,
        params: tuple[Param, ...] | Callable[[], tuple[Param, ...]],
        returns: str,
        static: bool,
        text: bytes,
        first_line: int = 1,
    ) -> None:
        """`params` may be given as what reads them: of most functions nobody asks for them."""
        self.name = name
        self.path = path
        self.line = line
        self.end_line = end_line
        self._params = params
        self.returns = returns
        self.static = static
        self.text = text
        self.first_line = first_line

    @property
    def params(self) -> tuple[Param, ...]:
        if callable(self._params):
            self._params = self._params()
        return self._params

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Function):
            return NotImplemented
        return self is other or (self.name == other.name and self.path == other.path and self.text == other.text)

    def __hash__(self) -> int:
        return hash((self.name, self.path))

    def __repr__(self) -> str:
        return f"{self.path}:{self.line}:{self.name}()"

    @property
    def key(self) -> tuple[str, str]:
        return (self.path, self.name)
