"""One acquired thing inside one function: by which names it is known, and what each statement does to it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code import flow, ir
from lorelint.model.regex import regex
from lorelint.rule.analyses.owners import AWAY, LINKS, RESULT, Owners, Resource, Take, counts, unwrapped
from lorelint.rule.analyses.places import Place, place, places, touch, within
from lorelint.rule.analyses.scope import Scope, peel

_NEW = r"alloc|kmemdup|^__?get_free_page|_dup$|_new$"
_ALLOC = regex(_NEW)
_OTHER = regex(_NEW + r"|^ERR_CAST$")  # what these give of a thing is another thing: memory, an error
_MEMORY = regex(r"^(?:devm_)?(?:k|kv|v|kmem_cache_)[mzc]?alloc(?:_\w+)?$")
FREE = regex(r"^(?:k|kv|v|kz|kvz|devm_k)free(?:_sensitive|_rcu)?$|^free_pages?$")  # by address
#: Calls that say, compare or copy: whatever they are handed stays where it is.
_TALK = regex(
    r"^(?:pr_|dev_|trace_|drm_(?:dbg|err|info|warn)|netdev_|v?s?n?printk?|print_|DRM_|WARN|BUG|_?dbg|mem(?:cpy|set|cmp|move)"
    r"|str|copy_(?:to|from)_|put_user|get_user$|IS_ERR|PTR_ERR|ERR_|min|max|sizeof|ARRAY_SIZE|kasan_|kmsan_|lockdep_|assert)"
)
BITS = regex(r"^(?:__)?(?:set|clear|change|test)_bit(?:_le)?$")
_ID = regex(r"^(?:const )?(?:u8|u16|u32|s32|int|unsigned|unsigned int|bool|size_t)$")
NUMBER = regex(
    r"^(?:const )?(?:(?:unsigned |signed )?(?:char|short|int|long|long long)(?: int)?|unsigned|bool|s?size_t"
    r"|(?:__)?[us](?:8|16|32|64)|dma_addr_t|phys_addr_t|loff_t|enum \w+)$"
)
#: Calls whose number stands for the page.
_STANDS = regex(r"_to_(?:pfn|phys|virt|bus)$|_pfn$|^pfn_")
_UNDO = regex(
    r"(?:^|_)(?:put|free|release|destroy|cleanup|fini|exit|unref|unmap|unpin|detach|close|teardown|dtor|drop|deinit)(?:_|$)"
)


STORED = "*"  # among the holders of a thing: the objects that outlive the function in which it is put somewhere


class Acquired(Struct, frozen=True):
    """One call that acquires.

    node, call   where
    place        what is had, by the name it was taken under
    pieces       part of an array, which may hold others from an earlier round
    """

    node: int
    call: ir.Call
    take: Take
    place: Place
    pieces: bool

    @property
    def line(self) -> int:
        return self.call.line

    @property
    def shown(self) -> str:
        """The thing as C text."""
        if self.take.thing == RESULT:
            return ".".join(self.place)
        return ir.show(self.call.args[self.take.thing]).lstrip("&")

    @property
    def offset(self) -> str:
        """The counter behind which new pieces are put: ``pages + done``, ``&pages[done]``; "" for none."""
        if self.take.thing == RESULT:
            return ""
        match peel(self.call.args[self.take.thing]):
            case ir.Binary(op="+", right=ir.Name(name=name)):
                return name
            case ir.Unary(op="&", operand=ir.Index(index=ir.Name(name=name))):
                return name
        return ""

    @property
    def asked(self) -> Place:
        """The variable or field that says how many are asked for, () for anything else."""
        at = self.take.count
        return place(self.call.args[at]) if at is not None and at < len(self.call.args) else ()

    @property
    def one(self) -> bool:
        """Whether exactly one is asked for."""
        if self.take.count is None or self.take.count >= len(self.call.args):
            return False
        match self.call.args[self.take.count]:
            case ir.Number(value=1):
                return True
        return False


def acquired(scope: Scope, resource: Resource) -> Iterator[Acquired]:
    """All calls of a function that acquire something that is kept in view."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            take = resource.takes.get(call.name)
            if take is not None and (found := _acquired(scope, node, call, take)) is not None:
                yield found


def _acquired(scope: Scope, node: ir.Node, call: ir.Call, take: Take) -> Acquired | None:
    if take.thing != RESULT:
        if take.thing >= len(call.args):
            return None
        arg = call.args[take.thing]
        value = scope.resolve(arg) if _in_loop(scope, node) else arg
        value = arg if isinstance(value, ir.Call) else value  # the call that made the array
        pieces = any(isinstance(each, (ir.Index, ir.Binary)) for each in ir.walk(value)) and "[0]" not in ir.show(value)
        return Acquired(node.id, call, take, where, pieces) if (where := place(arg)) else None
    return Acquired(node.id, call, take, where, False) if (where := result(node, call)) else None


def result(node: ir.Node, call: ir.Call) -> Place:
    """Where the value of a call goes; () for nowhere that is kept in view."""
    match node.expr:
        case ir.Assign(op="=", target=target, value=value) if _is(value, call):
            return place(target)
        case ir.Declare(name=name, value=ir.Expr() as value) if _is(value, call):
            return (name,)
    return ()


def _in_loop(scope: Scope, node: ir.Node) -> bool:
    return any(node.id in loop.body for loop in scope.program.loops(scope.fn))


def _is(value: ir.Expr, call: ir.Call) -> bool:
    while isinstance(value, ir.Cast):
        value = value.value
    return value is call


def _called(call: ir.Call) -> str:
    return call.name or ir.show(call.callee)


def stands(expr: ir.Expr) -> bool:
    """Whether a number is the page's own: its PFN or address, perhaps reckoned with."""
    match expr:
        case ir.Call():
            return _STANDS.search(expr.name) is not None
        case ir.Binary(left=left):
            return stands(left)
        case ir.Cast(value=value):
            return stands(value)
    return False


class Effect(Struct, frozen=True):
    """What a statement does to a thing.

    kind   "released", "kept" (put where it outlives the function, or handed to what is not in sight), "holds" (a local
           object has it now: `holder`), "lost" (the array that names it is freed)
    """

    kind: str
    line: int
    text: str
    holder: str = ""
    before: bool = False  # "released" as many as were had before the last call, by the same counter
    maker: str = ""  # "kept" by this call, unless it gives an error
    at: Place = ()  # where it is "kept"; what is freed, for "lost"


class Thing:
    """An acquired thing with all names of it in one function. With `only`, releases elsewhere are of something else."""

    def __init__(self, owners: Owners, scope: Scope, acquired: Acquired, only: frozenset[int] | None = None) -> None:
        self.owners, self.scope, self.acquired, self.only = owners, scope, acquired, only
        self.resource = owners.resource
        self.stored: frozenset[Place] = frozenset()  # names it has once it was stored there, behind the call
        self.names: frozenset[Place] = self._names()
        self._effects: dict[tuple[int, frozenset[str]], tuple[Effect, ...]] = {}
        self.outlives = any(self.lasting(each[0]) and (len(each) > 1 or self._array(each[0])) for each in self.names)

    def _array(self, root: str) -> bool:
        """A parameter that is itself what is filled: ``struct page **pages``; a variable of the file."""
        return root in self.scope.params or not self.scope.local(root)

    # -- names ---------------------------------------------------------------------------------

    def _names(self) -> frozenset[Place]:
        """Places that are the thing or made from it: aliases, elements, pointers got from it."""
        found = {self.acquired.place}
        stored: dict[Place, bool] = {}  # whether each store comes behind the call, and not before it too
        pairs = list(self._assignments())
        behind: frozenset[int] | None = None
        grown = 0
        while grown != len(found):
            grown = len(found)
            for node, target, value in pairs:
                there = place(target)
                if not there:
                    continue
                here = place(value)
                local = isinstance(target, ir.Name) and self.scope.local(target.name)
                if here and here in found:
                    if there in stored or not (local or there in found):
                        behind = self._behind() if behind is None else behind
                        stored[there] = stored.get(there, True) and node in behind
                    found.add(there)
                elif there in found and local and here and (len(here) > 1 or len(self.scope.values(there[0])) == 1):
                    found.add(here)  # pages = region->pages, pages = all + done
                elif local and self._made(there[0], value, found):
                    found.add(there)
        self.stored = frozenset(there for there, late in stored.items() if late)
        return frozenset(found)

    def _behind(self) -> frozenset[int]:
        """Nodes that come after the call, and from which no way leads back to it."""
        cfg, call = self.scope.cfg, self.acquired.node
        return flow.after(cfg, call) - flow.before(cfg, call)

    def _assignments(self) -> Iterator[tuple[int, ir.Expr, ir.Expr]]:
        """(node, target, value) of each."""
        for node in self.scope.cfg.nodes:
            for each in ir.walk(node.expr) if node.expr is not None else ():
                match each:
                    case ir.Assign(op="=", target=target, value=value):
                        yield node.id, target, value
                    case ir.Declare(name=name, value=ir.Expr() as value):
                        yield node.id, ir.Name(each.line, name), value

    def _made(self, name: str, value: ir.Expr, found: set[Place]) -> bool:
        """Whether a local gets a value made from the thing: no count, no errno, not the acquiring call itself."""
        type_ = self.scope.types.get(name, "")
        if "dma_addr_t" in type_:  # a device's address of a page keeps no page
            return False
        if counts(type_) and not stands(value):
            return False
        if any(call.name in self.resource.takes or _OTHER.search(call.name) for call in ir.calls(value)):
            return False
        return any(within(each, known) for each in places(value) for known in found)

    def lasting(self, root: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether what lies behind a variable is there after the function: a parameter's or global object."""
        if not self.scope.local(root) or (root in self.scope.params and "*" in self.scope.types.get(root, "")):
            return True
        if root in seen or root in self.scope.params or "*" not in self.scope.types.get(root, ""):
            return False
        for value in self.scope.values(root):
            if isinstance(value, ir.Call) and not place(value):
                if not _ALLOC.search(value.name):
                    return True
            elif any(self.lasting(each[0], seen | {root}) for each in places(value)):
                return True
        return any(self.lasting(each, seen | {root}) for each in self._iterated(root))

    def _iterated(self, root: str) -> Iterator[str]:
        """What an iterator variable runs over."""
        for node in self.scope.cfg.nodes:
            if node.at is ir.At.EACH and isinstance(node.expr, ir.Call):
                args = [place(arg)[:1] for arg in node.expr.args]
                if (root,) in args:
                    yield from (each[0] for each in args if each and each[0] != root)

    # -- effects -------------------------------------------------------------------------------

    def speaks(self, expr: ir.Expr, holders: frozenset[str]) -> bool:
        """Whether the thing, a part of it or a local object that has it stands in an expression."""
        return any(self.is_it(each, holders) for each in places(expr))

    def is_it(self, each: Place, holders: frozenset[str]) -> bool:
        return each[0] in holders or any(within(each, name) for name in self.names)

    def carries(self, expr: ir.Expr, holders: frozenset[str]) -> bool:
        """Whether who gets this gets the thing: itself, or a local object that it lies in."""
        where = place(expr)
        inside = bool(where) and not self.lasting(where[0]) and self._lies_in(where[:1], holders)
        if inside and len(where) > 1 and _ID.match(self.scope.type_of(expr)):
            inside = False  # a number in the object is not the object
        return (inside or self.speaks(expr, holders)) and not self._mere_number(expr)

    def _lies_in(self, where: Place, holders: frozenset[str]) -> bool:
        """Whether the thing is what a place is, or in the object that it is, by now."""
        return any(within(name, where) and self._by_now(name, holders) for name in self.names)

    def _by_now(self, name: Place, holders: frozenset[str]) -> bool:
        """Whether the thing goes by a name already, where `holders` have it."""
        return name not in self.stored or name[0] in holders or (STORED in holders and self.lasting(name[0]))

    def _mere_number(self, expr: ir.Expr) -> bool:
        """Whether a number in an object is all that is handed over, and cannot stand for the thing."""
        where = place(expr)
        if self.resource.numbered or len(where) < 2 or where in self.names:
            return False
        return NUMBER.match(self.scope.type_of(expr)) is not None

    def on(self, node: ir.Node, holders: frozenset[str] = frozenset({STORED})) -> tuple[Effect, ...]:
        """What a node does to the thing; `holders` are local objects that have it by now, STORED those that last."""
        key = (node.id, holders)
        if key not in self._effects:
            effects = () if node.expr is None else tuple(self._on(node, node.expr, holders))
            if self.only is not None and node.id not in self.only:
                effects = tuple(each for each in effects if each.kind != "released")
            self._effects[key] = effects
        return self._effects[key]

    def _on(self, node: ir.Node, expr: ir.Expr, holders: frozenset[str]) -> Iterator[Effect]:
        for each in ir.walk(expr):
            match each:
                case ir.Call() if each is not self.acquired.call:
                    yield from self._call(each, holders)
                case ir.Assign(op="=", target=target, value=value) if not isinstance(target, ir.Name):
                    yield from self._store(target, value, holders)
                case ir.Assign(op="=", target=ir.Name(name=name), value=value) if not self.scope.local(name):
                    yield from self._store(target=each.target, value=value, holders=holders)
                case ir.Assign(op="=", target=ir.Name(name=name), value=value) if name in holders:
                    pass
                case ir.Guard(kind=kind, args=(held, *_), leave=True) if self.speaks(held, holders):
                    if kind.removeprefix("free:") in self.resource.gives or _UNDO.search(kind.replace(":", "_")):
                        yield Effect("released", each.line, f"{ir.show(held)} is released at the end of its scope")
        if node.at is ir.At.RETURN and self.carries(expr, holders) and not counts(self.scope.fn.returns):
            yield Effect("kept", node.line, f"{ir.show(expr)} is returned")

    def _store(self, target: ir.Expr, value: ir.Expr, holders: frozenset[str]) -> Iterator[Effect]:
        if not self.carries(value, holders) or (isinstance(value, ir.Call) and not self._pointer(value)):
            return
        if counts(self.scope.type_of(value)) and place(value) not in self.names:
            return
        yield from self._into(target, ir.show(target), holders)

    def _pointer(self, call: ir.Call) -> bool:
        """Whether a call makes something of the thing that stands for it: an address, a PFN, another handle."""
        if call.name in self.resource.takes or call.name in self.resource.others or _MEMORY.match(call.name):
            return False
        return stands(call) or not counts(self.scope.type_of(call) or "x")

    def _into(self, target: ir.Expr, shown: str, holders: frozenset[str]) -> Iterator[Effect]:
        root = place(target)[:1]
        if not root or root[0] in holders:
            return
        if self.scope.local(root[0]) and any(within(place(target), name) for name in self.names if len(name) == 1):
            return  # an element of the array itself
        if self.lasting(root[0]):
            yield Effect("kept", target.line, f"it is kept in {shown}", at=place(target))
        else:
            yield Effect("holds", target.line, f"it is put into {shown}", root[0])
            for each in self._iterated(root[0]):
                if self.scope.local(each) and not self.lasting(each):
                    yield Effect("holds", target.line, f"it is put into {each}", each)

    def _call(self, call: ir.Call, holders: frozenset[str]) -> Iterator[Effect]:
        call = unwrapped(call)
        parts = [(at, place(arg)) for at, arg in enumerate(call.args)]
        values = [at for at, arg in enumerate(call.args) if self.speaks(arg, holders) and not self._mere_number(arg)]
        gives = self.resource.gives.get(call.name)
        if gives is not None:
            if any(at in values for at in gives):
                yield Effect("released", call.line, f"{call.name}() releases it", before=self._before(call, gives))
            return
        if (passes := self.resource.passes.get(call.name)) is not None:
            if any(at in values for at in passes):
                yield Effect("kept", call.line, f"{call.name}() takes it over", maker=call.name)
            return
        if FREE.match(call.name):
            for _, where in parts:
                if where and any(within(name, where) for name in self.names):
                    yield Effect("lost", call.line, f"{call.name}() frees what names it", at=where)
                    return
            return
        if call.name in LINKS:
            goes, into = LINKS[call.name]
            if max(goes, into) < len(call.args) and self.carries(call.args[goes], holders):
                yield from self._into(call.args[into], ir.show(call.args[into]), holders)
            return
        if call.name in self.resource.looks or any(each.match(call.name) for each in (BITS, _TALK, _MEMORY)):
            return
        objects = [at for at, where in parts if where and self._lies_in(where, holders)]
        if values or objects:
            yield from self._callee(call, parts, values, objects, holders)

    def _before(self, call: ir.Call, gives: tuple[int, ...]) -> bool:
        """Whether a release is of the array from its begin, as far as the counter behind which new pieces were put."""
        offset = self.acquired.offset
        whole = all(isinstance(peel(call.args[at]), (ir.Name, ir.Member)) for at in gives if at < len(call.args))
        return bool(offset) and whole and any(isinstance(arg, ir.Name) and arg.name == offset for arg in call.args)

    def _callee(
        self,
        call: ir.Call,
        parts: list[tuple[int, Place]],
        values: list[int],
        objects: list[int],
        holders: frozenset[str],
    ) -> Iterator[Effect]:
        fates = self.owners.fates(call.name, self.scope.fn.path, wide=bool(values))
        if not fates:
            if values:
                yield Effect("kept", call.line, f"it is handed to {_called(call)}(), which is not in sight")
            elif _UNDO.search(call.name):
                yield Effect("kept", call.line, f"{call.name}() may release it, and is not in sight")
            return
        where = dict(parts)
        for fate in fates:
            for at, fields in sorted(fate.released):
                if at in where and self._meant(where[at], fields, at in values, holders):
                    yield Effect("released", call.line, f"{call.name}() releases it")
                    return
        for fate in fates:
            for (at, fields), into in sorted(fate.kept):
                if at in where and self._goes(call.args[at], fields, at in values, holders):
                    maker = call.name if fate.makes else ""
                    if into == AWAY:
                        yield Effect("kept", call.line, f"{call.name}() puts it away", maker=maker)
                    elif into < len(call.args):
                        shown = f"{ir.show(call.args[into])} by {call.name}()"
                        for each in self._into(call.args[into], shown, holders):
                            yield replace(each, maker=maker)
        if values and any(fate.blind and self._blind(fate.blind) for fate in fates):
            unseen = next(each for fate in fates for each in fate.blind if self._blind((each,)))
            if _UNDO.search(unseen):
                yield Effect("kept", call.line, f"{call.name}() hands it to {unseen}(), which is not in sight")

    def _goes(self, arg: ir.Expr, fields: tuple[str, ...], value: bool, holders: frozenset[str]) -> bool:
        """Whether the thing goes where a part of an argument goes: it is in it, or is the object that is put away."""
        where = place(arg)
        if not where:
            return value
        if value or where[0] in holders:
            return self._meant(where, fields, True, holders)
        return not self.lasting(where[0]) and self.carries(arg, holders) and self._meant(where, fields, False, holders)

    def _blind(self, names: tuple[str, ...]) -> bool:
        return any(not _TALK.match(name) and not FREE.match(name) for name in names)

    def _meant(self, where: Place, fields: tuple[str, ...], value: bool, holders: frozenset[str]) -> bool:
        """Whether a part of an argument is the thing: the thing itself was handed, or the object it lies in."""
        if not where:
            return value
        if where[0] in holders or any(within(where, name) for name in self.names):
            return True
        part = (*where, *fields)
        return any(touch(part, name) and self._by_now(name, holders) for name in self.names)
