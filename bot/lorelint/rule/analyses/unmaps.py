"""What takes user mappings away: the calls themselves, and functions that lead to one."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.code.search import calls_in
from lorelint.model.finding import Step
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import prefetch, resolve
from lorelint.rule.analyses.mapping import tables_with
from lorelint.rule.analyses.scope import Scope

#: Of the list ``unmap_apis``: what acts on an address_space or a VMA itself. Others are looked into where they are
#: defined, and removal of a sysfs file ends the mappings of that file alone.
_NOT_FOR_ALL = frozenset(
    {"kernfs_remove", "sysfs_remove_bin_file", "sysfs_remove_group", "iomem_get_mapping", "dax_layout_busy_page"}
)
_LOOKED_INTO = frozenset({"drm_dev_unplug", "rdma_user_mmap_disassociate"})
#: Names of other versions and static twins of listed ones.
_MORE = frozenset({"zap_page_range", "zap_vma_range", "ttm_bo_unmap_virtual_locked"})
_HINT = regex(
    r"unmap|zap|revoke|invalidate|purge|evict|unplug|disassociate|shoot|truncate|_move|release_mmap|_validate|detach|swapout"
)
_KERNELS_OWN = regex(
    r"^(?:dma_|pci_|sg_|iommu_|k(?:un)?map|__k|io(?:un|re)map|devm_|vunmap|list_|rb_|folio_|page_|memunmap)"
)
_CORE = ("mm/", "fs/", "block/", "lib/", "net/core/")
_DEEP = 4
_WIDE = 40


class Unmap(Struct, frozen=True):
    """A place in a function from which an unmap is reached."""

    node: int
    step: Step
    api: str
    mapping: str  # C text of what it acts on, where the API is called
    chain: tuple[Step, ...] = ()


def terminals(program: Program) -> frozenset[str]:
    return (program.know.names("unmap_apis") | _MORE) - _NOT_FOR_ALL


def unmaps(program: Program, scope: Scope) -> tuple[Unmap, ...]:
    """All places of one function that may unmap, in order."""
    return tuple(_unmaps(program, scope))


def _unmaps(program: Program, scope: Scope) -> Iterator[Unmap]:
    calls = (call for node in scope.cfg.nodes for call in ir.calls(node.expr))
    prefetch(program, (call.name for call in calls if _worth_a_search(call.name)))
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            found = _by_call(program, scope, call)
            if found is not None:
                api, mapping, chain = found
                yield Unmap(
                    node.id,
                    Step(scope.fn.path, call.line, f"{_called(call)}() in {scope.fn.name}()"),
                    api,
                    mapping,
                    chain,
                )


def _worth_a_search(name: str) -> bool:
    """Whether a function of another folder may unmap, by its name."""
    return _HINT.search(name) is not None and not _KERNELS_OWN.match(name)


def _called(call: ir.Call) -> str:
    return call.name or ir.show(call.callee)


def _by_call(program: Program, scope: Scope, call: ir.Call) -> tuple[str, str, tuple[Step, ...]] | None:
    if call.name in terminals(program) and call.name not in _LOOKED_INTO:
        return call.name, ir.show(scope.resolve(call.args[0])) if call.args else "", ()
    targets = _targets(program, scope, call)
    for fn in targets:
        found = below(program, fn)
        if found is not None:
            return found
    if not targets and call.name in _LOOKED_INTO and program.know.has(call.name, "unmap_apis"):
        return call.name, "", ()
    return None


def _targets(program: Program, scope: Scope, call: ir.Call) -> tuple[ir.Function, ...]:
    near = scope.fn.path
    if call.name:
        handed = tuple(fn for arg in call.args if isinstance(arg, ir.Name) for fn in _handed(program, scope, arg.name))
        called = resolve(program, call.name, near, wide=_worth_a_search(call.name))
        return (*(fn for fn in called if not fn.path.startswith(_CORE) or near.startswith(_CORE)), *handed)
    callee = call.callee
    if not isinstance(callee, ir.Member) or not _HINT.search(callee.field):
        return ()
    type_ = scope.tag_of(callee.base)
    found = tables_with(program, type_, callee.field, near) if type_ else ()
    return tuple(fn for table, name in found for fn in program.define(name, table.path))


def _handed(program: Program, scope: Scope, name: str) -> tuple[ir.Function, ...]:
    """A function handed to a call as its callback."""
    return () if scope.local(name) or name.isupper() else resolve(program, name, scope.fn.path, wide=False)


def below(program: Program, fn: ir.Function) -> tuple[str, str, tuple[Step, ...]] | None:
    """(API, mapping, steps) of an unmap that a function reaches by direct calls, None for none."""
    return program.memo(("unmap below", fn.path, fn.name), lambda: _below(program, fn))


def _below(program: Program, fn: ir.Function) -> tuple[str, str, tuple[Step, ...]] | None:
    names = terminals(program)
    todo: list[tuple[ir.Function, tuple[Step, ...], int]] = [(fn, (), 0)]
    seen = {fn.key}
    while todo:
        here, steps, depth = todo.pop(0)
        direct = _names_one(here, names)
        if direct:
            scope = Scope(program, here)
            for node in scope.cfg.nodes:
                for call in ir.calls(node.expr):
                    if call.name in direct and call.name not in _LOOKED_INTO:
                        mapping = ir.show(scope.resolve(call.args[0])) if call.args else ""
                        last = Step(here.path, call.line, f"{here.name}() calls {call.name}()")
                        return call.name, mapping, (*steps, last)
        else:
            program.note(("function", here.path, here.name))
        if depth >= _DEEP:
            continue
        called = tuple(_calls(here))
        prefetch(program, (name for name, _ in called if _worth_a_search(name)))
        for name, line in called:
            if len(seen) > _WIDE:
                break
            for callee in _worth(program, name, here):
                if callee.key not in seen:
                    seen.add(callee.key)
                    todo.append((callee, (*steps, Step(here.path, line, f"{here.name}() calls {name}()")), depth + 1))
    return None


def _names_one(fn: ir.Function, names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.encode() in fn.text)


_CALL = regex(rb"(?<![\w.>])([a-z_]\w+)\s*\(")
_PLAIN = frozenset(b"if for while switch return sizeof typeof container_of likely unlikely WARN_ON".split())


def _calls(fn: ir.Function) -> Iterator[tuple[str, int]]:
    """Names called in the text of a function, each once with its first line."""
    start = fn.text.find(b"{")
    seen: set[bytes] = set()
    for found in _CALL.finditer(fn.text, max(start, 0)):
        word = found.group(1)
        if word not in seen and word not in _PLAIN:
            seen.add(word)
            name = word.decode()
            yield name, next((site.line for site in calls_in(fn, name)), fn.line)


def _worth(program: Program, name: str, here: ir.Function) -> tuple[ir.Function, ...]:
    """Callees to look into: those of the same file, and elsewhere those whose name speaks of it."""
    found = resolve(program, name, here.path, wide=_worth_a_search(name))
    # the core's own ways to unmap are those that are listed: behind any other name it unmaps files of its own
    return tuple(fn for fn in found if not fn.path.startswith(_CORE) or here.path.startswith(_CORE))[:4]
