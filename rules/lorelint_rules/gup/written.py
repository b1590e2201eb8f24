"""Where pages from GUP are written to: through a kernel mapping, or by a device that is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses.places import Place, place, within
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.typestate import Story
from lorelint_rules.gup.filled import Field, field_of

Speaks = Callable[[ir.Expr], bool]

_MAPS = regex(r"^(?:kmap\w*|page_address|page_to_virt|vmap|vm_map_ram|lowmem_page_address)$")
#: Calls that write to what their argument (from 0) points to.
_FILLS = {
    "memcpy": 0,
    "memmove": 0,
    "memset": 0,
    "memset32": 0,
    "strscpy": 0,
    "copy_from_user": 0,
    "__copy_from_user": 0,
    "copy_from_user_nofault": 0,
    "set_bit": 1,
    "clear_bit": 1,
    "__set_bit": 1,
    "__clear_bit": 1,
    "change_bit": 1,
    "test_and_set_bit": 1,
    "WRITE_ONCE": 0,
    "put_unaligned": 1,
    "bitmap_set": 0,
    "bitmap_clear": 0,
    "bitmap_zero": 0,
    "bitmap_fill": 0,
    "bitmap_copy": 0,
}
#: Calls that write to the page itself.
_PAGE_FILLS = {"memcpy_to_page": 0, "memzero_page": 0, "clear_highpage": 0, "zero_user": 0, "copy_highpage": 0}
_DMA = {"dma_map_page": 4, "dma_map_page_attrs": 4, "dma_map_sg": 3, "dma_map_sg_attrs": 3, "dma_map_sgtable": 2}
_FROM_DEVICE = frozenset({"DMA_FROM_DEVICE", "DMA_BIDIRECTIONAL"})
_SG = frozenset(
    {"sg_alloc_table_from_pages", "sg_alloc_table_from_pages_segment", "sg_set_page", "__sg_alloc_table_from_pages"}
)


def by_story(story: Story) -> Iterator[Step]:
    """Writes in the function that took the pages."""
    return _writes(story.thing.scope, lambda expr: story.thing.speaks(expr, frozenset()))


def by_field(view: TreeView, path: str, fields: tuple[Field, ...], but: ir.Function) -> Iterator[Step]:
    """Writes in other functions of a file to the pages that lie in one of these fields."""
    names = tuple(field[1].encode() for field in fields)
    for fn in view.program.functions(path):
        if fn != but and any(name in fn.text for name in names):
            scope = Scope(view.program, fn)

            def speaks(expr: ir.Expr, scope: Scope = scope) -> bool:
                return field_of(scope, place(expr)) in fields or any(each in fields for each in scope.members(expr))

            yield from _writes(scope, speaks)


def _writes(scope: Scope, speaks: Speaks) -> Iterator[Step]:
    mapped = _mapped(scope, speaks)
    tables = _tables(scope, speaks)
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            text = ""
            match each:
                case ir.Assign(target=(ir.Unary(op="*") | ir.Index() | ir.Member(arrow=True)) as target):
                    text = ir.show(each) if _at(target, mapped) and not _is_set(target, mapped) else ""
                case ir.Call() if each.name in _FILLS and _FILLS[each.name] < len(each.args):
                    text = ir.show(each) if _at(each.args[_FILLS[each.name]], mapped) else ""
                case ir.Call() if each.name in _PAGE_FILLS and each.args:
                    text = ir.show(each) if speaks(each.args[0]) else ""
                case ir.Call() if each.name in _DMA and _DMA[each.name] < len(each.args):
                    told = each.args[_DMA[each.name]]
                    ours = any(speaks(arg) or _at(arg, tables) for arg in each.args[1:2])
                    text = ir.show(each) if ours and ir.show(told) in _FROM_DEVICE else ""
            if text:
                yield Step(scope.fn.path, each.line, f"the pages are written to: {text[:80]}")


def _mapped(scope: Scope, speaks: Speaks) -> frozenset[Place]:
    """Places that hold a kernel address of such a page."""
    found: set[Place] = set()
    for _ in range(3):
        for node in scope.cfg.nodes:
            match node.expr:
                case ir.Assign(target=target, value=value):
                    there = place(target)
                case ir.Declare(name=name, value=ir.Expr() as value):
                    there = (name,)
                case _:
                    continue
            maps = any(_MAPS.match(call.name) and any(map(speaks, call.args)) for call in ir.calls(value))
            if there and (maps or _at(value, frozenset(found))):
                found.add(there)
    return frozenset(found)


def _tables(scope: Scope, speaks: Speaks) -> frozenset[Place]:
    """Scatterlists that were made of such pages."""
    made: set[Place] = set()
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in _SG and len(call.args) > 1 and speaks(call.args[1]):
                made.add(place(call.args[0]))
    return frozenset(made - {()})


def _at(expr: ir.Expr, places: frozenset[Place]) -> bool:
    where = place(expr)
    return bool(where) and any(within(where, each) for each in places)


def _is_set(target: ir.Expr, mapped: frozenset[Place]) -> bool:
    """Whether it is the variable with the address that is set: ``iter->addr = ..``, ``iter->addr += n``."""
    return isinstance(target, ir.Member) and place(target) in mapped
