"""Scopes, what they release at their end, and the jumps out of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tree_sitter import Node

from lorelint.code import ir
from lorelint.code.draft import NODE_LIMIT, End, TooLarge
from lorelint.code.expressions import Reader
from lorelint.code.ir import At
from lorelint.code.parse import Syntax
from lorelint.code.values import Values
from lorelint.model.regex import regex

Chain = tuple[ir.Guard, "Chain | None"]  # what the open scopes will release, innermost first

_LABEL_ADDRESS = regex(rb"&&\s*([A-Za-z_]\w*)")

# include/linux/uaccess.h: these jump to their last argument when user memory faults.
_JUMPING = regex(r"^_*(unsafe_(get|put|copy)_|(get|put)_kernel_nofault|copy_(from|to)_kernel_nofault)")

# include/linux/cleanup.h: a variable (unnamed for guard) of a class that acquires here, releases at the scope's end.
_CLASSES = frozenset({"guard", "CLASS", "ACQUIRE"})

# include/drm/drm_exec.h: "goes back to the start of drm_exec_until_all_locked() on contention".
_RETRY_JUMPS = frozenset({"drm_exec_retry_on_contention"})


class Scopes(Values):
    """Open scopes, loops and switches around the place being lowered, and the jumps not yet landed."""

    def __init__(self, syntax: Syntax) -> None:
        super().__init__()
        self.opaque: set[int] = set()
        self.chain: Chain | None = None
        self.breaks: list[tuple[list[End], Chain | None]] = []
        self.continues: list[tuple[list[End], Chain | None]] = []
        self.retries: list[tuple[int, Chain | None]] = []
        self._labels: dict[str, tuple[int, Chain | None]] = {}
        self._gotos: list[tuple[list[End], Chain | None, str, int]] = []
        self._computed: list[tuple[int, Chain | None]] = []
        self._lost: list[tuple[str, int]] = []  # gotos without a label, and the labels of all readings
        self._known: set[str] = set()
        self._first = 2  # node of the text being read
        self.use(syntax)

    def use(self, syntax: Syntax) -> None:
        """Read from this text from now on."""
        self.syntax = syntax
        self.reader = Reader(syntax.norm, syntax.raw, syntax.first_line)

    def read(self, node: Node) -> tuple[ir.Expr, bool]:
        """An expression, and whether there is nothing to take out of it."""
        reader = self.reader
        before = reader.stirs
        expr = reader.read(node)
        return expr, reader.stirs == before

    def read_effect(self, node: Node) -> tuple[ir.Expr, bool]:
        """As `read`, for what is evaluated for its effect: there an assignment is in its place."""
        reader = self.reader
        before = reader.stirs
        expr = reader.read(node)
        return expr, reader.stirs - before <= (type(expr) is ir.Assign)

    def end_line(self, node: Node) -> int:
        return node.end_point[0] + self.syntax.first_line

    # -- what scopes release

    def hold(self, kind: str, args: tuple[ir.Expr, ...], line: int) -> None:
        """The scope releases this at its end."""
        self.chain = (ir.Guard(line, kind, args, True), self.chain)

    def acquire(self, kind: str, args: tuple[ir.Expr, ...], line: int, variable: str = "") -> None:
        """Acquire a class of cleanup.h here; `variable` holds it where it has a name."""
        self.emit(At.DO, line, ir.Guard(line, kind, args, False))
        if variable:
            made = ir.Call(line, ir.Name(line, f"class_{kind}_constructor"), args)
            self.emit(At.DO, line, ir.Declare(line, variable, f"class_{kind}_t", made))
        self.hold(kind, args, line)

    def release(self, chain: Chain | None, stop: Callable[[Chain], bool], line: int) -> None:
        """Release, innermost first, as far as `stop` says, where control comes by at all."""
        if not self.ends:
            return
        while chain is not None and not stop(chain):
            guard, chain = chain
            self.emit(At.DO, line, replace(guard, line=line))

    def leave_to(self, outer: Chain | None, line: int) -> None:
        if self.chain is not outer:
            self.release(self.chain, lambda here: here is outer, line)

    def close(self, outer: Chain | None, line: int) -> None:
        """The end of a scope."""
        self.leave_to(outer, line)
        self.chain = outer

    def called(self, call: ir.Call) -> bool:
        callee = call.callee
        if isinstance(callee, ir.Call):
            if callee.name not in _CLASSES or not callee.args:
                return False
            variable = ir.show(callee.args[1]) if len(callee.args) > 1 else ""
            self.acquire(ir.show(callee.args[0]), call.args, call.line, variable)
            return True
        if isinstance(callee, ir.Name) and callee.name in _RETRY_JUMPS and self.retries:
            head, chain = self.retries[-1]
            number = self.emit(At.DO, call.line, call)
            maybe = self.branch(At.MAYBE, call.line, None)
            self.ends = [(maybe, None)]
            self.leave_to(chain, call.line)
            self.join(head)
            self.ends = [(maybe, None)]
            return number > 0
        return False

    # -- jumps

    def leave_by(self, frames: list[tuple[list[End], Chain | None]], node: Node) -> None:
        """A break or continue."""
        if not frames:
            self.opaque.add(self.reader.line(node))
            return
        ends, outer = frames[-1]
        self.leave_to(outer, self.reader.line(node))
        self.turn(ends, [])

    def return_(self, node: Node) -> None:
        children = node.named_children
        if not children:
            self.returned(None, self.reader.line(node))
            return
        line = self.reader.line(node)
        expr, plain = self.read(children[0])
        self.value(expr, lambda value: self.returned(value, line), plain)

    def returned(self, value: ir.Expr | None, line: int) -> None:
        self.emit(At.RETURN, line, value)
        self.leave_to(None, line)
        self.join(1)

    def goto(self, node: Node) -> None:
        label = node.child_by_field_name("label")
        line = self.reader.line(node)
        if label is None:
            self.opaque.add(line)
        else:
            self.jump(self.ends, self.reader.text(label), line)
        self.ends = []

    def jump(self, ends: list[End], name: str, line: int) -> None:
        """Lead these ends to a label, once all labels are known."""
        self._gotos.append((ends, self.chain, name, line))

    def goto_computed(self, line: int) -> None:
        self._computed.append((self.branch(At.MAYBE, line, None), self.chain))

    def label(self, name: str, line: int) -> None:
        self._labels[name] = (self.emit(At.LABEL, line, None, name), self.chain)

    def land(self) -> None:
        """Lead the gotos to their labels, past what leaving their scopes releases."""
        names = self._computed_targets() if self._computed else []
        if len(names) * len(self._computed) > NODE_LIMIT:
            raise TooLarge
        if self._labels:
            self._land_macros()
        for hub, chain in self._computed:
            if not names:
                self.opaque.add(self.lines[hub])
            self._gotos.extend([([(hub, None)], chain, name, self.lines[hub]) for name in names])
        for ends, chain, name, line in self._gotos:
            label = self._labels.get(name)
            if label is None:
                self._lost.append((name, line))
                continue
            self.ends = ends
            if chain is not None:
                self._release_for(chain, label[1], line)
            self.join(label[0])
        self._known |= self._labels.keys()
        self._labels, self._gotos, self._computed = {}, [], []
        self._first = len(self.at)

    def lost(self) -> None:
        """A goto whose label no reading of the text has is unreadable; in one reading of several it cannot be."""
        self.opaque.update(line for name, line in self._lost if name not in self._known)

    def _computed_targets(self) -> list[str]:
        """Labels whose address is taken, and those no goto names (macros may take their address); else all."""
        taken = {each.decode() for each in _LABEL_ADDRESS.findall(self.syntax.norm)}
        named = {name for _, _, name, _ in self._gotos}
        return sorted(self._labels.keys() & taken | self._labels.keys() - named) or sorted(self._labels)

    def _land_macros(self) -> None:
        """Jumps inside macros that are given the label as their last argument: ``unsafe_get_user(x, p, Efault)``.

        Told by their name, or by a label which nothing else jumps to: a compiler would complain of it.
        """
        wanted = self._labels.keys() - {name for _, _, name, _ in self._gotos}
        for number in range(self._first, len(self.at)):
            call = self.exprs[number]
            if not isinstance(call, ir.Call) or not call.args or self.at[number] is not At.DO:
                continue
            last = call.args[-1]
            if not isinstance(last, ir.Name) or last.name not in self._labels:
                continue
            if last.name in wanted or _JUMPING.search(call.name):
                after = self.out[number]
                self.ends = []
                maybe = self.branch(At.MAYBE, call.line, None)
                self.out[number] = [(maybe, None)]
                self.out[maybe] = [*after, (self._labels[last.name][0], None)]

    def _release_for(self, chain: Chain, outer: Chain | None, line: int) -> None:
        """Release what the target's scopes do not hold too."""
        kept = set()
        while outer is not None:
            kept.add(id(outer))
            outer = outer[1]
        self.release(chain, lambda here: id(here) in kept, line)
