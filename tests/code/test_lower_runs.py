"""Random programs, run twice: as they were written, and along their graph. Both must do the same things.

The reference is a list of instructions with jumps, as simple as can be: conditions are evaluated whole, as C
does, and what a scope holds is found out when it is left, not before. Tests are answered by an oracle.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lorelint.code import ir
from lorelint.code.ir import At
from lorelint.code.lower import lower

EVENTS = 60  # compared
STEPS = 3_000


@dataclass
class Stmt:
    """`kind` says what `cond`, `blocks` and `number` mean."""

    kind: str
    number: int = 0
    cond: Cond | None = None
    blocks: list[list[Stmt]] = field(default_factory=list)


@dataclass
class Cond:
    kind: str
    number: int = 0
    parts: list[Cond] = field(default_factory=list)


class Maker:
    """Makes a program, every action and test with a number of its own."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.labels: list[int] = []
        self.budget = 40

    def fresh(self) -> int:
        self.count += 1
        return self.count

    def cond(self, depth: int = 0) -> Cond:
        kinds = ["test"] * 4 + ["set", "not", "and", "or", "pick", "else", "hint", "comma", "block", "report", "0", "1"]
        kind = self.chance.choice(kinds) if depth < 3 else "test"
        parts = {"not": 1, "and": 2, "or": 2, "pick": 3, "else": 2, "hint": 1, "comma": 1, "block": 1, "report": 1}
        below = [self.cond(depth + 1) for _ in range(parts.get(kind, 0))]
        return Cond(kind, self.fresh(), below)

    def block(self, depth: int, loop: bool, switch: bool, scope: bool) -> list[Stmt]:
        block = [self.stmt(depth, loop, switch) for _ in range(self.chance.randint(0, 4))]
        return [stmt for stmt in block if scope or stmt.kind != "guard"]

    def stmt(self, depth: int, loop: bool, switch: bool) -> Stmt:
        self.budget -= 1
        kinds = ["do"] * 3 + ["label", "goto", "return", "value", "and", "comma", "guard", "give"]
        if depth < 4 and self.budget > 0:
            kinds += ["if", "if", "ifelse", "while", "dowhile", "once", "for"]
            kinds += ["switch", "each", "scoped", "arms", "braces"]
        kinds += ["break"] * (loop or switch) + ["continue"] * loop
        kind = self.chance.choice(kinds)
        made = Stmt(kind, self.fresh())
        if kind == "label":
            self.labels.append(made.number)
        if kind in ("if", "ifelse", "while", "dowhile", "value", "and", "for", "give"):
            made.cond = self.cond()
        loops = kind in ("while", "dowhile", "once", "for", "each", "scoped")
        many = {"if": 1, "ifelse": 2, "braces": 1}.get(kind, int(loops))
        if kind in ("switch", "arms"):
            many = self.chance.randint(1, 3)
        scope = kind not in ("switch", "arms")
        switch = switch or kind == "switch"
        for _ in range(many):
            first = [Stmt("do", self.fresh())] * (kind == "arms")  # tells the arms apart, and in order
            made.blocks.append(first + self.block(depth + 1, loop or loops, switch, scope))
        return made


def c_cond(cond: Cond) -> str:
    one, *rest = [c_cond(part) for part in cond.parts] or [""]
    match cond.kind:
        case "test":
            return f"t{cond.number}()"
        case "set":
            return f"(v = s{cond.number}())"
        case "not":
            return f"!({one})"
        case "and":
            return f"({one} && {rest[0]})"
        case "or":
            return f"({one} || {rest[0]})"
        case "pick":
            return f"({one} ? {rest[0]} : {rest[1]})"
        case "else":
            return f"({one} ?: {rest[0]})"
        case "hint":
            return f"unlikely(!!({one}))"
        case "comma":
            return f"(d{cond.number}(), {one})"
        case "block":
            return f"({{ d{cond.number}(); {one}; }})"
        case "report":
            return f"WARN_ON({one})"
    return cond.kind


def c_block(block: list[Stmt], labels: list[int]) -> Iterator[str]:
    for stmt in block:
        yield from c_stmt(stmt, labels)


def c_stmt(stmt: Stmt, labels: list[int]) -> Iterator[str]:
    cond = c_cond(stmt.cond) if stmt.cond else ""
    number = stmt.number
    inside = [list(c_block(block, labels)) for block in stmt.blocks]
    match stmt.kind:
        case "do":
            yield f"d{number}();"
        case "comma":
            yield f"d{number}(), e{number}();"
        case "label":
            yield f"l{number}: ;"
        case "goto":
            yield f"goto l{labels[number % len(labels)]};" if labels else ";"
        case "return":
            yield f"return r{number}();"
        case "give":
            yield f"return {cond} ? r{number}() : q{number}();"
        case "value":
            yield f"x = {cond} ? y{number} : z{number};"
        case "and":
            yield f"{cond} && d{number}();"
        case "guard":
            yield f"guard(mutex)(&m{number});"
        case "break" | "continue":
            yield f"{stmt.kind};"
        case "if":
            yield from [f"if ({cond}) {{", *inside[0], "}"]
        case "ifelse":
            yield from [f"if ({cond}) {{", *inside[0], "} else {", *inside[1], "}"]
        case "while":
            yield from [f"while ({cond}) {{", *inside[0], "}"]
        case "for":
            yield from [f"for (d{number}(); {cond}; e{number}()) {{", *inside[0], "}"]
        case "dowhile":
            yield from ["do {", *inside[0], f"}} while ({cond});"]
        case "once":
            yield from ["do {", *inside[0], "} while (0);"]
        case "each":
            yield from [f"list_for_each_entry(p{number}, h, l) {{", *inside[0], "}"]
        case "scoped":
            yield from [f"scoped_guard(mutex, &m{number}) {{", *inside[0], "}"]
        case "braces":
            yield from ["{", *inside[0], "}"]
        case "switch":
            yield f"switch (w{number}) {{"
            for case, rows in enumerate(inside):
                yield from ["default:" if case == 1 else f"case {case}:", *rows]
            yield f"break; case COUNT{len(inside)}: ; }}"
        case "arms":
            yield from ["#if A", *inside[0]]
            for rows in inside[1:]:
                yield from ["#elif B", *rows]
            yield "#endif"


class Odd(Exception):
    """A jump past a guard into its scope, which compilers refuse."""


@dataclass
class Step:
    """An instruction. `scope` is the path of scopes it stands in."""

    kind: str
    scope: tuple[int, ...]
    text: str = ""
    cond: Cond | None = None
    to: tuple[str, ...] = ()  # labels


class Flat:
    """The program as instructions. Labels of gotos are ``l3``; others have a letter of their own."""

    def __init__(self, program: list[Stmt], labels: list[int]) -> None:
        self.steps: list[Step] = []
        self.labels = labels
        self.scope: tuple[int, ...] = ()
        self.breaks: list[str] = []
        self.continues: list[str] = []
        self.block(0, program)
        self.add("return")

    def add(self, kind: str, text: str = "", cond: Cond | None = None, to: tuple[str, ...] = ()) -> None:
        self.steps.append(Step(kind, self.scope, text, cond, to))

    def jump(self, label: str) -> None:
        self.add("jump", to=(label,))

    def block(self, scope: int, block: list[Stmt]) -> None:
        outer, self.scope = self.scope, (*self.scope, scope)
        for stmt in block:
            self.stmt(stmt)
        self.scope = outer
        self.add("close")

    def loop(self, stmt: Stmt, again: str, out: str) -> None:
        self.breaks.append(out)
        self.continues.append(again)
        self.block(stmt.number, stmt.blocks[0])
        self.breaks.pop()
        self.continues.pop()

    def stmt(self, stmt: Stmt) -> None:
        number, cond = stmt.number, stmt.cond
        yes, no, out, again = (f"{letter}{number}" for letter in ("yes", "no", "out", "again"))
        match stmt.kind:
            case "do" | "comma":
                for letter in "d" if stmt.kind == "do" else "de":
                    self.add("event", f"{letter}{number}()")
            case "label":
                self.add("label", f"l{number}")
            case "goto" if self.labels:
                self.jump(f"l{self.labels[number % len(self.labels)]}")
            case "return":
                self.add("return", f"return r{number}()")
            case "break" | "continue":
                self.jump((self.breaks if stmt.kind == "break" else self.continues)[-1])
            case "guard":
                self.add("guard", f"guard(mutex)(&m{number})")
            case "give" | "value" | "and":
                self.choice(stmt, yes, no, out)
            case "if" | "ifelse":
                self.add("test", cond=cond, to=(yes, no))
                self.add("label", yes)
                self.block(number, stmt.blocks[0])
                self.jump(out)
                self.add("label", no)
                for block in stmt.blocks[1:]:
                    self.block(-number, block)
                self.add("label", out)
            case "while" | "for" | "dowhile" | "once" | "each":
                self.round(stmt, yes, out, again)
            case "scoped":
                outer, self.scope = self.scope, (*self.scope, -number)
                self.add("guard", f"guard(mutex)(&m{number})")
                self.loop(stmt, again, again)
                self.add("label", again)  # inside: leaving the body is not leaving the guard
                self.scope = outer
                self.add("close")
            case "braces":
                self.block(number, stmt.blocks[0])
            case "switch" | "arms":
                self.ways(stmt, out)

    def choice(self, stmt: Stmt, yes: str, no: str, out: str) -> None:
        number = stmt.number
        self.add("test", cond=stmt.cond, to=(yes, no))
        for label, letters in ((yes, "ryd"), (no, "qz")):
            self.add("label", label)
            if stmt.kind == "give":
                self.add("return", f"return {letters[0]}{number}()")
            elif stmt.kind == "value":
                self.add("event", f"x = {letters[1]}{number}")
            elif label == yes:
                self.add("event", f"d{number}()")
            self.jump(out)
        self.add("label", out)

    def round(self, stmt: Stmt, yes: str, out: str, again: str) -> None:
        number, head = stmt.number, f"head{stmt.number}"
        if stmt.kind == "for":
            self.add("event", f"d{number}()")
        self.add("label", head)
        if stmt.kind in ("while", "for"):
            self.add("test", cond=stmt.cond, to=(yes, out))
        if stmt.kind == "each":
            self.add("ask", f"list_for_each_entry(p{number}, h, l)?", to=(out, yes))
        self.add("label", yes)
        self.loop(stmt, again, out)
        self.add("label", again)
        if stmt.kind == "for":
            self.add("event", f"e{number}()")
        if stmt.kind == "dowhile":
            self.add("test", cond=stmt.cond, to=(head, out))
        if stmt.kind != "once":
            self.jump(head)
        self.add("label", out)

    def ways(self, stmt: Stmt, out: str) -> None:
        """A switch (the second case is the default), or arms of which one is taken, or none."""
        number, switch = stmt.number, stmt.kind == "switch"
        to = [f"way{index}of{number}" for index in range(len(stmt.blocks))]
        past = to[1] if switch and len(to) > 1 else out
        self.add("ask", f"w{number}?" if switch else "", to=(*to, past))
        self.breaks.append(out if switch else self.breaks[-1] if self.breaks else "")
        for label, block in zip(to, stmt.blocks, strict=True):
            self.add("label", label)
            for inner in block:
                self.stmt(inner)
            if not switch:
                self.jump(out)
        self.breaks.pop()
        self.add("label", out)


class Oracle:
    def __init__(self, answers: list[int]) -> None:
        self.answers, self.asked = answers, 0
        self.events: list[str] = []

    def ask(self, ways: int) -> int:
        self.asked += 1
        return self.answers[self.asked % len(self.answers)] % ways

    def cond(self, cond: Cond) -> bool:
        part = cond.parts
        match cond.kind:
            case "test":
                self.events.append(f"t{cond.number}()?")
            case "set":
                self.events += [f"v = s{cond.number}()", "v?"]
            case "not":
                return not self.cond(part[0])
            case "and":
                return self.cond(part[0]) and self.cond(part[1])
            case "or" | "else":
                return self.cond(part[0]) or self.cond(part[1])
            case "pick":
                return self.cond(part[1]) if self.cond(part[0]) else self.cond(part[2])
            case "hint" | "report":
                return self.cond(part[0])
            case "comma" | "block":
                self.events.append(f"d{cond.number}()")
                return self.cond(part[0])
            case literal:
                return literal == "1"
        return bool(self.ask(2))


def run(steps: list[Step], oracle: Oracle) -> list[str]:
    """What the instructions do."""
    places = {step.text: at for at, step in enumerate(steps) if step.kind == "label"}
    guards = [at for at, step in enumerate(steps) if step.kind == "guard"]
    held: list[int] = []
    at = -1
    for _ in range(STEPS):
        at += 1
        step = steps[at]
        target = -1
        match step.kind:
            case "event":
                oracle.events.append(step.text)
            case "guard":
                oracle.events.append(step.text)
                held.append(at)
            case "return":
                oracle.events += [step.text] * bool(step.text)
                release(steps, held, oracle, (), at)
                break
            case "close":
                release(steps, held, oracle, step.scope, at)
            case "jump":
                target = places[step.to[0]]
            case "test" if step.cond is not None:
                target = places[step.to[0 if oracle.cond(step.cond) else 1]]
            case "ask":
                oracle.events += [step.text] * bool(step.text)
                target = places[step.to[oracle.ask(len(step.to))]]
        if target >= 0:
            release(steps, held, oracle, steps[target].scope, target)
            if [guard for guard in guards if guard < target and within(steps, guard, steps[target].scope)] != held:
                raise Odd
            at = target
        if len(oracle.events) >= EVENTS:
            break
    return oracle.events[:EVENTS]


def within(steps: list[Step], guard: int, scope: tuple[int, ...]) -> bool:
    return scope[: len(steps[guard].scope)] == steps[guard].scope


def release(steps: list[Step], held: list[int], oracle: Oracle, scope: tuple[int, ...], at: int) -> None:
    """Release what is not held at a place, the latest first."""
    while held and not (within(steps, held[-1], scope) and held[-1] < at):
        oracle.events.append(f"end of {steps[held.pop()].text}")


def walk(cfg: ir.Cfg, oracle: Oracle) -> list[str]:
    """The same, along the graph."""
    here = 0
    for _ in range(STEPS):
        node = cfg.nodes[here]
        text = "" if node.expr is None else ir.show(node.expr)
        match node.at:
            case At.EXIT:
                break
            case At.TEST | At.EACH:
                oracle.events.append(f"{text}?")
                answer = bool(oracle.ask(2))
                here = next(edge.to for edge in node.out if edge.when is answer)
            case At.SWITCH:
                oracle.events.append(f"{text}?")
                here = chosen(node.out, oracle)
            case At.MAYBE:
                here = node.out[oracle.ask(len(node.out))].to
            case _:
                oracle.events += [f"return {text}" if node.at is At.RETURN else text] * bool(text)
                here = node.out[0].to
        if len(oracle.events) >= EVENTS:
            break
    return oracle.events[:EVENTS]


def chosen(edges: tuple[ir.Edge, ...], oracle: Oracle) -> int:
    """The number asked for is that of a case; the second case stands as the default."""
    cases = {ir.show(each): edge.to for edge in edges if isinstance(edge.when, tuple) for each in edge.when}
    default = next(edge.to for edge in edges if edge.when == ())
    blocks = int(next(name for name in cases if name.startswith("COUNT")).removeprefix("COUNT"))
    return cases.get(f"{oracle.ask(blocks + 1)}", default)


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 11), min_size=5, max_size=40))
@settings(max_examples=600, deadline=None)
def test_program_and_graph_do_the_same(chance: random.Random, answers: list[int]) -> None:
    maker = Maker(chance)
    program = maker.block(0, False, False, True)
    flat = Flat(program, maker.labels)
    try:
        expected = run(flat.steps, Oracle(answers))
    except Odd:
        assume(False)
    rows = [row if row.startswith("#") else f"\t{row}" for row in c_block(program, maker.labels)]
    text = "\n".join(["int f(void)", "{", *rows, "}"])
    cfg = lower(ir.Function("f", "x.c", 1, len(rows) + 3, (), "int", False, text.encode(), 1))
    assert not cfg.opaque, text
    assert walk(cfg, Oracle(answers)) == expected, text
