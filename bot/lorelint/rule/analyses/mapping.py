"""How user space gets at an object's memory: ops table, handler, what puts the PTEs in, what is tested before.

A `Way` begins at a table that sets ``.mmap`` (or another field for the same purpose) and goes down through
the handler, the ``vm_ops`` it installs and their fault handlers to a call that inserts pages. On the way the
struct types in sight and the fields that are tested are collected: by them a rule knows which objects the
memory belongs to, and what keeps new PTEs out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.code.tables import Table, named
from lorelint.model.finding import Step
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import beside, folder_of, prefetch, resolve
from lorelint.rule.analyses.hints import Hints
from lorelint.rule.analyses.scope import Scope, peel, tag

#: Fields of ops tables whose function maps memory of the object into user space.
MMAP_FIELDS = frozenset(
    {"mmap", "mmap_prepare", "fb_mmap", "proc_mmap", "gem_prime_mmap", "mmap_object", "vm_ops", "gem_vm_ops"}
)
FAULT_FIELDS = ("fault", "huge_fault", "map_pages", "pfn_mkwrite", "page_mkwrite")
#: Inserters whose pages hold a reference of their own: they stay valid when the object forgets them.
COUNTED = frozenset(
    {
        "vm_insert_page",
        "vm_insert_pages",
        "vm_map_pages",
        "vm_map_pages_zero",
        "vmf_insert_page_mkwrite",
        "vmf_insert_folio_pmd",
        "remap_vmalloc_range",
        "dax_iomap_fault",
        "vmf->page",
    }
)
#: A fault handler's own way to have a page mapped: the core makes the PTE and keeps the handler's reference.
HANDED = "vmf->page"
#: Structs that are in every handler's sight and say nothing about whose memory it is.
GENERIC = frozenset(
    "file inode vm_area_struct vm_fault mm_struct page folio device address_space "
    "vm_operations_struct dma_buf list_head "
    "mutex rw_semaphore spinlock kref kobject bin_attribute module cdev miscdevice task_struct resource "
    "vm_area_desc drm_file void int unsigned long u64 u32 u16 u8 bool size_t pgprot_t pfn_t "
    "vm_fault_t char ssize_t loff_t "
    "resource_size_t phys_addr_t dma_addr_t pgoff_t dma_attrs short __u64 __u32".split()
)

_ALL_FIELDS = MMAP_FIELDS | frozenset(FAULT_FIELDS)
_DEEP = 5  # calls followed below a handler
_WIDE = 48  # functions looked at for one way
_TARGETS = 8  # functions an indirect call may mean
_MAPS = regex(r"mmap|fault|insert|_pfn|vma|remap|map_user|iomem_map|map_(?:io|bar|page|mem)")
_ASKS = regex(
    r"is_|has_|_dead|alive|enter|wedged|unplug|allowed|enabled|revoked|mappable|valid|check|active|usable|gone|open"
)
_relevant = Hints(rb"vm_area_struct", rb"struct vm_fault", rb"mmap\b", rb"vm_operations_struct", rb"vm_ops\b")
_VMA = regex(r"struct (?:vm_area_struct|vm_fault|vm_area_desc)\b")
_BAR_CALLS = frozenset(
    {"pci_resource_start", "pci_resource_len", "pci_resource_n", "io_remap_pfn_range", "pgprot_device", "pci_iomap"}
)
_BAR = regex(r"(?:^|_)(?:r?mmio|bars?\d?)(?:_|$)")
_QUIET = regex(
    r"^(?:pr_|dev_|trace_|WARN|BUG|lockdep_|mutex_|spin_|down_|up_|kref_|kfree|printk|might_|rcu_|srcu_|atomic_)"
)


_KERNELS_OWN = regex(
    r"^(?:check_\w+_overflow|vmf_insert_|rb_|x[as]_|idr_|vmalloc|vm_|vma_|page_|pte_|p[mu]d_|is_power|filemap_|remap_|folio_|get_|put_|dma_|copy_|access_|atomic|is_err)"
)


class Gate(Struct, frozen=True):
    """A field that is tested on the way to the PTE."""

    tag: str
    field: str
    names: frozenset[str]  # constants in the test
    null: bool  # the field itself is tested for being there
    text: str
    step: Step
    fn: ir.Function
    node: int


class Link(Struct, frozen=True):
    """One call on the way down: at this node of this function the other is called."""

    callee: tuple[str, str]
    fn: ir.Function
    node: int


class Insert(Struct, frozen=True):
    """One place at which a PTE is made, or a page is handed to the core that makes one."""

    api: str
    fn: ir.Function
    node: int
    line: int

    @property
    def step(self) -> Step:
        what = f"{self.api}()" if self.api != HANDED else self.api
        return Step(self.fn.path, self.line, f"{what} in {self.fn.name}()")


class Way(Struct, frozen=True):
    """One way from a table to an inserted PTE."""

    table: str  # type of the table: ``file_operations``, ``dma_buf_ops``, ...
    op: str  # its field
    entry: Step  # the table's line
    handler: ir.Function
    inserter: str
    insert: Step
    counted: bool  # only pages with references of their own are inserted
    tags: frozenset[str]
    gates: tuple[Gate, ...]
    mapped: frozenset[tuple[str, str]]  # (struct, field) of what is handed to the inserter
    device: bool  # the memory of a device: a BAR, registers
    tracked: bool  # its vm_ops hear of every VMA that comes and goes
    inserts: tuple[Insert, ...]
    roots: tuple[ir.Function, ...]  # where the kernel comes in: the handler, the fault handlers of its vm_ops
    links: tuple[Link, ...]

    def gate(self, tag: str, field: str) -> Gate | None:
        return next((gate for gate in self.gates if gate.tag == tag and gate.field == field), None)

    @property
    def dmabuf(self) -> bool:
        """The VMAs belong to the dma-buf's file, whatever file the exporter has."""
        return self.table == "dma_buf_ops"

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.entry, self.insert)


def ways(program: Program, path: str) -> tuple[Way, ...]:
    """All ways whose tables or handlers stand in the folder of this file, sorted by place."""
    folder = folder_of(path)
    return program.memo(("ways", folder), lambda: tuple(_ways(program, folder)))


def maps(fn: ir.Function) -> bool:
    """Whether a function looks like a handler: it is handed a VMA or a fault."""
    return any(_VMA.search(param.type) for param in fn.params)


def way_of(program: Program, handler: ir.Function) -> tuple[Way, ...]:
    """The way through one handler, where a table holds it."""

    def compute() -> tuple[Way, ...]:
        for use in program.entries(handler):
            if use.field.rpartition(".")[2] in _ALL_FIELDS:
                for table in program.tables(use.path):
                    if table.type == use.type and named(table.get(use.field) or ir.Number(0, "0", 0)) == handler.name:
                        entry = Step(use.path, use.line, f".{use.field} = {handler.name} of {_shown(table)}")
                        return tuple(_way(program, table, use.field, entry, handler))
        return ()

    return program.memo(("way", handler.key), compute)


def files(program: Program, folder: str) -> Iterator[tuple[str, bytes]]:
    """The C files of one folder (not of those below) with their text."""
    for path in beside(program, folder):
        if path.endswith(".c"):
            raw = program.raw(path)
            if raw is not None:
                yield path, raw


def touched(program: Program, folder: str) -> bool:
    """Whether any file of a folder speaks of VMAs or of mmap: else no way begins or ends there."""
    return program.memo(("touched", folder), lambda: any(_relevant(raw) for _, raw in files(program, folder)))


def _ways(program: Program, folder: str) -> Iterator[Way]:
    seen: set[tuple[str, str]] = set()
    mapping = [path for path, raw in files(program, folder) if _relevant(raw)]
    for path in mapping:
        for table in program.tables(path):
            for op, value, line in table.fields:
                name = named(value)
                if op.rpartition(".")[2] in MMAP_FIELDS and name not in ("", "NULL"):
                    for handler in _handlers(program, op, name, path):
                        seen.add(handler.key)
                        yield from _way(
                            program, table, op, Step(path, line, f".{op} = {name} of {_shown(table)}"), handler
                        )
    others: list[ir.Function] = []
    for path in mapping:
        for fn in program.functions(path):
            if fn.key not in seen and not fn.static and _MAPS.search(fn.name) and maps(fn):
                others.append(fn)
    prefetch(program, (fn.name for fn in others))
    for fn in others:
        yield from _used_elsewhere(program, fn)


def _shown(table: Table) -> str:
    return f"{tag(table.type)} {table.name}".strip()


def _handlers(program: Program, op: str, name: str, path: str) -> Iterator[ir.Function]:
    if op.rpartition(".")[2] not in ("vm_ops", "gem_vm_ops"):
        yield from program.define(name, path)
        return
    for table in _objects(program, name, path):
        for each in FAULT_FIELDS:
            value = table.get(each)
            if value is not None and named(value):
                yield from program.define(named(value), table.path)


def _objects(program: Program, name: str, path: str) -> tuple[Table, ...]:
    """Tables of this name: in the file, else wherever one is defined near."""
    here = tuple(table for table in program.tables(path) if table.name == name)
    if here:
        return here
    for other in program.candidates((name,), path, f"definition of {name}")[:12]:
        found = tuple(t for t in program.tables(other) if t.name == name and "vm_operations" in t.type)
        if found:
            return found
    return ()


def _used_elsewhere(program: Program, fn: ir.Function) -> Iterator[Way]:
    """A handler that stands in tables of other folders, itself or through one wrapper in a header."""
    for name in (fn.name, *_wrappers(program, fn)):
        for path in program.candidates((name,), fn.path, f"tables with {name}()"):
            if not re.search(rb"\.\s*\w+\s*=\s*" + name.encode() + rb"\b", program.raw(path) or b""):
                continue
            for table in program.tables(path):
                for op, value, line in table.fields:
                    if named(value) == name and op.rpartition(".")[2] in _ALL_FIELDS:
                        entry = Step(path, line, f".{op} = {name} of {_shown(table)}")
                        yield from _way(program, table, op, entry, fn)
                        return


def _wrappers(program: Program, fn: ir.Function) -> tuple[str, ...]:
    """Inline functions of headers that call it: a header of its own folder or for all."""
    paths = [
        path for path in program.candidates((fn.name,), fn.path, f"wrappers of {fn.name}()") if path.endswith(".h")
    ][:4]
    word = fn.name.encode()
    return tuple(
        each.name for path in paths for each in program.functions(path) if word in each.text and each.name != fn.name
    )[:4]


def tables_with(program: Program, type_: str, field: str, near: str) -> Iterator[tuple[Table, str]]:
    """Tables of a type that set a field, nearest first, with the name it is set to; a few are enough."""
    count = 0
    for path in program.candidates((type_, field), near, f"tables of struct {type_} with .{field}"):
        for table in program.tables(path):
            value = table.get(field) if table.type == f"struct {type_}" else None
            if value is not None and (name := named(value)):
                yield table, name
                count += 1
                if count >= _TARGETS:
                    return


def _way(program: Program, table: Table, op: str, entry: Step, handler: ir.Function) -> Iterator[Way]:
    found = Descent(program, handler)
    if found.inserts:
        lasting = [each for each in found.inserts if each.api not in COUNTED]
        first = min(lasting or found.inserts, key=lambda each: each.fn.path != handler.path)
        yield Way(
            table=tag(table.type),
            op=op,
            entry=entry,
            handler=handler,
            inserter=first.api,
            insert=first.step,
            counted=not lasting,
            tags=frozenset(found.tags) - GENERIC,
            gates=tuple(found.gates),
            mapped=frozenset(found.mapped),
            device=found.device,
            tracked=found.tracked,
            inserts=tuple(found.inserts),
            roots=tuple(found.roots),
            links=tuple(dict.fromkeys(found.links)),
        )


class Descent:
    """Everything below one handler that has to do with its PTEs."""

    def __init__(self, program: Program, handler: ir.Function) -> None:
        self.program = program
        self.folder = folder_of(handler.path)
        self.inserters = program.know.names("fault_inserters")
        self.inserts: list[Insert] = []
        self.roots = [handler]
        self.links: list[Link] = []
        self.tags: set[str] = set()
        self.gates: list[Gate] = []
        self.mapped: set[tuple[str, str]] = set()
        self.device = False
        self.tracked = False
        self._seen = {handler.key}
        self._todo: list[tuple[ir.Function, int]] = [(handler, 0)]
        while self._todo and len(self._seen) <= _WIDE:
            fn, depth = self._todo.pop(0)
            self._look(fn, depth)

    def _look(self, fn: ir.Function, depth: int) -> None:
        scope = Scope(self.program, fn)
        self.tags |= {tag(type_) for type_ in scope.types.values()}
        prefetch(self.program, _wide(scope))
        for node in scope.cfg.nodes:
            if node.expr is None:
                continue
            if node.at in (ir.At.TEST, ir.At.SWITCH, ir.At.RETURN):
                self.gates.extend(_tested(scope, node))
            for each in ir.walk(node.expr):
                match each:
                    case ir.Call():
                        self._call(scope, node, each, depth)
                        self.device = self.device or each.name in _BAR_CALLS
                    case ir.Member(field=name) if _BAR.search(name):
                        self.device = True
                    case ir.Assign(op="=", target=ir.Member(field="vm_ops"), value=value):
                        self._vm_ops(scope, value, depth)
                    case ir.Assign(op="=", target=ir.Member(base=base, field="page"), value=value):
                        if scope.tag_of(base) == "vm_fault" and not ir.show(value).startswith("NULL"):
                            self.inserts.append(Insert(HANDED, fn, node.id, each.line))

    def _call(self, scope: Scope, node: ir.Node, call: ir.Call, depth: int) -> None:
        if call.name in self.inserters or call.name.startswith("vmf_insert_"):
            for arg in call.args[1:]:
                self.mapped.update(scope.members(arg))
            self.inserts.append(Insert(call.name, scope.fn, node.id, call.line))
        elif depth < _DEEP and call.name and not _QUIET.match(call.name):
            for fn in resolve(self.program, call.name, scope.fn.path, wide=_is_worth(call.name)):
                self._add(fn, depth, Link(fn.key, scope.fn, node.id))
        elif depth < _DEEP and isinstance(call.callee, ir.Member) and call.callee.field in ("mmap", *FAULT_FIELDS):
            self._indirect(scope, node, call.callee, depth)

    def _indirect(self, scope: Scope, node: ir.Node, callee: ir.Member, depth: int) -> None:
        type_ = scope.tag_of(callee.base)
        if type_ and type_ not in ("file_operations", "vm_operations_struct"):  # of those there is one in every driver
            for table, name in tables_with(self.program, type_, callee.field, scope.fn.path):
                for fn in self.program.define(name, table.path):
                    self._add(fn, depth, Link(fn.key, scope.fn, node.id))

    def _vm_ops(self, scope: Scope, value: ir.Expr, depth: int) -> None:
        name = named(value)
        if name.isupper():
            return  # NULL: none of its own
        if name:
            self.tracked = self.tracked or any(
                t.get("close") is not None for t in _objects(self.program, name, scope.fn.path)
            )
            for fn in _handlers(self.program, "vm_ops", name, scope.fn.path):
                self._add(fn, depth)
        elif isinstance(value, ir.Member) and (type_ := scope.tag_of(value.base)):
            for table, name in tables_with(self.program, type_, value.field, scope.fn.path):
                for fn in _handlers(self.program, "vm_ops", name, table.path):
                    self._add(fn, depth)

    def _add(self, fn: ir.Function, depth: int, link: Link | None = None) -> None:
        if link is not None:
            self.links.append(link)
        elif fn not in self.roots:
            self.roots.append(fn)
        if fn.key not in self._seen:
            self._seen.add(fn.key)
            self._todo.append((fn, depth + 1))


def _is_worth(name: str) -> bool:
    """Whether a function of another folder is looked into: it maps, or it is asked whether one may."""
    return bool(_MAPS.search(name) or _ASKS.search(name)) and not _QUIET.match(name) and not _KERNELS_OWN.match(name)


def _wide(scope: Scope) -> Iterator[str]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name and _is_worth(call.name) and not resolve(scope.program, call.name, scope.fn.path, wide=False):
                yield call.name


def _tested(scope: Scope, node: ir.Node) -> Iterator[Gate]:
    """Fields that a test looks at, directly or through a local; each where it is read."""
    assert node.expr is not None
    parts = [(node.expr, node.id)]
    for each in ir.walk(node.expr):
        if isinstance(each, ir.Name):
            for value in scope.values(each.name)[:4]:
                at = scope.node_of(value)
                parts.append((value, node.id if at is None else at))
    null = _only_field(scope, node.expr)
    names = frozenset(
        each.name for part, _ in parts for each in ir.walk(part) if isinstance(each, ir.Name) and each.name.isupper()
    )
    text = ir.show(node.expr)
    step = Step(scope.fn.path, node.line, f"{scope.fn.name}() tests {text}")
    for part, at in parts:
        for each in ir.walk(part):
            if isinstance(each, ir.Member) and (owner := scope.tag_of(each.base)):
                yield Gate(owner, each.field, names, null == each, text, step, scope.fn, at)


def _only_field(scope: Scope, expr: ir.Expr) -> ir.Expr | None:
    """The field whose presence alone is tested, directly or through a local that holds it."""
    expr = peel(expr)
    match expr:
        case ir.Binary(op="==" | "!=", left=left, right=ir.Name(name="NULL")):
            expr = peel(left)
        case ir.Name(name=name):
            fields = [peel(value) for value in scope.values(name)]
            expr = fields[0] if len(fields) == 1 else expr
    return expr if isinstance(expr, ir.Member) else None
