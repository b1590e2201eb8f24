"""dmabuf-importer-contract: a dma-buf's importer cannot be told that its mapping ends

What it sees
    dma_buf_dynamic_attach() with ops that lack .move_notify (up to 6.12), or that come from whoever calls an
    exported function and were not looked at. From 7.x, where the callback is .invalidate_mappings and
    optional: an importer that lacks it and maps without pinning. On the other side, an exporter that revokes
    its buffers and whose .attach takes importers without asking whether they can be told. And a callback that
    waits for mmap_lock, which is ordered before the reservation lock it is called with, or takes that lock again.

Why it hurts
    The core refuses ops without .move_notify with a warning, and would call NULL. An importer that is not told goes
    on with DMA to memory that has been given to others, or to a device that was reset.

When it is silent
    - the ops have the callback, or were looked at before they are handed on
    - no ops: a static importer, whose buffer the exporter pins
    - .attach asks: dma_buf_attach_revocable(), importer_ops, peer2peer
    - .pin refuses: who cannot be told must pin, and cannot
    - an exporter that only moves its buffers: it does not move pinned ones

Do this instead
    Give the importer's ops the callback. In the exporter's .attach refuse who has none:
    if (!dma_buf_attach_revocable(attach)) return -EOPNOTSUPP.

References
    drivers/dma-buf/dma-buf.c dma_buf_dynamic_attach(), dma_buf_invalidate_mappings(), dma_buf_attach_revocable();
    commit 61ceaf236115 (vfio: pinned importers); Documentation/driver-api/dma-buf.rst
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import (
    Doubt,
    Finding,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    flow,
    ir,
    tables,
)
from lorelint.rule.analyses.folder import folder_of, functions, near
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.dmabuf import callbacks, importers
from lorelint_rules.dmabuf.importers import Has
from lorelint_rules.dmabuf.resv import TELLS

NAME = "dmabuf-importer-contract"
_ATTACH = "dma_buf_dynamic_attach"
_ASKS = ("importer_ops", "dma_buf_attach_revocable", "invalidate_mappings", "move_notify")


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        if _ATTACH.encode() in fn.text:
            scope = Scope(view.program, fn)
            for node in scope.cfg.nodes:
                for call in ir.calls(node.expr):
                    if call.name == _ATTACH and len(call.args) == 4:
                        yield _attaches(view, scope, call)
        if b"dma_buf_attachment" in fn.text[: max(fn.text.find(b"{"), 0)]:
            for table in view.program.tables(fn.path):
                yield from _serves(view, fn, table)


# -- the importer


def _attaches(view: TreeView, scope: Scope, call: ir.Call) -> Verdict:
    fn = scope.fn
    field = importers.callback(view)
    found = tuple(importers.answers(view, scope, call.args[2]))
    place = Step(fn.path, call.line, f"{call.name}(.., {ir.show(call.args[2])}, ..) attaches")
    for has in (Has.NO, Has.ANYONE):
        for each in found:
            if each.has is has:
                return _lacks(view, scope, place, each)
    known = next((each for each in found if each.has in (Has.YES, Has.NONE)), None)
    if known is None:
        reason = f"whether the ops have .{field} was not seen"
        return Doubt(NAME, fn.path, fn.name, call.line, _ATTACH, reason)
    reason = f"the ops have .{field}" if known.has is Has.YES else "no ops: a static importer"
    return Silence(NAME, fn.path, fn.name, call.line, reason, (place, known.step))


def _lacks(view: TreeView, scope: Scope, place: Step, answer: importers.Answer) -> Verdict:
    """The ops lack the callback, or may."""
    fn = scope.fn
    field = importers.callback(view)
    steps: tuple[Step, ...] = (place, answer.step)
    if importers.optional(view):
        mapped = _maps(view, fn)
        if answer.has is Has.ANYONE or mapped is None:
            reason = f"without .{field} the importer pins" if mapped is None else f".{field} is optional"
            return Silence(NAME, fn.path, fn.name, place.line, reason, steps)
        steps = (*steps, mapped)
        message = f"{answer.name} lacks .{field}, and the importer maps the dma-buf without pinning it"
        severity, confidence = Severity.NOTE, 0.6
    elif answer.has is Has.NO:
        message = f"{answer.name} lacks .{field}: {_ATTACH}() refuses it with a warning"
        severity, confidence = Severity.ERROR, 0.8
    else:
        message = f"ops of other modules reach {_ATTACH}() without a look at .{field}"
        severity, confidence = Severity.ERROR, 0.7
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=place.line,
        anchor=_ATTACH,
        message=message,
        severity=severity,
        confidence=confidence,
        steps=steps,
        need=Need.TREE,
        concern=answer.name or _ATTACH,
        facts=() if importers.optional(view) else (f"dma_buf_move_notify() calls .{field} of every importer with ops",),
        advice=f"give the ops .{field}, or refuse ops without it",
        evidence=(_ATTACH, answer.has.value),
        ask=f"is .{field} there whenever {fn.name}() attaches?",
    )


def _maps(view: TreeView, fn: ir.Function) -> Step | None:
    """A mapping by the importer's folder, in which nothing pins."""
    found = None
    for many in functions(view.program, folder_of(fn.path)).values():
        for each in many:
            if b"dma_buf_pin(" in each.text:
                return None
            if each.path == fn.path and b"dma_buf_map_attachment" in each.text and found is None:
                found = Step(each.path, each.line, f"{each.name}() maps the attachment")
    return found


# -- the exporter, and the callback


def _serves(view: TreeView, fn: ir.Function, table: tables.Table) -> Iterator[Verdict]:
    for field, value, line in table.fields:
        if tables.named(value) != fn.name:
            continue
        entry = Step(table.path, line, f".{field} = {fn.name} of {table.name}")
        if table.type == "struct dma_buf_ops" and field == "attach":
            yield from _takes(view, fn, table, entry)
        elif table.type == importers.TYPE and field == importers.callback(view):
            yield callbacks.told(view, NAME, fn, entry)


def _takes(view: TreeView, fn: ir.Function, table: tables.Table, entry: Step) -> Iterator[Verdict]:
    """The .attach of an exporter that revokes."""
    revokes = _revokes(view, fn)
    if revokes is None:
        return
    refusal = _refuses(view, table, "pin") or _refuses(view, table, "map_dma_buf")
    if refusal is not None:
        yield Silence(NAME, fn.path, fn.name, fn.line, "who cannot be told cannot pin or map", (entry, refusal))
        return
    scope = Scope(view.program, fn)
    asks = _ASKS if importers.optional(view) else (*_ASKS, "peer2peer")
    tests = frozenset(node.id for node in scope.cfg.nodes if _asks(view, scope, node, asks))
    good = [node for node in scope.cfg.nodes if node.at is ir.At.RETURN and node.expr and ir.show(node.expr) == "0"]
    open_ = next((each for each in good if flow.reaches(scope.cfg, [0], {each.id}, avoid=tests)), None)
    if open_ is None:
        if tests:
            step = Step(fn.path, scope.cfg.nodes[min(tests)].line, "the importer is asked")
            yield Silence(NAME, fn.path, fn.name, fn.line, "importers that cannot be told are refused", (entry, step))
        return
    yield Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=open_.line,
        anchor="attach",
        message=f"{fn.name}() takes importers that cannot be told, and the exporter revokes its buffers",
        severity=Severity.WARNING,
        confidence=0.7,
        steps=(entry, revokes, Step(fn.path, open_.line, "success without a look at what the importer can do")),
        need=Need.FILE,
        concern=table.name,
        advice="refuse the attachment unless dma_buf_attach_revocable() holds"
        if importers.optional(view)
        else "refuse the attachment of importers without importer_ops",
        evidence=("attach", table.name),
        ask=f"which importers does {fn.name}() accept, and who tells them of a revoke?",
    )


def _asks(view: TreeView, scope: Scope, node: ir.Node, words: tuple[str, ...], depth: int = 1) -> bool:
    """Whether a test asks what the importer can do, itself or by a helper."""
    if node.at is not ir.At.TEST or node.expr is None:
        return False
    for each in ir.walk(node.expr):
        if isinstance(each, ir.Member) and each.field in words:
            return True
        if isinstance(each, ir.Call) and each.name:
            if each.name in words:
                return True
            helpers = near(view.program, each.name, scope.fn.path) if depth else ()
            if any(word.encode() in helper.text for helper in helpers for word in words):
                return True
    return False


def _revokes(view: TreeView, fn: ir.Function) -> Step | None:
    """A function of the exporter that tells importers and marks the buffer as gone."""
    marks = view.know.names("revoke_markers_fields")
    for each in view.program.functions(fn.path):
        if not any(api.encode() in each.text for api in TELLS):
            continue
        nodes = view.program.cfg(each).nodes
        marked = any(
            isinstance(part, ir.Assign) and isinstance(part.target, ir.Member) and part.target.field in marks
            for node in nodes
            if node.expr is not None
            for part in ir.walk(node.expr)
        )
        call = next((call for node in nodes for call in ir.calls(node.expr) if call.name in TELLS), None)
        if marked and call is not None:
            return Step(each.path, call.line, f"{each.name}() revokes: {ir.show(call)}")
    return None


def _refuses(view: TreeView, table: tables.Table, field: str) -> Step | None:
    """An op that does nothing but fail."""
    value = table.get(field)
    for fn in near(view.program, tables.named(value), table.path) if value is not None else ():
        returned = [node.expr for node in view.program.cfg(fn).nodes if node.at is ir.At.RETURN]
        texts = [ir.show(each) if each is not None else "" for each in returned]
        if texts and all(text.startswith(("-E", "ERR_PTR(-E")) for text in texts):
            return Step(fn.path, fn.line, f".{field} = {fn.name} always fails with {texts[0]}")
    return None


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    tokens=Tokens((("dma_buf_attachment", _ATTACH),)),
    need=Need.TREE,
    cause_rank=40,
)
