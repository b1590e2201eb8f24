"""Conditions that end by themselves: a reading that has gone stale, a wish not to wait, a state put right on the spot.

A callee that says "try again" under one of these does not complain about a state that lasts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorelint.code import ir
from lorelint.code.codes import const, negative
from lorelint.code.flow import reaches
from lorelint.code.idioms import reported
from lorelint.code.worlds import Passed
from lorelint.model.regex import regex

_NOWAIT = regex(r"(^|_)(no_?wait|dont_?wait|non_?block(ing)?)($|_)", re.I)
_WAIT = regex(r"^((can|may|do)_)?(wait|block|blocking|sleep)$")
_READS = regex(r"^atomic\w*_read|READ_ONCE$|rcu_dereference|^smp_load_acquire$")
_ENTRY = regex(r"^(pte|pmd|pud|p4d|pgd)_(none|present|same|leaf|bad|trans_huge|trans_unstable|devmap)(_\w+)?$")
_REFERENCE = regex(r"inc_not_zero|get_unless_zero|tryget")
_CHANGED = regex(r"(^|_)(chang|modif|moved|updated)")
_LETS_GO = regex(r"(^|_)(release_path|unlock_up|unlock_path|drop_path|release_searched|unlock_and_put)(_|$)")
_DROPS = regex(r"(^|_)unlock(_|$)|(^|_)up_(read|write)$")
_TAKES = regex(r"(^|_)lock(_|$)|(^|_)down_(read|write)$")
_AGE = regex(
    r"^(old|new|cur|curr|current|orig|last|prev|saved|seen|snap|start|now|i)_|\d+$|_(old|new|now|cur)$"
    r"|^(old|new|cur|prev|last|u)(?=[a-z]{3})"
)


def not_to_wait(expr: ir.Expr) -> bool | None:
    """The outcome of a condition that means "the caller asked not to wait"; None where it asks something else."""
    match expr:
        case ir.Unary(op="!", operand=inner):
            below = not_to_wait(inner)
            return None if below is None else not below
        case ir.Binary(op="&", left=left, right=right):
            return True if any(_NOWAIT.search(_last(each)) for each in (left, right)) else None
        case ir.Name() | ir.Member():
            return named_not_to_wait(_last(expr))
    return None


def named_not_to_wait(name: str) -> bool | None:
    """What a flag of this name means when it is true: not to wait (True), to wait (False), neither (None)."""
    if _NOWAIT.search(name):
        return True
    return False if _WAIT.match(name) else None


def stale(expr: ir.Expr, held: bool, *, close: bool = False) -> bool:
    """Whether a condition, as it held, says that one thing reads otherwise than before: ``x->gen != gen``.

    Told by the names: both sides end in the same word, whatever age it is said to be of (old, cur, last ..).
    close  also ``x->version != ft_version``: for the very test that selects a code
    """
    match expr:
        case ir.Unary(op="!", operand=inner):
            return stale(inner, not held, close=close)
        case ir.Binary(op="!=" | "==" as op, left=left, right=right) if (op == "!=") is held:
            one, other = _stem(left), _stem(right)
            longer = close and (one.endswith(f"_{other}") or other.endswith(f"_{one}"))
            return bool(one and other) and (one == other or longer)
    return False


def changed(expr: ir.Expr, held: bool) -> bool:
    """A callee, asked in place, says that it has changed something, or found it changed."""
    match expr:
        case ir.Unary(op="!", operand=inner):
            return changed(inner, not held)
        case ir.Call():
            return held and _CHANGED.search(expr.name) is not None
    return False


def entry(expr: ir.Expr) -> bool:
    """A page table entry is asked again, after it was read without its lock."""
    return any(_ENTRY.match(call.name) for call in ir.calls(expr))


def dying(expr: ir.Expr, held: bool) -> bool:
    """An object could not be held on to: it goes away, and the next look will not find it."""
    match expr:
        case ir.Unary(op="!", operand=inner):
            return dying(inner, not held)
        case ir.Call():
            return not held and _REFERENCE.search(expr.name) is not None
    return False


def made_room(cfg: ir.Cfg, passed: Passed) -> bool:
    """What the condition asks for was allocated right before, and is there: ``buf = alloc(size <<= 1)``."""
    node = cfg.nodes[passed.node]
    if node.expr is None or passed.text != ir.show(node.expr):
        return False
    for before in cfg.preds[node.id]:
        match cfg.nodes[before].expr:
            case ir.Assign(op="=", target=target, value=ir.Call() as call) if ir.show(target) == passed.text:
                return "alloc" in call.name
    return False


def relocked(cfg: ir.Cfg, passed: Passed) -> bool:
    """Behind the test a lock is dropped and taken again: what was looked up under it has to be looked up again."""
    dropped: set[str] = set()
    for node in _behind(cfg, passed):
        for call in ir.calls(node.expr):
            of = {ir.show(arg) for arg in call.args[:1]}
            if _DROPS.search(call.name):
                dropped |= of
            elif _TAKES.search(call.name) and of & dropped:
                return True
    return False


def put_right(cfg: ir.Cfg, passed: Passed) -> bool:
    """Whether what a condition complains about is changed, for good, between the test and the next one.

    ``if (*need < level) { *need = level; return -EAGAIN; }``: the next call does not come by here.
    """
    node = cfg.nodes[passed.node]
    if node.expr is None:
        return False
    if any(isinstance(each, ir.Update) and lasting(each.target) for each in ir.walk(node.expr)):
        return True  # it counts the times it is asked
    asked = {ir.show(each) for each in _read_from(cfg, node.expr) if lasting(each)}
    if any(call.name.startswith(("test_and_clear_bit", "test_and_set_bit")) for call in ir.calls(node.expr)):
        return True
    if not asked:
        return False
    return any(
        isinstance(each, (ir.Assign, ir.Update)) and ir.show(each.target) in asked
        for here in _behind(cfg, passed)
        for each in (ir.walk(here.expr) if here.expr is not None else ())
    )


def _read_from(cfg: ir.Cfg, expr: ir.Expr) -> Iterator[ir.Expr]:
    """What a condition reads, itself or through locals that were set from it."""
    yield from ir.walk(expr)
    names = {each.name for each in ir.walk(expr) if isinstance(each, ir.Name)}
    for node in cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value) if name in names:
                yield from ir.walk(value)
            case ir.Declare(name=name, value=ir.Expr() as value) if name in names:
                yield from ir.walk(value)


def reread(fn: ir.Function, cfg: ir.Cfg, expr: ir.Expr, held: bool) -> bool:
    """What the caller had read and handed over is compared with what is there now: ``if (link != now)``."""
    match expr:
        case ir.Binary(op="!=" | "==" as op, left=ir.Name(name=one), right=ir.Name(name=other)) if (op == "!=") is held:
            params = {param.name for param in fn.params}
            now = other if one in params else one if other in params else ""
            return bool(now) and any(
                isinstance(each.expr, ir.Assign)
                and ir.show(each.expr.target) == now
                and isinstance(each.expr.value, ir.Call)
                and _READS.search(each.expr.value.name) is not None
                for each in cfg.nodes
            )
    return False


def expected(cfg: ir.Cfg, passed: Passed) -> bool:
    """Whether a failed call's one error is named behind the test: ``WARN_ON(err != -EEXIST);``."""
    name = passed.text.lstrip("!").split(" ")[0]
    for node in _behind(cfg, passed):
        for call in ir.calls(node.expr):
            match reported(call):
                case ir.Binary(op="!=", left=left, right=right) if ir.show(left) == name and negative(const(right)):
                    return True
    return False


def relocked_before(cfg: ir.Cfg, passed: Passed) -> bool:
    """On every way to the test a lock that the caller holds is dropped and taken again."""
    drops: dict[str, set[int]] = {}
    takes: dict[str, set[int]] = {}
    for node in cfg.nodes:
        for call in ir.calls(node.expr):
            where = drops if _DROPS.search(call.name) else takes if _TAKES.search(call.name) else None
            if where is None:
                continue
            for arg in call.args[:1]:
                where.setdefault(ir.show(arg), set()).add(node.id)
    for lock in sorted(drops.keys() & takes.keys()):
        held = reaches(cfg, [0], drops[lock], avoid=takes[lock]) is not None
        again = {each for each in takes[lock] if reaches(cfg, drops[lock], [each]) is not None}
        if held and again and reaches(cfg, [0], [passed.node], avoid=again) is None:
            return True
    return False


def let_go(fn: ir.Function, cfg: ir.Cfg, passed: Passed) -> bool:
    """Behind the test it lets go of what its caller has handed it: ``btrfs_unlock_up_safe(path, level)``."""
    params = {param.name for param in fn.params if "*" in param.type}
    return any(
        _LETS_GO.search(call.name) and any(isinstance(arg, ir.Name) and arg.name in params for arg in call.args[:2])
        for node in _behind(cfg, passed)
        for call in ir.calls(node.expr)
    )


def _behind(cfg: ir.Cfg, passed: Passed) -> Iterator[ir.Node]:
    """The nodes between a test, as it came out, and the next ones."""
    node = cfg.nodes[passed.node]
    truth = node.expr is not None and ir.show(node.expr) == passed.text
    todo = [edge.to for edge in node.out if not isinstance(edge.when, bool) or edge.when is truth]
    seen: set[int] = set()
    while todo:
        here = cfg.nodes[todo.pop()]
        if here.id not in seen and here.at not in (ir.At.TEST, ir.At.SWITCH):
            seen.add(here.id)
            yield here
            todo.extend(edge.to for edge in here.out)


def lasting(expr: ir.Expr) -> bool:
    """Something that outlives the function: a field behind a pointer, or what a pointer points to."""
    while isinstance(expr, ir.Member) and not expr.arrow:
        expr = expr.base
    return isinstance(expr, ir.Member) or (isinstance(expr, ir.Unary) and expr.op == "*")


def _stem(expr: ir.Expr) -> str:
    while isinstance(expr, ir.Cast):
        expr = expr.value
    if isinstance(expr, ir.Call) and _READS.search(expr.name) and expr.args:
        expr = expr.args[0]
    if isinstance(expr, ir.Binary) and expr.op == "&":  # a part of it
        expr = expr.right if const(expr.left) else expr.left
    last = _last(expr)
    while (cut := _AGE.sub("", last)) != last and cut:
        last = cut
    return last if len(last) > 1 else ""


def _last(expr: ir.Expr) -> str:
    """The last word of a name or a field, "" for all else."""
    match expr:
        case ir.Name(name=name) | ir.Member(field=name):
            return name
        case ir.Unary(op="*" | "&", operand=inner):
            return _last(inner)
    return ""
