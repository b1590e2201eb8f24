"""Statements to control flow: `lower` makes the `ir.Cfg` of one function.

What stands behind the macros is in the graph. An iterator macro is an EACH, ``scoped_guard()`` runs
once, and what ``guard()``, ``CLASS()`` and ``__free()`` release at the end of a scope is released on every
way out of it: at the brace, and before the jump of a break, continue or goto. A ``return`` evaluates its value
first: its release nodes stand between the RETURN and the EXIT. Arms of preprocessor conditionals hang
under a MAYBE and never follow one another.

Heads of loops: the first node of a while condition (the DO of a hoisted assignment, if there is one), an EACH,
and for ``do`` and loops without a condition a LABEL without a name. Names beginning with ``#`` are ours:
values that have no name in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tree_sitter import Node

from lorelint.code import ir
from lorelint.code.declarations import Declarations
from lorelint.code.draft import End, TooLarge
from lorelint.code.expressions import Statements, integer
from lorelint.code.hoist import stirs
from lorelint.code.idioms import constant
from lorelint.code.ir import At, LoopKind
from lorelint.code.parse import Block, BlockKind, Syntax, fragment, parse_function
from lorelint.code.values import Use
from lorelint.model.regex import regex

# include/linux/cleanup.h: the body of scoped_guard() on a conditional class runs only if it was acquired.
_CONDITIONAL = regex(r"_(try|intr|kill|killable|interruptible)$")
_SCOPED = frozenset({"scoped_guard", "scoped_cond_guard", "scoped_class"})
_ALTERNATIVES = frozenset({"preproc_else", "preproc_elif", "preproc_elifdef"})


def lower(fn: ir.Function) -> ir.Cfg:
    """The control flow of a function. Never raises: what cannot be read is in `Cfg.opaque`.

    Several readings of one text (preprocessor conditionals that cut statements) stand side by side
    under a MAYBE at the entry.
    """
    syntaxes = parse_function(fn)
    if not syntaxes:
        return _unread(fn)
    lowering = Lowering(syntaxes[0])
    try:
        lowering.function(syntaxes)
    except TooLarge:
        return _unread(fn)
    opaque = lowering.opaque.union(*(syntax.degraded for syntax in syntaxes))
    lowering.lines[0], lowering.lines[1] = fn.line, fn.end_line
    return lowering.finish(tuple(sorted(opaque)))


def _unread(fn: ir.Function) -> ir.Cfg:
    """The graph of a function without a readable body, or too large: anything may happen in it."""
    nodes = (
        ir.Node(0, At.ENTRY, fn.line, None, (ir.Edge(2),)),
        ir.Node(1, At.EXIT, fn.end_line),
        ir.Node(2, At.DO, fn.line, ir.Opaque(fn.line, f"body of {fn.name}"), (ir.Edge(1),)),
    )
    return ir.Cfg(nodes, (), (fn.line,), ((), (2,), (0,)))


def _runs_statements(expr: ir.Expr) -> bool:
    """Whether evaluating it begins with steps that may be a loop of their own."""
    return any(isinstance(each, (ir.Comma, Statements)) for each in ir.walk(expr))


class Lowering(Declarations):
    """One function on its way to a graph, statement by statement."""

    def __init__(self, syntax: Syntax) -> None:
        super().__init__(syntax)
        self._switches: list[list[int]] = []  # [node, 1 if it has a default]

    def function(self, syntaxes: tuple[Syntax, ...]) -> None:
        entry = 0
        if len(syntaxes) > 1:
            entry = self.branch(At.MAYBE, syntaxes[0].first_line, None)
        for syntax in syntaxes:
            self.use(syntax)
            self.ends = [(entry, None)]
            self.todo.append((self._statement, syntax.body))
            self._run()
            self.join(1)
            self.land()
        self.lost()

    def _run(self) -> None:
        todo = self.todo
        while todo:
            task = todo.pop()
            task[0](*task[1:])

    # -- sequences

    def _statement(self, node: Node) -> None:
        handler = _STATEMENTS.get(node.type)
        if handler is None:
            self._expression(node)
        else:
            handler(self, node)

    def _sequence(self, nodes: Iterable[Node]) -> None:
        statement = self._statement
        self.todo.extend([(statement, node) for node in reversed(list(nodes))])

    def _compound(self, node: Node) -> None:
        self.todo.append((self.close, self.chain, self.end_line(node)))
        self._sequence(node.named_children)

    def _parts(self, node: Node) -> None:
        self._sequence(node.named_children)

    def _nothing(self, node: Node) -> None:
        """Types, prototypes and directives do nothing when control comes by."""

    def inline(self, block: Statements, use: Use) -> None:
        body = block.body
        if body is None:
            return
        children = body.named_children
        self.todo.append((self.close, self.chain, self.end_line(body)))
        last = children[-1] if children else None
        if last is not None and last.type == "expression_statement" and last.named_child_count == 1:
            self.todo.append((self._use_value, last.named_children[0], use))
            children = children[:-1]
        else:
            self.todo.append((use, ir.Name(block.line, "#void"), True))
        self._sequence(children)

    def _use_value(self, node: Node, use: Use) -> None:
        use(*self.read(node))

    def _expression_statement(self, node: Node) -> None:
        children = node.named_children
        if node.start_byte in self.syntax.computed:
            self.goto_computed(self.reader.line(node))
        elif len(children) == 1:
            self._expression(children[0])
        else:  # an ERROR beside the expression
            self._sequence(children)

    def _expression(self, node: Node) -> None:
        expr, plain = self.read_effect(node)
        if node.type == "gnu_asm_expression" and (labels := node.child_by_field_name("goto_labels")) is not None:
            self.todo.append((self._asm_goto, labels))
        self.todo.append((self.effect, expr, plain))

    def _asm_goto(self, labels: Node) -> None:
        line = self.reader.line(labels)
        number = self.branch(At.MAYBE, line, None)
        for label in labels.named_children:
            self.jump([(number, None)], self.reader.text(label), line)
        self.ends = [(number, None)]

    def _error(self, node: Node) -> None:
        """Syntax that could not be read: its expressions in one piece, its statements one after the other."""
        self.opaque.add(self.reader.line(node))
        self._sequence([child for child in node.named_children if child.type in _STATEMENTS])
        self._expression(node)

    def _labeled(self, node: Node) -> None:
        label, *rest = node.named_children
        self.label(self.reader.text(label), self.reader.line(label))
        self._sequence(rest)

    # -- branches

    def _condition(self, node: Node | None, yes: list[End], no: list[End]) -> None:
        if node is None:
            self.turn(yes, [])
            return
        expr, plain = self.read(node)
        self.todo.append((self.condition, expr, yes, no, plain))

    def _if(self, node: Node) -> None:
        block = self.syntax.blocks.get(node.start_byte)
        if block is not None:
            self._block(node, block)
            return
        yes: list[End] = []
        no: list[End] = []
        if node.has_error:
            condition = node.child_by_field_name("condition")
            then = node.child_by_field_name("consequence")
            other = node.child_by_field_name("alternative")
        else:  # the same, three times as fast
            _, condition, then, *last = node.children
            other = last[0] if last else None
        todo = self.todo
        if other is None:
            todo.append((self.add_ends, no))
        else:
            first: list[End] = []
            todo.append((self.add_ends, first))
            todo.append((self._parts, other))
            todo.append((self.turn, first, no))
        if then is not None:
            todo.append((self._statement, then))
        todo.append((self.set_ends, yes))
        self._condition(condition, yes, no)

    def _switch(self, node: Node) -> None:
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        if condition is None or body is None:
            self._error(node)
            return
        expr, plain = self.read(condition)
        before: list[ir.Expr] = []
        if not plain:
            before, expr = self.take_out(expr)
        self.todo += ((self._end_switch,), (self._statement, body), (self._begin_switch, expr))
        self.effects(before)

    def _begin_switch(self, expr: ir.Expr) -> None:
        self._switches.append([self.branch(At.SWITCH, expr.line, expr), 0])
        self.breaks.append(([], self.chain))

    def _end_switch(self) -> None:
        number, has_default = self._switches.pop()
        self.add_ends(self.breaks.pop()[0])
        if not has_default:
            self.ends.append((number, ()))

    def _case(self, node: Node) -> None:
        value = node.child_by_field_name("value")
        if self._switches:
            switch = self._switches[-1]
            if value is None:
                switch[1] = 1
                self.ends.append((switch[0], ()))
            else:
                self.ends.append((switch[0], (self._case_label(value),)))
        children = node.named_children
        self._sequence(children if value is None else children[1:])

    def _case_label(self, value: Node) -> ir.Expr:
        """The label; ``A ... B`` (of which the parser sees ``A``) as one expression."""
        first = self.reader.read(value)
        after = self.syntax.raw[value.end_byte : value.end_byte + 200].partition(b":")[0]
        gap, dots, last = after.partition(b"...")
        if not dots or gap.strip():
            return first
        text = last.decode("utf-8", "surrogateescape").strip()
        number = integer(text)
        upper = ir.Name(first.line, text) if number is None else ir.Number(first.line, text, number)
        return ir.Binary(first.line, "...", first, upper)

    def _preproc(self, node: Node) -> None:
        """Arms of ``#if`` under a MAYBE; without an ``#else`` there is one more arm, empty."""
        arms: list[list[Node]] = []
        here: Node | None = node
        complete = False
        while here is not None:
            complete = here.type == "preproc_else"
            children = here.named_children if complete else here.named_children[1:]
            arms.append([child for child in children if child.type not in _ALTERNATIVES])
            here = here.child_by_field_name("alternative")
        if not complete:
            arms.append([])
        number = self.branch(At.MAYBE, self.reader.line(node), None)
        done: list[End] = []
        self.todo.append((self.set_ends, done))
        for arm in reversed(arms):
            self.todo.append((self.turn, done, []))
            self._sequence(arm)
            self.todo.append((self.set_ends, [(number, None)]))

    # -- jumps

    def _break(self, node: Node) -> None:
        self.leave_by(self.breaks, node)

    def _continue(self, node: Node) -> None:
        self.leave_by(self.continues, node)

    # -- loops

    def _while(self, node: Node) -> None:
        block = self.syntax.blocks.get(node.start_byte)
        if block is None:
            self._loop(LoopKind.WHILE, node, None)
        else:
            self._block(node, block)

    def _for(self, node: Node) -> None:
        first = node.child_by_field_name("initializer")
        self.todo.append((self.close, self.chain, self.end_line(node)))
        self.todo.append((self._loop, LoopKind.FOR, node, node.child_by_field_name("update")))
        if first is not None:
            self.todo.append((self._statement, first))

    def _loop(self, kind: LoopKind, node: Node, update: Node | None) -> None:
        """A loop that tests before its body."""
        condition = node.child_by_field_name("condition")
        expr, plain = (None, True) if condition is None else self.read(condition)
        line = self.reader.line(node)
        truth = True if expr is None else constant(expr)
        head = len(self.at)
        yes: list[End] = []
        no: list[End] = []
        if truth is False:  # none goes round, but a goto may lead into the body
            head = -1
        else:
            self.kinds.append((head, kind))
            if truth is True or expr is None or (not plain and _runs_statements(expr)):
                self.emit(At.LABEL, line)
        self._round(head, node.child_by_field_name("body"), no, update)
        self.todo.append((self._begin_round, head, yes, line))
        if expr is None:
            self.turn(yes, [])
        else:
            self.todo.append((self.condition, expr, yes, no, plain))

    def _begin_round(self, head: int, yes: list[End], line: int) -> None:
        self.ends = yes
        if len(self.at) == head:  # the condition came to nothing: `while (1 || x)`
            self.emit(At.LABEL, line)

    def _round(self, head: int, body: Node | None, out: list[End], update: Node | None = None) -> None:
        """The body, the update and the way back to the head, and behind the loop the ends `out`."""
        continues: list[End] = []
        breaks: list[End] = []
        self.breaks.append((breaks, self.chain))
        self.continues.append((continues, self.chain))
        self.todo.append((self._end_round, head, out))
        if update is not None:
            self.todo.append((self._expression, update))
        self.todo.append((self.add_ends, continues))
        if body is not None:
            self.todo.append((self._statement, body))

    def _end_round(self, head: int, out: list[End]) -> None:
        if head < 0:
            out.extend(self.ends)
        else:
            self.join(head)
        self.continues.pop()
        self.ends = self.breaks.pop()[0]
        self.add_ends(out)

    def _do(self, node: Node) -> None:
        condition = node.child_by_field_name("condition")
        expr, plain = (None, True) if condition is None else self.read(condition)
        head = -1 if expr is not None and constant(expr) is False else len(self.at)  # do { } while (0) is no loop
        if head > 0:
            self.emit(At.LABEL, self.reader.line(node))
            self.kinds.append((head, LoopKind.DO))
        yes: list[End] = []
        no: list[End] = []
        continues: list[End] = []
        self.breaks.append(([], self.chain))
        self.continues.append((continues, self.chain))
        self.todo.append((self._end_do, head, yes, no))
        self.todo.append((self.turn, yes, []) if expr is None else (self.condition, expr, yes, no, plain))
        self.todo.append((self.add_ends, continues))
        body = node.child_by_field_name("body")
        if body is not None:
            self.todo.append((self._statement, body))

    def _end_do(self, head: int, yes: list[End], no: list[End]) -> None:
        self.ends = yes
        self._end_round(head, no)

    # -- macros with a block

    def _block(self, node: Node, block: Block) -> None:
        line = self.reader.line(node)
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("body") or node.child_by_field_name("consequence")
        args: tuple[ir.Expr, ...] = ()
        if condition is not None and block.args.strip():
            expr = self.reader.read(condition)
            args = expr.items if isinstance(expr, ir.Comma) else (expr,)
            args = tuple([ir.Opaque(line, ir.show(each)) if stirs(each) else each for each in args])
        if block.kind is BlockKind.ONCE:
            self._once(block, args, line, body)
            return
        head = self.branch(At.EACH, line, ir.Call(line, ir.Name(line, block.name), args))
        self.kinds.append((head, LoopKind.RETRY if block.kind is BlockKind.RETRY else LoopKind.EACH))
        if block.kind is BlockKind.RETRY:
            self.retries.append((head, self.chain))
            self.todo.append((self.retries.pop,))
        self.ends = [(head, True)]
        self._round(head, body, [(head, False)])

    def _once(self, block: Block, args: tuple[ir.Expr, ...], line: int, body: Node | None) -> None:
        kind, variable = block.name, ""
        if block.name in _SCOPED and args:
            kind, args = ir.show(args[0]), args[1:]
            if block.name == "scoped_class" and args:
                variable, args = ir.show(args[0]), args[1:]
        after: list[End] = []
        outer = self.chain
        todo = self.todo
        if block.fail is not None or _CONDITIONAL.search(kind):
            maybe = self.branch(At.MAYBE, line, None)
            self.ends = [(maybe, None)]
            todo.append((self.add_ends, after))
            if block.fail is not None:
                syntax = fragment(*block.fail)
                todo += ((self.use, self.syntax), (self._statement, syntax.body), (self.use, syntax))
            todo.append((self.turn, after, [(maybe, None)]))
        self.acquire(kind, args, line, variable)
        leaves: list[End] = []
        self.breaks.append((leaves, outer))
        self.continues.append((leaves, outer))
        todo.append((self._end_once, line if body is None else self.end_line(body)))
        if body is not None:
            todo.append((self._statement, body))

    def _end_once(self, line: int) -> None:
        leaves, outer = self.breaks.pop()
        self.continues.pop()
        self.close(outer, line)
        self.add_ends(leaves)


_STATEMENTS: dict[str, Callable[[Lowering, Node], None]] = {
    "expression_statement": Lowering._expression_statement,
    "declaration": Lowering.declaration,
    "compound_statement": Lowering._compound,
    "if_statement": Lowering._if,
    "else_clause": Lowering._parts,
    "return_statement": Lowering.return_,
    "goto_statement": Lowering.goto,
    "break_statement": Lowering._break,
    "continue_statement": Lowering._continue,
    "labeled_statement": Lowering._labeled,
    "while_statement": Lowering._while,
    "for_statement": Lowering._for,
    "do_statement": Lowering._do,
    "switch_statement": Lowering._switch,
    "case_statement": Lowering._case,
    "preproc_if": Lowering._preproc,
    "preproc_ifdef": Lowering._preproc,
    "attributed_statement": Lowering._parts,
    "ERROR": Lowering._error,
    "function_definition": Lowering._error,
    "preproc_def": Lowering._nothing,
    "preproc_function_def": Lowering._nothing,
    "preproc_call": Lowering._nothing,
    "preproc_include": Lowering._nothing,
    "type_definition": Lowering._nothing,
    "struct_specifier": Lowering._nothing,
    "union_specifier": Lowering._nothing,
    "enum_specifier": Lowering._nothing,
    "attribute_declaration": Lowering._nothing,
    "attribute_specifier": Lowering._nothing,
    "comment": Lowering._nothing,
}
