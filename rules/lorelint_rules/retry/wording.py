"""What the rules of this family say, and the facts they say it with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from lorelint.rule import (
    Analysis,
    Sibling,
    Silence,
    Step,
    TreeView,
    Verdict,
    bounds,
    entries,
    ir,
    locks,
    marks,
    regex,
    summary,
)
from lorelint_rules.retry.loops import RETRY_LOOPS, SUMMARIES, Look, Pass, RetryLoop

Lock = locks.Lock
LOCKS: Analysis[locks.Locks] = Analysis("locks", lambda view: locks.Locks(view.program))
ENTRIES: Analysis[entries.Entries] = Analysis("entries", lambda view: entries.Entries(view.program))

_WORST = (
    summary.How.COLLAPSED,
    summary.How.INTERRUPTED,
    summary.How.TRYLOCK,
    summary.How.CONDITION,
    summary.How.MAPPED,
    summary.How.HANDED_ON,
    summary.How.UNKNOWN,
)
MAX_STEPS = 14


class Held(Struct, frozen=True):
    """Locks over a loop."""

    own: frozenset[Lock]
    callers: frozenset[Lock]  # held by a caller

    @property
    def atomic(self) -> bool:
        return any(lock.atomic for lock in self.own | self.callers)

    @property
    def mmap(self) -> bool:
        return any(lock.kind == "mmap_lock" for lock in self.own | self.callers)

    def words(self) -> str:
        """``mmap_lock``, ``a spinlock of a caller``: the lock that matters most, "" for none."""
        for locks_, whose in ((self.own, ""), (self.callers, " of a caller")):
            named = sorted(locks_, key=lambda each: (not each.atomic, each.kind != "mmap_lock", each.kind))
            if named and named[0].kind != "asserted":
                return named[0].kind + whose
        return ""


_SLEEPING = frozenset({"mutex", "rwsem", "percpu_rwsem", "semaphore", "mmap_lock", "dma_resv", "ww_mutex"})
_FLAGS = regex(r"(?:irq_?)?flags\Z")  # as spin_lock_irqsave() fills them


def unfound(rule: str, fn: ir.Function, look: Look) -> Iterator[Verdict]:
    """Silences of the shared look, under a rule's name."""
    for each in look.silences:
        yield Silence(rule, fn.path, fn.name, each.line, each.reason, each.steps)
    for line, reason in look.doubts:
        yield Silence(rule, fn.path, fn.name, line, f"undecided: {reason}")


def weight(went: Pass) -> tuple[int, int]:
    """Order among the passes of a loop: the one with the worst cause speaks."""
    ranks = [_WORST.index(cause.how) for cause in went.causes if cause.how in _WORST]
    return (min(ranks, default=len(_WORST)), went.test.node)


def worst(went: Pass) -> summary.Cause:
    return min(went.causes, key=lambda each: (_WORST.index(each.how) if each.how in _WORST else 9, len(each.chain)))


def held(view: TreeView, fn: ir.Function, loop: RetryLoop, *, spinning: bool = False) -> Held:
    """What is held at every place of the loop: a lock that is dropped for a while is not held over it.

    spinning  at every place of a way round that does not come by a call that sleeps
    """
    state, cfg = view.of(LOCKS), view.program.cfg(fn)
    nodes = loop.loop.body
    if spinning:
        sleeps = view.know.names("yield_unconditional", "yield_while_condition_pending")
        awake = {id_ for id_ in nodes if not any(call.name in sleeps for call in ir.calls(cfg.nodes[id_].expr))}
        nodes = _round(cfg, loop.loop.head, awake) or nodes
    over = frozenset.intersection(*(state.at(fn, node) for node in nodes))
    dropped = set(_dropped(state, fn, nodes, cfg))
    return Held(over, frozenset(lock for lock in state.around(fn) if lock.kind not in dropped))


def _round(cfg: ir.Cfg, head: int, inside: set[int]) -> frozenset[int]:
    """Nodes on ways from the head back to it that stay inside."""
    ahead, behind = {head}, {head}
    for seen, steps in ((ahead, lambda id_: [edge.to for edge in cfg.nodes[id_].out]), (behind, cfg.preds.__getitem__)):
        todo = [head]
        while todo:
            more = [each for each in steps(todo.pop()) if each in inside and each not in seen]
            seen.update(more)
            todo.extend(more)
    return frozenset(ahead & behind)


def _dropped(state: locks.Locks, fn: ir.Function, nodes: frozenset[int], cfg: ir.Cfg) -> Iterator[str]:
    """Kinds of locks that the loop releases and did not take: a caller's."""
    for node in nodes:
        for call in ir.calls(cfg.nodes[node].expr):
            kinds = state.closers.get(call.name, set())
            if all(lock.kind not in kinds for lock in state.at(fn, node)):
                yield from kinds


def saves_irqs(fn: ir.Function, cfg: ir.Cfg) -> bool:
    """It saves the interrupt state, or hands it to a caller who restores it: it does not know whether it may sleep."""
    if any(_FLAGS.match(param.name) and param.type.replace(" ", "") == "unsignedlong*" for param in fn.params):
        return True
    return any("irqsave" in call.name or "irq_save" in call.name for node in cfg.nodes for call in ir.calls(node.expr))


def may_sleep(view: TreeView, fn: ir.Function, at: int) -> bool:
    """The function holds a lock there for which it may have slept, and none under which nothing may."""
    own = [lock for lock in view.of(LOCKS).at(fn, at) if lock.kind != "asserted"]
    return bool({lock.kind for lock in own} & _SLEEPING) and not any(lock.atomic for lock in own)


def in_user_context(view: TreeView, fn: ir.Function) -> bool:
    """Signals exist where this runs, as far as its entries are known: not only a work item, kthread or interrupt."""
    return not view.of(ENTRIES).only_kernel(fn)


def waits(view: TreeView, fn: ir.Function, went: Pass) -> bool:
    """Each pass sleeps until a condition comes true, or only until a signal, of which there are none here."""
    return went.waits and not (went.hasty and in_user_context(view, fn))


def in_atomic_context(view: TreeView, fn: ir.Function) -> bool:
    """Every way in is an interrupt or a softirq: the handler of an irq, the poll of NAPI."""
    return view.of(ENTRIES).only_atomic(fn)


def concern(fn: ir.Function, loop: RetryLoop) -> str:
    return f"{fn.path}:{fn.name}:loop:{loop.name}"


def head(loop: ir.Loop) -> str:
    return f"'goto {loop.label}'" if loop.label else f"the {loop.kind} loop"


def call(went: Pass) -> str:
    return f"{went.site.name}()" if went.site.name else "a call through a pointer"


def culprit(went: Pass) -> str:
    """The callee whose failure keeps the loop going."""
    cause = worst(went)
    return f"{cause.api}()" if cause.api and cause.how is summary.How.COLLAPSED else call(went)


def endless(fn: ir.Function, loop: RetryLoop, went: Pass) -> str:
    code = "any error" if went.code == "any error" else went.code
    what = f"{head(loop.loop)} in {fn.name}() retries {call(went)} on {code}"
    return f"{what} with nothing that ends it: {because(worst(went))}"


def because(cause: summary.Cause) -> str:
    """Why the code may persist, in half a sentence."""
    via = (
        f"{cause.chain[-1]}() gives {cause.code} for " if cause.chain and cause.how is not summary.How.HANDED_ON else ""
    )
    match cause.how:
        case summary.How.COLLAPSED:
            return f"{via}every failure of {cause.api or 'a callee'}()".replace("()()", "()")
        case summary.How.INTERRUPTED:
            return f"{via}an interrupted {cause.api}(), and the signal stays pending"
        case summary.How.TRYLOCK:
            return f"{via}a failed {cause.api}(), and nothing waits for the holder"
        case summary.How.MAPPED:
            return f"{via}one result of {cause.api}() ({cause.test}), which may persist"
        case summary.How.CONDITION:
            return (
                f"{via}a condition that may persist ({cause.test})" if cause.test else f"{via}reasons that may persist"
            )
        case summary.How.UNKNOWN:
            return "the value returned could not be followed"
    return f"what {cause.api}() fails for is not known here" if cause.api else "the callee is not known here"


def bounded(bound: bounds.Bound) -> str:
    match bound.kind:
        case "clock":
            return f"bounded by a clock ({bound.what})"
        case "deadline":
            return f"bounded by a deadline handed to {bound.what}()"
        case "progress":
            return f"goes on only while {bound.what}() says so: its refusal leaves the loop"
        case "tried":
            return "FAULT_FLAG_TRIED is set before the next pass: it goes round once"
    return f"bounded: {bound.what} is changed and tested on each pass"


def steps(view: TreeView, fn: ir.Function, loop: RetryLoop, went: Pass) -> tuple[Step, ...]:
    """The chain of a pass: head, call, why the callee gives the code, the test that goes round."""
    return steps_of(view, fn, loop, went, worst(went))


def steps_of(view: TreeView, fn: ir.Function, loop: RetryLoop, went: Pass, cause: summary.Cause) -> tuple[Step, ...]:
    """The chain of a pass by one of its causes."""
    cfg = view.program.cfg(fn)
    title = f"label {loop.loop.label}" if loop.loop.label else f"{loop.loop.kind} loop"
    chain = [Step(fn.path, loop.loop.line, f"{fn.name}(): {title}, where each pass starts")]
    chain.append(Step(fn.path, cfg.nodes[went.site.node].line, f"calls {call(went)}"))
    chain.extend(cause.steps)
    chain.extend(_failures(view, cause))
    chain.append(Step(fn.path, cfg.nodes[went.test.node].line, f"{went.test.text}: back to {title}"))
    return tuple(chain[:MAX_STEPS])


def _failures(view: TreeView, cause: summary.Cause) -> Iterator[Step]:
    """Where the callee whose failures were collapsed can fail."""
    if cause.how is not summary.How.COLLAPSED or not cause.steps:
        return
    for callee, lines in failures(view, cause.api, cause.steps[0].path):
        if len(lines) > 1:
            places = ", ".join(str(line) for _, line in lines[:6])
            places += f" and {len(lines) - 6} more" if len(lines) > 6 else ""
            codes = " and ".join(sorted({code for code, _ in lines}))
            yield Step(
                callee.path, lines[0][1], f"{callee.name}() fails with {codes} in {len(lines)} places (lines {places})"
            )


def failures(view: TreeView, name: str, near: str) -> list[tuple[ir.Function, list[tuple[str, int]]]]:
    """For each definition of a callee: the codes it fails with and the lines of those returns."""
    found = []
    for callee in view.program.define(name, near) if name else ():
        seen: dict[tuple[str, int], None] = {}
        for outcome in view.of(SUMMARIES).of(callee).outcomes:
            if outcome.codes.fails:
                code = outcome.constant or (f"what {outcome.origin.name}() returned" if outcome.origin else "an error")
                seen[(code, outcome.last.node if outcome.last else outcome.line)] = None
        cfg = view.program.cfg(callee)
        lines = sorted(
            {(code, cfg.nodes[node].line if node < len(cfg.nodes) else node) for code, node in seen}, key=lambda e: e[1]
        )
        found.append((callee, lines))
    return found


def facts(view: TreeView, fn: ir.Function, bad: Sequence[Pass], *, killable: bool, held: Held) -> tuple[str, ...]:
    found = []
    if held.words():
        found.append(f"{held.words()} is held over every pass")
    if not killable and in_user_context(view, fn):
        found.append("no signal ends it, SIGKILL included")
    if all(marks.YIELD in each.marks for each in bad):
        found.append("each pass sleeps or reschedules")
    return tuple(found)


def advice(went: Pass, held: Held) -> str:
    cause = worst(went)
    match cause.how:
        case summary.How.COLLAPSED:
            first = f"retry only on the one result of {cause.api}() that means a lost race, hand the others on"
        case summary.How.INTERRUPTED:
            first = "leave the loop when a signal is pending"
        case summary.How.TRYLOCK:
            first = "wait for the lock instead of trying again"
        case _:
            first = "bound the loop by a count or a deadline, and return the error at the bound"
    if cause.how in (summary.How.COLLAPSED, summary.How.INTERRUPTED, summary.How.TRYLOCK):
        first += "; bound the loop"
    return first + ("" if not held.atomic else "; it runs with a lock held under which nothing may sleep")


def siblings(view: TreeView, fn: ir.Function, went: Pass) -> tuple[Sibling, ...]:
    """Other callers of the API behind the code, and what they do when it fails."""
    api = worst(went).api
    if not api or worst(went).how is not summary.How.COLLAPSED:
        return ()
    near = worst(went).steps[0].path if worst(went).steps else fn.path
    mine = set(worst(went).chain) | {fn.name}
    found = []
    for callee in view.program.define(api, near)[:1]:
        for site in view.program.callers(callee):
            if site.fn.name in mine or site.fn.path == callee.path:
                continue
            text = _deals(view, site.fn, api)
            if text:
                found.append(Sibling(site.fn.path, site.line, site.fn.name, text))
    unique = {(each.path, each.function): each for each in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda each: (each.path, each.line)))[:6]


def _deals(view: TreeView, fn: ir.Function, api: str) -> str:
    """What a function does when `api` fails."""
    if any(each.site.name == api for loop in view.of(RETRY_LOOPS).of(fn).loops for each in loop.passes):
        return f"retries {api}() itself"
    texts = set()
    for outcome in view.of(SUMMARIES).of(fn).outcomes:
        last = outcome.last
        if last is not None and summary.truth_of(last, api) and outcome.constant:
            texts.add(f"returns {outcome.constant} when {api}() fails")
        failed = [
            each for each in outcome.trail if each.site is not None and each.site.name == api and each.codes.fails
        ]
        if not failed:
            continue
        if outcome.origin is not None and outcome.origin.name == api:
            texts.add(f"hands the error of {api}() on")
        elif outcome.constant and outcome.constant != "0" and outcome.trail[-1] == failed[-1]:
            texts.add(f"returns {outcome.constant} when {api}() fails")
    return min(texts, default="")
