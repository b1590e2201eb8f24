"""The reservation lock of a dma-buf: who holds it where, by the kernel's convention and by what is seen."""

from __future__ import annotations

from lorelint.rule import Step, TreeView, flow, ir, regex
from lorelint.rule.analyses import entry
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.lockset import LOCKSETS
from lorelint.rule.analyses.preconditions import Fate, Precondition, Use
from lorelint.rule.analyses.scope import tag

RESV = "resv"
#: One API by two names; a tree between the versions that we know may have either.
TELLS = frozenset({"dma_buf_move_notify", "dma_buf_invalidate_mappings"})
_ASSERTS = regex(r"assert_\w*held|held_assert|assert\w*_reserved")
_OF_OBJECTS = regex(r"(^|_)(bo|obj|object|gem|resv|ttm)(_|$)")
_MAY_TAKE = regex(rb"lock|reserve|drm_exec|vmap")
_TAKES = regex(r"lock|reserve|prepare")
_KEEPS = regex(r"_reserved$|_and_lock(ed)?$")  # what it makes is locked when it returns
_GIVES = regex(r"unlock|unreserve|fini$|backoff|unprepare")
_DEEP = 3  # wrappers of wrappers
_BARE = frozenset(
    {
        entry.Kind.CLOSE,
        entry.Kind.BEGIN,
        entry.Kind.END,
        entry.Kind.FREE,
        entry.Kind.REMOVE,
        entry.Kind.USER,
        entry.Kind.ASYNC,
        entry.Kind.FROZEN,
    }
)


def convention(view: TreeView) -> bool:
    """Whether the tree is of the time since the convention was set (6.2)."""
    return view.know.version >= (6, 12)


def held(view: TreeView, fn: ir.Function, node: int) -> Step | None:
    """What shows that the lock is held before a node: it was taken here, or the function is called with it."""
    if RESV in view.of(LOCKSETS).names(fn, node, asserted=False):
        return Step(fn.path, view.program.cfg(fn).nodes[node].line, f"{fn.name}() holds the reservation lock")
    return _by_form(view, fn, node)


def _by_form(view: TreeView, fn: ir.Function, node: int) -> Step | None:
    """A call on every path before that reserves buffers, by whatever name, and is not undone before the node.

    What its failure leads to is not told apart here: a path on which nothing was reserved does not go on to use it.
    """
    if not _MAY_TAKE.search(fn.text):
        return None
    cfg = view.program.cfg(fn)
    taking: dict[int, ir.Call] = {}
    giving: set[int] = set()
    for each in cfg.nodes:
        for call in ir.calls(each.expr):
            if takes(view, call.name, fn.path):
                taking[each.id] = call
            elif gives(view, call.name, fn.path):
                giving.add(each.id)
    if not taking or node in taking:
        return None
    # a retry macro (drm_exec_until_all_locked()) runs its body at least once, and ends when all is locked
    again = {
        loop.head for loop in view.program.loops(fn) if loop.kind is ir.LoopKind.RETRY and loop.body & taking.keys()
    }
    if flow.reaches(cfg, [0, *giving], {node}, avoid=again.union(taking)) is not None:
        return None
    first = min(taking.values(), key=lambda call: call.line)
    return Step(fn.path, first.line, f"{first.name}() takes the reservation lock")


def takes(view: TreeView, name: str, path: str, depth: int = _DEEP) -> bool:
    """Whether a call by this name takes a reservation lock and keeps it: by the lists, or as a wrapper does."""
    if name in view.know.names("resv_lock_forms"):
        return "assert" not in name and name != "dma_resv_held"
    if not depth or not _TAKES.search(name) or _GIVES.search(name):
        return False
    return any(_wraps(view, callee, depth) for callee in resolve(view.program, name, path, wide=False)[:2])


def _wraps(view: TreeView, fn: ir.Function, depth: int) -> bool:
    called = {call.name for node in view.program.cfg(fn).nodes for call in ir.calls(node.expr) if call.name}
    if not _KEEPS.search(fn.name) and any(gives(view, each, fn.path, 0) for each in called):
        return False
    return any(takes(view, each, fn.path, depth - 1) for each in sorted(called - {fn.name}))


def gives(view: TreeView, name: str, path: str, depth: int = _DEEP) -> bool:
    """Whether a call by this name gives a reservation lock back."""
    if name == "dma_resv_unlock":
        return True
    if not _GIVES.search(name):
        return False
    if not depth:
        return _OF_OBJECTS.search(name) is not None
    return any(
        gives(view, call.name, callee.path, depth - 1)
        for callee in resolve(view.program, name, path, wide=False)[:2]
        for node in view.program.cfg(callee).nodes
        for call in ir.calls(node.expr)
        if call.name and call.name != name
    )


def if_imported(view: TreeView, fn: ir.Function, node: int) -> bool:
    """Whether a node is come to for imported buffers alone: a caller with a buffer of its own never gets there."""
    cfg = view.program.cfg(fn)
    tests = {
        each.id
        for each in cfg.nodes
        if each.at is ir.At.TEST and each.expr is not None and "import" in ir.show(each.expr).lower()
    }
    return bool(tests) and flow.reaches(cfg, [0], {node}, avoid=tests) is None


def claimed(view: TreeView, fn: ir.Function, node: int) -> Step | None:
    """An assertion of the function that its caller holds the lock."""
    cfg = view.program.cfg(fn)
    if RESV in view.of(LOCKSETS).names(fn, node):
        return Step(fn.path, cfg.nodes[node].line, f"{fn.name}() asserts that the reservation lock is held")
    for each in cfg.nodes:
        for call in ir.calls(each.expr):
            if _ASSERTS.search(call.name) and _OF_OBJECTS.search(call.name):
                return Step(fn.path, call.line, f"{call.name}() says that the caller holds the reservation lock")
    return None


def entered(view: TreeView, fn: ir.Function, use: Use) -> tuple[Fate, Step]:
    """Whether a function is entered with the lock held, by the place where its name stands."""
    fate = Fate.UNKNOWN
    name = use.field.rpartition(".")[2]
    owner = tag(use.type) if use.kind == "table" else ""
    text = f".{name} = {fn.name} of {owner}" if owner else f"{use.type}({fn.name})"
    if name in _with_lock(view, owner):
        fate = Fate.MET
        text += ", which is called with the reservation lock held"
    elif owner == "dma_buf_ops" and name in view.know.names("dmabuf_ops_called_without_resv"):
        fate = Fate.OPEN
        text += ", which is called without the reservation lock"
    elif entry.kind(use) in _BARE:
        fate = Fate.OPEN
    return fate, Step(use.path, use.line, text)


def _with_lock(view: TreeView, owner: str) -> frozenset[str]:
    """Members of a table that are called with the lock held."""
    if owner == "dma_buf_ops":
        return view.know.names("dmabuf_ops_called_with_resv")
    if owner == "ttm_bo_driver":
        owner = "ttm_device_funcs"
    if owner in ("drm_gem_object_funcs", "ttm_device_funcs", "dma_buf_attach_ops"):
        return view.know.names(f"resv_held_in_{owner}")
    return frozenset()


def ops_with_lock(view: TreeView, fn: ir.Function) -> Step | None:
    """The entry of a dma-buf's or importer's table by which a function is called with the lock held."""
    for use in view.program.entries(fn):
        owner = tag(use.type)
        if owner in ("dma_buf_ops", "dma_buf_attach_ops") and use.field in _with_lock(view, owner):
            text = f".{use.field} = {fn.name} of {owner} is called with the reservation lock held"
            return Step(use.path, use.line, text)
    return None


def precondition(view: TreeView) -> Precondition:
    """The question whether the reservation lock is held."""
    return Precondition(
        view.program,
        lambda fn, node: held(view, fn, node),
        lambda fn, use: entered(view, fn, use),
        lambda fn, node: claimed(view, fn, node),
    )
