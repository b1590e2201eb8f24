"""Which functions of a folder revoke something, and by which ways the thing can have been mapped."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from lorelint.rule import Sibling, Step, TreeView, flow, ir, regex, tables
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.hints import Hints
from lorelint.rule.analyses.mapping import Gate, Way
from lorelint.rule.analyses.scope import Scope, tag
from lorelint.rule.analyses.unmaps import terminals
from lorelint.rule.analyses.unmaps import unmaps as unmaps_in
from lorelint_rules.revoke import cores, markers, roles
from lorelint_rules.revoke.markers import Kind, Marker

_CALLED = regex(rb"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
_asked_elsewhere = Hints(rb"IORESOURCE_(?:BUSY|EXCLUSIVE)\b", rb"PCI_COMMAND_MEMORY\b")
_UP = 4  # callers climbed from a predicate to a handler
_WIDE = 40
#: Tables that would have a field for mapping what they are about.
_COULD_MAP = frozenset({"file_operations", "dma_buf_ops", "vfio_device_ops", "drm_gem_object_funcs"})


def mappable(view: TreeView, folder: str) -> bool:
    """Whether what a folder revokes can be mapped: by itself, or as it decides by a bit that others ask for."""

    def compute() -> bool:
        return any(_asked_elsewhere(raw) or cores.spoken(view, raw) for _, raw in mapping.files(view.program, folder))

    return mapping.touched(view.program, folder) or view.program.memo(("asked elsewhere", folder), compute)


def hinted(view: TreeView, fn: ir.Function) -> bool:
    """Whether a function may hold a marker, by its text."""
    return (fn.name, fn.line) in _hinted(view, fn.path)


def worth(view: TreeView, fn: ir.Function) -> bool:
    """The same, with markers by their role and memory that a helper gives back."""
    helpers = freeing(view, folder_of(fn.path))
    return hinted(view, fn) or roles.turned(view, fn) or any(name.encode() in fn.text for name in helpers)


def _hinted(view: TreeView, path: str) -> frozenset[tuple[str, int]]:
    """The functions of a file that may hold a marker: (name, line)."""

    def compute() -> frozenset[tuple[str, int]]:
        raw = view.program.raw(path) or b""
        lines = markers.hints.lines(raw)
        spoken = cores.spoken(view, raw)
        return frozenset(
            (each.name, each.line)
            for each in (view.program.functions(path) if lines or spoken else ())
            if bisect_left(lines, each.first_line) < bisect_right(lines, each.end_line)
            or (spoken and cores.spoken(view, each.text))
        )

    return view.program.memo(("hinted", path), compute)


def names(view: TreeView, folder: str) -> dict[str, str]:
    """Functions of a folder that may revoke: name -> path."""

    def compute() -> dict[str, str]:
        found: dict[str, str] = {}
        for path, _ in mapping.files(view.program, folder):
            for name, _ in sorted(_hinted(view, path)):
                found.setdefault(name, path)
        return found

    return view.program.memo(("revoking", folder), compute)


def unmaps(view: TreeView, fn: ir.Function) -> str:
    """An API by which a function takes user mappings away itself, "" for none."""
    return next((name for name in sorted(terminals(view.program)) if name.encode() + b"(" in fn.text), "")


def calls(view: TreeView, fn: ir.Function) -> Iterator[tuple[ir.Function, int]]:
    """Functions of the same folder that may revoke, called here; with the line of the call."""
    known = names(view, folder_of(fn.path))
    called = {
        each.decode("utf-8", "surrogateescape") for each in _CALLED.findall(fn.text, fn.text.find(b"{"))
    } & known.keys()
    for name in sorted(called - {fn.name}):
        for callee in view.program.define(name, fn.path):
            for site in view.program.callers(callee):
                if site.fn.key == fn.key:
                    yield callee, site.line


def found(view: TreeView, scope: Scope) -> tuple[Marker, ...]:
    """All markers of a function, those among them that lie in a helper which is handed the memory."""
    own = markers.find(view, scope) if hinted(view, scope.fn) else ()
    own = (*own, *cores.find(view, scope), *roles.find(view, scope))
    helpers = freeing(view, folder_of(scope.fn.path))
    if any(name.encode() in scope.fn.text for name in helpers):
        own = (*own, *markers.handed(scope, helpers))
    return own


def freeing(view: TreeView, folder: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Helpers of a folder that give back memory which plain parameters name: name -> (API, parameters from 0)."""

    def compute() -> dict[str, tuple[str, tuple[int, ...]]]:
        helpers: dict[str, tuple[str, tuple[int, ...]]] = {}
        for path, raw in mapping.files(view.program, folder):
            if markers.gives(raw):
                for fn in view.program.functions(path):
                    if fn.name not in helpers and markers.gives(fn.text):
                        given = markers.frees_parameters(Scope(view.program, fn))
                        if given is not None:
                            helpers[fn.name] = given
        return helpers

    return view.program.memo(("freeing", folder), compute)


def ways(view: TreeView, fn: ir.Function, marker: Marker) -> tuple[tuple[Way, Gate | None], ...]:
    """The ways to the memory of the marker's object, the one with a test of the marker first."""
    if marker.kind is Kind.LEFT:
        return tuple((way, None) for way in cores.ways(view, fn.path, marker))
    if marker.kind is Kind.ROLE:
        return roles.ways(view, fn.path, marker)
    found = markers.ways_of(marker, mapping.ways(view.program, fn.path))
    if marker.kind is Kind.STATE:
        found = tuple((way, gate) for way, gate in found if gate is None or not _lets_pass(view, marker, way, gate))
    if marker.kind is Kind.FREE and not _own_struct(view, fn, marker.tag):
        found = tuple(each for each in found if each[0].entry.path == fn.path)
    if not found and marker.kind is Kind.BIT:
        found = _by_predicate(view, fn, marker)
    return tuple(sorted(found, key=lambda each: (each[1] is None, each[0].counted, each[0].entry.path != fn.path)))


def _lets_pass(view: TreeView, marker: Marker, way: Way, gate: Gate) -> bool:
    """Whether a test compares the state with another one, and an object in the marker's state goes on to its PTEs."""
    cfg = view.program.cfg(gate.fn)
    match cfg.nodes[gate.node].expr:
        case ir.Binary(op="==" | "!=" as op, left=ir.Member(field=field), right=ir.Name(name=name)):
            taken = (name in marker.names) == (op == "==")
        case _:
            return False
    if field != marker.field or not name.isupper():
        return False
    onward = {each.node for each in way.links if each.fn.key == gate.fn.key}
    onward |= {each.node for each in way.inserts if each.fn.key == gate.fn.key}
    starts = [edge.to for edge in cfg.nodes[gate.node].out if edge.when is taken]
    return bool(onward) and any(start in onward or flow.reaches(cfg, [start], onward) is not None for start in starts)


def paged(view: TreeView, way: Way) -> bool:
    """Whether all that a way inserts are PFNs of pages: memory of the kernel's own, no registers."""

    def of_page(scope: Scope, call: ir.Call) -> bool:
        values = (call.args[1:], *(scope.values(each.name) for each in call.args[1:] if isinstance(each, ir.Name)))
        return any(inner.name == "page_to_pfn" for many in values for each in many for inner in ir.calls(each))

    def compute() -> bool:
        for insert in way.inserts:
            if insert.api in mapping.COUNTED:
                continue
            scope = Scope(view.program, insert.fn)
            here = (call for call in ir.calls(scope.cfg.nodes[insert.node].expr) if call.name == insert.api)
            if not all(of_page(scope, call) for call in here):
                return False
        return True

    return view.program.memo(("paged", way.handler.key, way.entry), compute)


def _own_struct(view: TreeView, fn: ir.Function, tag: str) -> bool:
    """Whether the struct is one driver's: in a folder of many drivers, one of the core's is in everybody's sight."""
    head = re.compile(rb"struct\s+" + re.escape(tag.partition(".")[0].encode("utf-8", "surrogateescape")) + rb"\s*\{")
    return any(head.search(view.program.raw(path) or b"") for path in beside(view.program, folder_of(fn.path)))


def _by_predicate(view: TreeView, fn: ir.Function, marker: Marker) -> tuple[tuple[Way, Gate | None], ...]:
    """Handlers in other folders that ask a predicate of this file which looks for the bit."""
    program = view.program
    found: list[tuple[Way, Gate | None]] = []
    for reader in program.functions(fn.path):
        if reader.returns.split()[-1:] != ["bool"] or not any(name.encode() in reader.text for name in marker.names):
            continue
        gate = _gate(Scope(program, reader), marker)
        if gate is not None:
            found.extend((way, gate) for way in _above(view, reader))
    return tuple(dict.fromkeys(found))


def _gate(scope: Scope, marker: Marker) -> Gate | None:
    for node in scope.cfg.nodes:
        if node.at in (ir.At.TEST, ir.At.RETURN) and node.expr is not None:
            for each in ir.walk(node.expr):
                if isinstance(each, ir.Member) and each.field == marker.field and scope.tag_of(each.base) == marker.tag:
                    text = ir.show(node.expr)
                    step = Step(scope.fn.path, node.line, f"{scope.fn.name}() tests {text}")
                    return Gate(marker.tag, marker.field, marker.names, False, text, step, scope.fn, node.id)
    return None


def _above(view: TreeView, reader: ir.Function) -> Iterator[Way]:
    """Ways whose handler calls this predicate, itself or through others."""
    seen = {reader.key}
    level = [reader]
    for _ in range(_UP):
        above: list[ir.Function] = []
        for each in level:
            for site in view.program.callers(each):
                if site.fn.key in seen or len(seen) > _WIDE:
                    continue
                seen.add(site.fn.key)
                above.append(site.fn)
                if mapping.maps(site.fn):
                    yield from mapping.way_of(view.program, site.fn)
        level = above


def why_not_mapped(view: TreeView, fn: ir.Function, marker: Marker) -> tuple[str, tuple[Step, ...]]:
    """Why no user mapping of the object can exist, with the table that shows it."""
    for table in view.program.tables(fn.path):
        type_ = tag(table.type)
        if type_ in _COULD_MAP and table.get("mmap") is None and _is_about(view, table, marker.tag):
            steps = (Step(table.path, table.line, f"{type_} {table.name} sets no .mmap"),)
            return f"{type_} {table.name} has no .mmap: no user PTE of struct {marker.tag} can exist", steps
    return f"no mmap or fault handler was found that maps memory of struct {marker.tag} and tests .{marker.field}", ()


def _is_about(view: TreeView, table: tables.Table, struct: str) -> bool:
    """Whether a function of the table speaks of the struct."""
    word = re.compile(rb"struct\s+" + re.escape(struct.encode("utf-8", "surrogateescape")) + rb"\b")
    called = {tables.named(value) for _, value, _ in table.fields} - {""}
    return any(fn.name in called and word.search(fn.text) for fn in view.program.functions(table.path))


def siblings(view: TreeView, fn: ir.Function, marker: Marker) -> tuple[Sibling, ...]:
    """Functions of the same folder that unmap when they revoke."""
    right: list[Sibling] = []
    for name, path in sorted(names(view, folder_of(fn.path)).items()):
        for each in view.program.define(name, path):
            if each.key == fn.key or len(right) >= 3:
                continue
            scope = Scope(view.program, each)
            if any(other.anchor == marker.anchor for other in found(view, scope)):
                for unmap in unmaps_in(view.program, scope)[:1]:
                    right.append(Sibling(each.path, unmap.step.line, each.name, f"unmaps by {unmap.api}()"))
    return tuple(right)
