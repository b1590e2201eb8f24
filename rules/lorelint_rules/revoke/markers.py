"""Revoke markers: the statements after which an object, or the memory behind it, is no longer to be used."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.rule import TreeView, ir, regex
from lorelint.rule.analyses.hints import Hints
from lorelint.rule.analyses.mapping import Gate, Way
from lorelint.rule.analyses.scope import Scope, peel
from lorelint.rule.analyses.scope import tag as scope_tag


class Kind(StrEnum):
    """What kind of statement marks the object."""

    FIELD = "field"  # revoked = true: the field's name says it
    STATE = "state"  # status = CLOSED: the constant's name says it; only with a gate
    OWNER = "owner"  # O->dev = NULL which a handler tests
    BIT = "bit"  # a flag that a gate looks for is set or cleared
    CALL = "call"  # pci_reset_function() and the like
    FREE = "free"  # the very memory that is mapped is given back
    ROLE = "role"  # a switch that a reset turns and that user space's way in asks for
    LEFT = "left"  # a core that maps it is told to let go, and then the memory is given back


class Marker(Struct, frozen=True):
    """One statement that revokes."""

    node: int
    line: int
    kind: Kind
    tag: str  # struct of the object
    field: str  # the field, or the call's name
    object: str  # C text of the object
    text: str  # C text of the statement
    value: str  # name of the variable that says yes or no, "" for a constant
    names: frozenset[str] = frozenset()  # bits, or the state
    api: str = ""  # the call, where it is one

    @property
    def anchor(self) -> str:
        return f"{self.api}() of struct {self.tag}" if self.api else f"struct {self.tag}.{self.field}"


#: Markers so plain that no handler need test them to be believed.
STRONG = frozenset({"revoked", "unplugged", "disassociated"})
#: Markers that are believed without such a test where it is registers of the device that are mapped. (A device that
#: is called dead or dying often only does not answer.)
GONE = frozenset({"removed", "disconnected", "gone"})
_WORDS = regex(
    r"(?:^|_)(?:REVOK\w*|DEAD|CLOSED|GONE|REMOVED|UNPLUG\w*|DISCONNECTED|DISASSOCIATED|DYING|PURGED|ZOMBIE|SUSPENDED"
    r"|SUSPENDING|DETACHED|INVALIDATED)(?:_|$)"
)
_OWNER = regex(r"^(?:info|dev|vdev|pdev|mdev|adev|ndev|udev)$")
_STORES = {
    "WRITE_ONCE": (0, 1),
    "smp_store_release": (0, 1),
    "atomic_set": (0, 1),
    "xchg": (0, 1),
    "smp_store_mb": (0, 1),
    "rcu_assign_pointer": (0, 1),
}
_BITS = {"set_bit": (1, 0), "__set_bit": (1, 0), "test_and_set_bit": (1, 0)}
_FRESH = regex(r"alloc|_create$|_new$|kmemdup")
_RESETS = frozenset({"pci_reset_function", "pci_try_reset_function", "__pci_reset_function_locked", "pci_reset_bus"})
_POWER = "pci_set_power_state"
_KILLS = frozenset({"kill_dax"})
#: Gives memory back: arguments (from 0) that name it.
FREES = {
    "free_contig_range": (0,),
    "dma_free_coherent": (2, 3),
    "dma_free_attrs": (2, 3),
    "dma_free_wc": (2, 3),
    "dma_free_noncoherent": (2, 3),
    "free_pages": (0,),
    "__free_pages": (0,),
    "free_pages_exact": (0,),
}
#: Structs of the core that stand for any device: which driver's memory is meant they do not say.
_ANYBODY = frozenset({"pci_dev", "device", "platform_device", "pci_bus", "pci_slot"})
_AWAKE = frozenset({"PCI_D0", "PCI_UNKNOWN", "PCI_POWER_ERROR"})

_FIELDS = rb"(?:revoked|dead|closed|unplugged|removed|disconnected|disassociated|dying|gone|suspended|madv)\b\s*[=,)]"
_STATES = (
    b"REVOK",
    b"DEAD",
    b"CLOSED",
    b"GONE",
    b"REMOVED",
    b"UNPLUG",
    b"DISCONNECTED",
    b"DISASSOCIATED",
    b"DYING",
    b"PURGED",
    b"ZOMBIE",
    b"SUSPEND",
    b"DETACHED",
    b"INVALIDATED",
)
_OWNERS = rb"(?:info|dev|vdev|pdev|mdev|adev|ndev|udev)\s*=\s*NULL\b"
#: Whether `find` may find anything in a text.
hints = Hints(
    rb"->" + _FIELDS,
    rb"\." + _FIELDS,
    rb"pci_(?:try_reset_function|reset_function|reset_function_locked|reset_bus|set_power_state)\s*\(",
    rb"kill_dax\s*\(",
    rb"->" + _OWNERS,
    rb"\." + _OWNERS,
    rb"WRITE_ONCE\s*\([^;]*(?:NULL|revoked|dead|closed|unplugged|removed|disconnected|dying|gone)",
    (rb"[=,(]\s*\w*(?:" + b"|".join(_STATES) + rb")", _STATES),
    rb"free_contig_range\s*\(",
    rb"dma_free_(?:coherent|attrs|wc|noncoherent)\s*\(",
    rb"free_pages(?:_exact)?\s*\(",
    rb"IORESOURCE_(?:BUSY|EXCLUSIVE)\b",
    rb"PCI_COMMAND_MEMORY\b",
)
#: Whether an owner is forgotten in a text: whoever uses it without a look finds nothing there.
forgets = Hints(rb"->" + _OWNERS, rb"\." + _OWNERS)

#: Whether memory is given back in a text.
gives = Hints(
    rb"free_contig_range\s*\(",
    rb"dma_free_(?:coherent|attrs|wc|noncoherent)\s*\(",
    rb"free_pages(?:_exact)?\s*\(",
)


def find(view: TreeView, scope: Scope) -> tuple[Marker, ...]:
    """All markers of a function, in order; whether they matter is for the mappings to say."""
    fields = view.know.names("revoke_markers_fields")
    found = [
        each
        for node in scope.cfg.nodes
        if node.expr is not None
        for each in _in(view, scope, fields, node.id, node.expr)
    ]
    return tuple(dict.fromkeys(found))


def _in(view: TreeView, scope: Scope, fields: frozenset[str], node: int, expr: ir.Expr) -> Iterator[Marker]:
    for each in ir.walk(expr):
        match each:
            case ir.Assign(op="=", target=target, value=value):
                yield from _stored(scope, fields, node, each, target, value)
            case ir.Assign(op="|=", target=target, value=value):
                yield from _bit(scope, node, each, target, value, _set_bits(view, value))
            case ir.Assign(op="&=", target=target, value=value):
                yield from _bit(scope, node, each, target, value, _cleared(view, scope, value))
            case ir.Call() if each.name in _STORES and len(each.args) >= 2:
                to, what = _STORES[each.name]
                yield from _stored(scope, fields, node, each, _through(each.args[to]), each.args[what])
            case ir.Call() if each.name in _BITS and len(each.args) >= 2:
                to, what = _BITS[each.name]
                bits = frozenset(n for n in _capitals(each.args[what]) if _WORDS.search(n))
                yield from _bit(scope, node, each, _through(each.args[to]), each.args[what], bits)
            case ir.Call():
                yield from _call(scope, node, each)


def _through(expr: ir.Expr) -> ir.Expr:
    expr = peel(expr)
    return expr.operand if isinstance(expr, ir.Unary) and expr.op == "&" else expr


def _stored(
    scope: Scope, fields: frozenset[str], node: int, whole: ir.Expr, target: ir.Expr, value: ir.Expr
) -> Iterator[Marker]:
    target = peel(target)
    if not isinstance(target, ir.Member):
        return
    kind, variable = _meaning(fields, target.field, peel(value))
    if kind is None or fresh(scope, target.base):
        return
    owner = scope.tag_of(target.base)
    names = _capitals(value) if kind is Kind.STATE else frozenset()
    if owner:
        yield Marker(node, whole.line, kind, owner, target.field, ir.show(target.base), ir.show(whole), variable, names)


def _meaning(fields: frozenset[str], field: str, value: ir.Expr) -> tuple[Kind | None, str]:
    """What kind of marker a store is, and the variable that decides; (None, "") for none."""
    match value:
        case ir.Name(name=name) if name in ("false", "NULL"):
            return (Kind.OWNER if name == "NULL" and _OWNER.search(field) else None), ""
        case ir.Number(value=0):
            return None, ""
        case ir.Name(name=name) if name.isupper():
            worded = _WORDS.search(name) is not None
            if field in fields and (field != "madv" or worded):
                return Kind.FIELD, ""
            return (Kind.STATE if worded else None), ""
    if field not in fields:
        return None, ""
    match value:
        case ir.Unary(op="-") if field == "madv":
            return Kind.FIELD, ""
        case ir.Number(value=int(number)) if field == "madv":
            return (Kind.FIELD if number < 0 else None), ""
        case ir.Name(name="true") | ir.Number():
            return (Kind.FIELD if field != "madv" else None), ""
        case ir.Name(name=name):
            return (Kind.FIELD if field != "madv" else None), name
    return None, ""


def _capitals(expr: ir.Expr) -> frozenset[str]:
    return frozenset(each.name for each in ir.walk(expr) if isinstance(each, ir.Name) and each.name.isupper())


def _set_bits(view: TreeView, value: ir.Expr) -> frozenset[str]:
    known = view.know.names("revoke_marker_flags_set")
    return frozenset(name for name in _capitals(value) if name in known or _WORDS.search(name))


def _cleared(view: TreeView, scope: Scope, value: ir.Expr) -> frozenset[str]:
    """Bits that ``x &= ~mask`` takes away, a mask in a local followed."""
    known = view.know.names("revoke_marker_flags_cleared")
    found: set[str] = set()
    for each in ir.walk(value):
        if isinstance(each, ir.Unary) and each.op == "~":
            found |= _capitals(scope.resolve(each.operand)) & known
    return frozenset(found)


def _bit(
    scope: Scope, node: int, whole: ir.Expr, target: ir.Expr, value: ir.Expr, bits: frozenset[str]
) -> Iterator[Marker]:
    if not bits:
        return
    place = _place(scope, target)
    if place is None or fresh(scope, place.base):
        return
    owner = scope.tag_of(place.base)
    if owner:
        yield Marker(node, whole.line, Kind.BIT, owner, place.field, ir.show(place.base), ir.show(whole), "", bits)


def _place(scope: Scope, expr: ir.Expr) -> ir.Member | None:
    """The field that is written, through casts, indices, ``&``, ``*`` and a local that points to it."""
    for _ in range(8):
        expr = scope.resolve(expr)
        match expr:
            case ir.Member():
                return expr
            case ir.Unary(op="*" | "&", operand=inner) | ir.Index(base=inner):
                expr = inner
            case _:
                return None
    return None


def fresh(scope: Scope, base: ir.Expr) -> bool:
    """Whether the object was made by this very function: nobody can have mapped it."""
    while isinstance(base, ir.Member):
        base = base.base
    if not isinstance(base, ir.Name):
        return False
    return any(isinstance(value, ir.Call) and _FRESH.search(value.name) for value in map(peel, scope.values(base.name)))


def _call(scope: Scope, node: int, call: ir.Call) -> Iterator[Marker]:
    if call.name in FREES:
        yield from freed(scope, node, call, call.name, FREES[call.name])
    if call.name not in _RESETS | _KILLS | {_POWER} or not call.args or fresh(scope, peel(call.args[0])):
        return
    variable = ""
    if call.name == _POWER:
        state = peel(call.args[1]) if len(call.args) > 1 else call.args[0]
        if isinstance(state, ir.Name) and state.name in _AWAKE:
            return
        variable = state.name if isinstance(state, ir.Name) and not state.name.isupper() else ""
    device = scope.resolve(call.args[0])
    owner = device.base if isinstance(device, ir.Member) else device
    tag = scope.tag_of(owner)
    tags: tuple[str, ...] = (tag,)
    if tag in _ANYBODY and call.name in _RESETS:  # whose device it is, the other objects in sight say
        found = dict.fromkeys(scope_tag(type_) for name, type_ in scope.types.items() if "struct " in type_)
        tags = tuple(each for each in found if each not in _ANYBODY)
    for each in tags:
        if each and each not in _ANYBODY:
            text = ir.show(owner) if each == tag else f"struct {each}"
            yield Marker(node, call.line, Kind.CALL, each, call.name, text, ir.show(call), variable, api=call.name)


def freed(scope: Scope, node: int, call: ir.Call, api: str, places: tuple[int, ...]) -> Iterator[Marker]:
    """Memory named by fields of an object that this call gives back."""
    for at in places:
        for owner, field in scope.members(call.args[at]) if at < len(call.args) else ():
            if api != "free_contig_range" and not _outlives(scope, owner, field):
                continue  # the object goes with its memory: its lifetime is another question
            yield Marker(node, call.line, Kind.FREE, owner, field, f"struct {owner}", ir.show(call), "", api=api)


def _outlives(scope: Scope, owner: str, field: str) -> bool:
    """Whether the object forgets the memory and lives on: the field is cleared, the object is not freed."""
    cleared = False
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Assign(
                    op="=", target=ir.Member(base=base, field=name), value=ir.Name(name="NULL") | ir.Number(value=0)
                ):
                    cleared = cleared or (name == field and scope.tag_of(base) == owner)
                case ir.Call(args=(ir.Name() as first, *_)) if each.name in (
                    "kfree",
                    "kvfree",
                    "devm_kfree",
                    "kfree_rcu",
                ):
                    if scope.tag_of(first) == owner:
                        return False
    return cleared


def handed(scope: Scope, frees: dict[str, tuple[str, tuple[int, ...]]]) -> Iterator[Marker]:
    """Fields handed to a helper that gives back what its parameter names (name -> (API, parameters from 0))."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in frees:
                api, places = frees[call.name]
                yield from freed(scope, node.id, call, api, places)


def frees_parameters(scope: Scope) -> tuple[str, tuple[int, ...]] | None:
    """(API, parameters from 0) of a helper that gives back memory named by plain parameters, None for any other."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            places = FREES.get(call.name, ())
            names = {atom for at in places if at < len(call.args) for atom in scope.atoms(call.args[at])}
            found = tuple(
                at for at, param in enumerate(scope.fn.params) if param.name in names and "struct " not in param.type
            )
            if found:
                return call.name, found
    return None


# -- do they matter ---------------------------------------------------------------------------


def ways_of(marker: Marker, ways: tuple[Way, ...]) -> tuple[tuple[Way, Gate | None], ...]:
    """The ways by which the object's memory can have been mapped, with the test of the marker where there is one."""
    found: list[tuple[Way, Gate | None]] = []
    for way in ways:
        asked = way.gates if marker.kind not in (Kind.CALL, Kind.FREE) else ()
        gate = next((each for each in asked if guards(marker, each)), None)
        if _meant(marker, way, gate):
            found.append((way, gate))
    return tuple(found)


def guards(marker: Marker, gate: Gate) -> bool:
    if (gate.tag, gate.field) != (marker.tag, marker.field):
        return False
    return (
        gate.null if marker.kind is Kind.OWNER else bool(gate.names & marker.names) if marker.kind is Kind.BIT else True
    )


def _meant(marker: Marker, way: Way, gate: Gate | None) -> bool:
    match marker.kind:
        case Kind.FREE:
            return (marker.tag, marker.field) in way.mapped and not way.tracked and not way.counted
        case Kind.CALL:
            return marker.tag in way.tags and (way.device or marker.api in _KILLS)
        case Kind.FIELD if marker.field in STRONG:
            return gate is not None or marker.tag in way.tags
        case Kind.FIELD if marker.field in GONE:
            return gate is not None or (marker.tag in way.tags and way.device)
    return gate is not None
