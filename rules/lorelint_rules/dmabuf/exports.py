"""Where a function makes a dma-buf, hands it to user space, and gives it back."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, tables
from lorelint.rule.analyses.folder import beside, folder_of, near
from lorelint.rule.analyses.frees import Freed, canonical, frees, joined
from lorelint.rule.analyses.scope import Scope, peel

_LAST = frozenset({"kref_put", "kref_put_mutex", "kref_put_lock"})
_DEPTH = 2  # helpers between a function and dma_buf_export()


class Export(Struct, frozen=True):
    """One call that makes a dma-buf.

    dmabuf  the variable or field it is kept in
    ops     name of its ops table, "" where that is not plain
    priv    what is handed over as its private data, "" likewise
    """

    node: int
    line: int
    dmabuf: str
    ops: str
    priv: str
    path: str  # of the file in which the table was named


class Published(Struct, frozen=True):
    """One call that gives a dma-buf's reference to a file descriptor.

    always  it cannot fail (fd_install()); else it does so if it returns less than 0
    """

    node: int
    line: int
    dmabuf: str
    api: str
    always: bool


def exports(view: TreeView, scope: Scope) -> tuple[Export, ...]:
    """Calls of a function, and of its helpers, that make a dma-buf which it keeps."""
    return tuple(
        Export(node.id, target.line, canonical_text(target), ops, priv, path)
        for node, target, call in _kept(scope)
        for ops, priv, path in _made(view, scope, call, _DEPTH)
    )


def canonical_text(expr: ir.Expr) -> str:
    return ir.show(peel(expr))


def _kept(scope: Scope) -> Iterator[tuple[ir.Node, ir.Expr, ir.Call]]:
    """Calls whose result is kept: (node, where, call)."""
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Assign(op="=", target=target, value=ir.Call() as call):
                    yield node, target, call
                case ir.Declare(name=name, value=ir.Call() as call):
                    yield node, ir.Name(each.line, name), call


def _made(view: TreeView, scope: Scope, call: ir.Call, depth: int) -> Iterator[tuple[str, str, str]]:
    """(ops table, private data, file) of the dma-buf that a call makes; nothing if it makes none."""
    if not call.name or not depth:
        return
    info = next((name for arg in call.args if (name := _info(scope, arg))), "")
    if info:
        ops, priv = _filled(scope, info)
        yield ops, priv, scope.fn.path
        return
    if "struct dma_buf *" not in " ".join(
        fn.returns.replace("*", " *").replace("  ", " ") for fn in near(view.program, call.name, scope.fn.path)
    ):
        return
    for callee in near(view.program, call.name, scope.fn.path):
        inner = Scope(view.program, callee)
        handed = dict(zip((param.name for param in callee.params), call.args, strict=False))
        for node in inner.cfg.nodes:
            for each in ir.calls(node.expr):
                for ops, priv, path in _made(view, inner, each, depth - 1):
                    yield ops, canonical(scope, handed[priv]) if priv in handed else "", path


def _info(scope: Scope, arg: ir.Expr) -> str:
    """The local ``struct dma_buf_export_info`` whose address is handed over."""
    match arg:
        case ir.Unary(op="&", operand=ir.Name(name=name)):
            declared = f"DEFINE_DMA_BUF_EXPORT_INFO({name})".encode()
            return name if declared in scope.fn.text or "dma_buf_export_info" in scope.types.get(name, "") else ""
    return ""


def _filled(scope: Scope, info: str) -> tuple[str, str]:
    """The ops table and the private data that are put into an export info."""
    found = {"ops": "", "priv": ""}
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Assign(op="=", target=ir.Member(base=ir.Name(name=name), field=field), value=value):
                    if name == info and field in found:
                        found[field] = tables.named(value) if field == "ops" else canonical(scope, value)
                case ir.Declare(name=name, value=ir.Init(items=items)) if name == info:
                    for field, value in items:
                        if field in found:
                            found[field] = tables.named(value) if field == "ops" else canonical(scope, value)
    return found["ops"], found["priv"]


def published(view: TreeView, scope: Scope) -> tuple[Published, ...]:
    """Calls of a function that put a dma-buf under a file descriptor."""
    found = []
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            match call:
                case ir.Call(args=(dmabuf, _)) if call.name == "dma_buf_fd":
                    found.append(Published(node.id, call.line, canonical_text(dmabuf), call.name, False))
                case ir.Call(args=(_, ir.Member(base=dmabuf, field="file"))) if call.name == "fd_install":
                    if scope.tag_of(dmabuf) == "dma_buf":
                        found.append(Published(node.id, call.line, canonical_text(dmabuf), call.name, True))
                case ir.Call() if call.name:
                    found.extend(_by_helper(view, scope, node.id, call))
    return tuple(found)


def _by_helper(view: TreeView, scope: Scope, node: int, call: ir.Call) -> Iterator[Published]:
    """A helper that does no more than to return what dma_buf_fd() said of its parameter."""
    for callee in near(view.program, call.name, scope.fn.path):
        if b"dma_buf_fd" not in callee.text or callee.key == scope.fn.key:
            continue
        for each in view.program.cfg(callee).nodes:
            inner = each.expr
            if each.at is ir.At.RETURN and isinstance(inner, ir.Call) and inner.name == "dma_buf_fd" and inner.args:
                for param, arg in zip(callee.params, call.args, strict=False):
                    if ir.show(inner.args[0]) == param.name:
                        yield Published(node, call.line, canonical_text(arg), call.name, False)


def puts(scope: Scope, dmabuf: str) -> tuple[tuple[int, ir.Call], ...]:
    """Where a function drops a reference of this dma-buf itself."""
    return tuple((node.id, call) for node in scope.cfg.nodes for call in ir.calls(node.expr) if _puts(call, dmabuf))


def _puts(call: ir.Call, dmabuf: str) -> bool:
    match call:
        case ir.Call(args=(arg,)) if call.name == "dma_buf_put":
            return canonical_text(arg) == dmabuf
        case ir.Call(args=(ir.Member(base=base, field="file"),)) if call.name == "fput":
            return canonical_text(base) == dmabuf
    return False


def another_reference(scope: Scope, dmabuf: str) -> ir.Call | None:
    """A call by which the function takes a reference of its own."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if not call.args:
                continue
            taken = call.name == "get_dma_buf" and canonical_text(call.args[0]) == dmabuf
            if taken or (call.name in ("get_file", "get_file_active") and ir.show(call.args[0]).startswith(dmabuf)):
                return call
    return None


def remade(scope: Scope, text: str) -> frozenset[int]:
    """Nodes at which a variable or field, or the pointer it hangs on, gets another value."""
    names = {text, text.replace(".", "->").partition("->")[0]}
    found = set()
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Assign(target=target) if ir.show(target) in names:
                    found.add(node.id)
                case ir.Declare(name=name) if name in names:
                    found.add(node.id)
    return frozenset(found)


def table(view: TreeView, export: Export) -> tables.Table | None:
    """The ops table of an export."""
    for path in dict.fromkeys((export.path, *beside(view.program, folder_of(export.path)))):
        raw = view.program.raw(path) if export.ops else None
        if raw is not None and export.ops.encode() in raw:
            for each in view.program.tables(path):
                if each.name == export.ops and each.type == "struct dma_buf_ops":
                    return each
    return None


class Release(Struct, frozen=True):
    """The .release of an export: what it frees, in terms of the function that exports."""

    fn: ir.Function
    step: Step  # of the table's entry
    freed: tuple[Freed, ...]
    calls: tuple[str, ...]  # all calls it makes, as text in the same terms


def release(view: TreeView, export: Export, *, alone: bool = False) -> Release | None:
    """What the last dma_buf_put() runs; None where that was not found.

    alone  the function that exports has the only count on the private data, so that .release drops the last one
    """
    found = table(view, export)
    value = found.get("release") if found is not None else None
    if found is None or value is None:
        return None
    name = tables.named(value)
    for fn in near(view.program, name, found.path):
        if not fn.params:
            continue
        start = f"{fn.params[0].name}->priv"
        scope = Scope(view.program, fn)
        freed = tuple(
            Freed(joined(export.priv, each.what[len(start) :]), each.node, each.api, each.steps)
            for each in (*frees(view.program, fn), *(_with_the_last(view, scope) if alone else ()))
            if each.what.startswith(start)
        )
        step = Step(found.path, value.line, f".release = {name} of {export.ops}")
        return Release(fn, step, freed, tuple(_rendered(scope, start, export.priv)))
    return None


def _with_the_last(view: TreeView, scope: Scope) -> Iterator[Freed]:
    """What a .release frees by ``kref_put(&priv->ref, free)``, of an object on which nobody else counts yet.

    The object is found by container_of(), from the member that is counted.
    """
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name not in _LAST or len(call.args) < 2 or not isinstance(call.args[1], ir.Name):
                continue
            counted = canonical(scope, call.args[0]).removeprefix("&")
            step = Step(scope.fn.path, call.line, f"{scope.fn.name}() calls {ir.show(call)}")
            for last in near(view.program, call.args[1].name, scope.fn.path):
                inner = Scope(view.program, last)
                holders = {name: _holder(inner, name, counted) for name in inner.types}
                for each in frees(view.program, last):
                    name, arrow, rest = each.what.partition("->")
                    if holders.get(name):
                        yield Freed(holders[name] + arrow + rest, node.id, each.api, (step, *each.steps))


def _holder(scope: Scope, name: str, counted: str) -> str:
    """The object that ``name = container_of(ref, type, member)`` finds, where `counted` is its member."""
    match scope.value(name):
        case ir.Call(args=(ir.Name(name=ref), *_, member)) if ref in scope.params:
            text = ir.show(member)
            for tail in (f"->{text}", f".{text}"):
                if text and counted.endswith(tail):
                    return counted.removesuffix(tail)
    return ""


def _rendered(scope: Scope, start: str, priv: str) -> Iterator[str]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name and len(call.args) == 1:
                what = canonical(scope, call.args[0])
                if what.lstrip("&").startswith(start):
                    yield f"{call.name}({what.replace(start, priv, 1)})"
