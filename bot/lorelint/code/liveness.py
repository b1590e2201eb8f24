"""What the tests of a graph can ask for: which variables from a node on, and whether the result of a call at all.

Where a value came from matters if a test, a switch or a return will look at the variable, or at another one that it
was copied to. A variable that is only handed to calls or reckoned with is as good as dead, and paths that differ in
nothing else are one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.terms import HANDING_ON, address_of

_ASKING = (ir.At.TEST, ir.At.SWITCH, ir.At.RETURN)
_CALL = "()"  # among variables: the result of a call


class _Effect(Struct, frozen=True):
    """What a node does to variables: those it asks for, overwrites, and copies (target, source)."""

    asked: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    copied: tuple[tuple[str, str], ...] = ()


def origins(expr: ir.Expr) -> Iterator[str]:
    """Variables (and calls) whose value, or a test of it, may be the value of an expression."""
    stack = [expr]
    while stack:
        match stack.pop():
            case ir.Name(name=name) | ir.Member(base=ir.Name(name=name), arrow=False):
                yield name
            case ir.Cast(value=value) | ir.Assign(op="=", value=value) | ir.Unary(operand=value):
                stack.append(value)
            case ir.Call(callee=ir.Name(name=name), args=(value,)) if name in HANDING_ON:
                stack.append(value)
            case ir.Call() as call if not call.name.isupper():  # READ_ONCE() and the like are no calls that fail
                yield _CALL
            case ir.Binary(left=left, right=right):
                stack += (left, right)


def _effect(node: ir.Node) -> _Effect:
    if node.expr is None:
        return _Effect()
    asked = frozenset(origins(node.expr)) if node.at in _ASKING else frozenset()
    written: set[str] = set()
    copied: list[tuple[str, str]] = []
    for each in ir.walk(node.expr):
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value) | ir.Declare(name=name, value=value):
                written.add(name)
                if value is not None:
                    copied += [(name, source) for source in origins(value)]
            case ir.Call(args=args):
                copied += [(name, _CALL) for argument in args if (name := address_of(argument))]
    return _Effect(asked, frozenset(written), tuple(copied))


def _effects(cfg: ir.Cfg, inside: Collection[int]) -> dict[int, _Effect]:
    known: dict[int, _Effect] = cfg.derived.setdefault("effects", {})
    for id in inside:
        if id not in known:
            known[id] = _effect(cfg.nodes[id])
    return {id: known[id] for id in inside}


def tells(cfg: ir.Cfg, inside: Collection[int], plain: Collection[str], errnos: Collection[str]) -> bool:
    """Whether some test inside may say more of a call made inside than the plain truth of a pointer or predicate.

    plain   pointers and bools
    errnos  callees whose bare truth is a failure
    """
    effects = _effects(cfg, inside)
    from_calls = {_CALL}
    copied = [pair for effect in effects.values() for pair in effect.copied]
    grown = 0
    while grown < len(from_calls):
        grown = len(from_calls)
        from_calls.update([target for target, source in copied if source in from_calls])
    if grown == 1 and not any(_CALL in effect.asked for effect in effects.values()):
        return False
    flags = _flags(cfg, inside)
    for id, effect in effects.items():
        node = cfg.nodes[id]
        if node.at is ir.At.RETURN or not effect.asked & from_calls:
            continue
        match node.expr if node.at is ir.At.TEST else None:
            case ir.Call() as call if call.name not in HANDING_ON:
                if call.name in errnos:
                    return True
            case ir.Name(name=name) if name in plain:
                if flags.get(name, frozenset()) & from_calls:
                    return True
            case _:
                return True
    return False


def liveness(cfg: ir.Cfg, inside: Collection[int], goals: Collection[tuple[int, int]]) -> dict[int, frozenset[str]]:
    """For each node inside: the variables that a test inside may still ask for before a goal edge is taken."""
    effects = _effects(cfg, inside)
    after = {id: [e.to for e in cfg.nodes[id].out if e.to in effects and (id, e.to) not in goals] for id in effects}
    before: dict[int, list[int]] = {id: [] for id in effects}
    for id, nexts in after.items():
        for to in nexts:
            before[to].append(id)
    live = {id: effect.asked for id, effect in effects.items()}
    queue = deque(sorted(effects, reverse=True))
    waiting = set(queue)
    while queue:
        id = queue.popleft()
        waiting.discard(id)
        effect = effects[id]
        behind = frozenset().union(*(live[to] for to in after[id]))
        fresh = effect.asked | (behind - effect.written)
        if effect.copied:
            fresh |= {source for target, source in effect.copied if target in behind}
        if fresh != live[id]:
            live[id] = fresh
            for each in before[id]:
                if each not in waiting:
                    waiting.add(each)
                    queue.append(each)
    flags = _flags(cfg, effects)
    if not flags:
        return live
    return {id: each.union(*(names for flag, names in flags.items() if flag in each)) for id, each in live.items()}


def _flags(cfg: ir.Cfg, inside: Collection[int]) -> dict[str, frozenset[str]]:
    """Variables that hold the outcome of a test, with those that it asked for: they live as long as the flag."""
    found: dict[str, frozenset[str]] = {}
    for id in inside:
        match cfg.nodes[id].expr:
            case (
                ir.Assign(op="=", target=ir.Name(name=name), value=(ir.Binary() | ir.Unary()) as value)
                | ir.Declare(name=name, value=(ir.Binary() | ir.Unary()) as value)
            ):
                found[name] = found.get(name, frozenset()).union(origins(value))
    return found
