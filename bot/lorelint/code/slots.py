"""Fields that hold functions: of which structure the object of ``of->field`` is, who calls it, what it holds.

A field is named by its structure (``vfio_device_ops.ioctl``). Where the text does not tell the structure the field
stays unresolved, and is said; a name alone never leads anywhere, since hundreds of structures have an ``open``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lorelint.code.facts import POINTER, Assigned, Defined, Entry, Role, Through
from lorelint.code.lex import mask
from lorelint.code.links import Links, Spot

FILES = 2000  # files looked at for who fills or calls one field
MEMBERS = 60  # files that have a member of a name, after which the name alone tells nothing
HEADERS = 200  # looked at for the members that lead to a structure
SEVERAL = 4  # structures that a field may belong to, after which it is unresolved


class Slot(NamedTuple):
    """``field`` of ``struct tag``."""

    tag: str
    field: str

    @property
    def id(self) -> str:
        return f"{self.tag}.{self.field}"


class Caller(NamedTuple):
    """A call through a slot; `sure` is False where the field can be another structure's."""

    spot: Spot
    line: int
    times: int
    sure: bool


class Held(NamedTuple):
    """A function in a slot: the name, where it is put there, and the object."""

    path: str
    value: str
    line: int
    object: str


class Slots:
    """The slots of one tree."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.program = links.program
        self._holding: dict[str, frozenset[str]] = {}

    # -- structures

    def members(self, name: str) -> dict[str, dict[str, None]]:
        """Structures with a member of that name that leads on -> what it leads to; {} for a name that is too common."""
        paths, whole = self.links.players(name, Role.MEMBER, MEMBERS)
        found: dict[str, dict[str, None]] = {}
        for path in paths if whole else ():
            for row in self.program.facts(path).members:
                if row.name == name:
                    found.setdefault(row.struct, {})[row.target] = None
        return found

    def _follow(self, tag: str, name: str) -> str:
        """The structure that a member of a structure leads to, "" where that is not one."""
        return self.program.memo(("member", tag, name), lambda: self._member(tag, name))

    def _member(self, tag: str, name: str) -> str:
        self.links.warm((tag, name))
        having = self._having(name)
        found: dict[str, None] = {}
        for path in self.program.mentions(tag):
            if path in having:
                for row in self.program.facts(path).members:
                    if row.struct == tag and row.name == name and row.target != POINTER:
                        found[row.target] = None
        return next(iter(found)) if len(found) == 1 else ""

    def _having(self, name: str) -> frozenset[str]:
        """Files that may have a member of that name."""
        if name not in self._holding:
            self._holding[name] = frozenset(self.program.tree.holding(name, int(Role.MEMBER)))
        return self._holding[name]

    def leading(self, tag: str) -> Mapping[str, tuple[str, ...]]:
        """Members that lead to a structure, as headers have them: their names -> the structures they are members of."""
        return self.program.memo(("leading", tag), lambda: self._leading(tag))

    def _leading(self, tag: str) -> Mapping[str, tuple[str, ...]]:
        paths = [path for path in self.program.mentions(tag) if path.endswith(".h")]
        found: dict[str, dict[str, None]] = {}
        for path in paths[:HEADERS]:
            for row in self.program.facts(path).members:
                if row.target == tag:
                    found.setdefault(row.name, {})[row.struct] = None
        return {name: tuple(sorted(structs)) for name, structs in sorted(found.items())}

    def of_entry(self, row: Entry) -> Slot | None:
        """The slot that an entry of an initialiser fills; None where its type is not read."""
        tag = row.type.rpartition(" ")[2]
        *outer, last = row.field.split(".")
        for name in outer:
            tag = self._follow(tag, name) or f"{tag}.{name}" if tag else ""
        return Slot(tag, last) if tag else None

    def of(self, spot: Spot, row: Through | Assigned) -> tuple[Slot, ...]:
        """The slots that ``of->field`` can mean: one where the text tells, () where it is unresolved."""
        if row.of.startswith("struct "):
            return (Slot(row.of.removeprefix("struct "), row.field),)
        if row.of == "*":
            return ()
        key = ("slots", spot.path, spot.row.line, row.line, row.of, row.field)
        return self.program.memo(key, lambda: self._read(spot, row))

    def _read(self, spot: Spot, row: Through | Assigned) -> tuple[Slot, ...]:
        tag = self._by_text(spot, row)
        if tag:
            return (Slot(tag, row.field),)
        if not row.of:
            return ()
        # By the name of the member alone: structures it leads to, anywhere, that have such a function.
        having = {tag for tag, targets in self.members(row.field).items() if POINTER in targets}
        leads = {target for targets in self.members(row.of.removeprefix("->")).values() for target in targets}
        tags = sorted(having & leads)
        return tuple(Slot(tag, row.field) for tag in tags) if len(tags) <= SEVERAL else ()

    def _by_text(self, spot: Spot, row: Through | Assigned) -> str:
        """The structure by the declaration of the variable at the start of ``a->b->field``, "" where there is none."""
        text = self._function(spot)
        lines = text.split("\n")
        at = row.line - spot.row.first_line
        if not 0 <= at < len(lines):
            return ""
        near = " ".join(line.strip() for line in lines[max(0, at - 2) : at + 1])
        places = [found.start() for found in re.finditer(r"(?:->|\.)\s*" + re.escape(row.field) + r"\b", near)]
        chain = _chain(near[: places[-1]]) if places else []
        if not chain:
            return ""
        declared = re.search(
            r"\bstruct\s+(\w+)\s+(?:const\s+)?(?:\*\s*\w+\s*,\s*)*\**\s*(?:const\s+)?" + re.escape(chain[0]) + r"\b",
            text,
        )
        tag = declared.group(1) if declared is not None else self._at_file_scope(spot.path, chain[0])
        for name in chain[1:]:
            tag = self._follow(tag, name) if tag else ""
        return tag

    def _at_file_scope(self, path: str, name: str) -> str:
        """The structure of an object or pointer of the file, "" where there is none of that name."""
        raw = self.program.raw(path) or b""
        word = re.escape(name.encode("utf-8", "surrogateescape"))
        declared = re.search(
            rb"(?m)^(?:(?:static|extern|const|__\w++)\s++)*+struct\s++(\w++)\s*+[*\s]*+(?:const\s++)?" + word + rb"\b",
            raw,
        )
        return declared.group(1).decode("utf-8", "surrogateescape") if declared is not None else ""

    def _function(self, spot: Spot) -> str:
        def read() -> str:
            raw = self.program.raw(spot.path) or b""
            lines = raw.split(b"\n")[spot.row.first_line - 1 : spot.row.end_line]
            return mask(b"\n".join(lines)).decode("utf-8", "surrogateescape")

        return self.program.memo(("text of", spot.path, spot.row.first_line), read)

    # -- both ends of a slot

    def _files(self, slot: Slot) -> tuple[list[str], bool]:
        """Files that can fill a slot or call through it: they name the structure, or what leads to it.

        That is a member, or where its name is everywhere (``ops``), the structure that has it.
        """
        self.warm([slot])
        naming = {path for word in self._naming(slot) for path in self.program.mentions(word)}
        paths = [path for path in self.program.tree.holding(slot.field, int(Role.FIELD)) if path in naming]
        return paths[:FILES], len(paths) <= FILES

    def _naming(self, slot: Slot) -> set[str]:
        """The words of which a file has one that can mean a slot."""
        leading = self.leading(slot.tag)
        words = {slot.tag, *(name for name in leading if not self.links.hub(name))}
        return words | {struct for name, structs in leading.items() if name not in words for struct in structs}

    def warm(self, slots: Sequence[Slot], names: Iterable[str] = ()) -> None:
        """Let a tree without an index search at once for all that is asked about slots, and for some names."""
        self.links.warm([*(word for slot in slots for word in slot), *names])
        self.links.warm(name for slot in slots for name in self.leading(slot.tag))
        self.links.warm(word for slot in slots for word in self._naming(slot))

    def _meets(self, spot: Spot, row: Through | Assigned, slot: Slot) -> tuple[Slot, ...] | None:
        """The slots a row can mean if this is one of them; () where that is not known, None where it is not."""
        if row.of.startswith("struct "):
            return (slot,) if row.of.removeprefix("struct ") == slot.tag else None
        if row.of == "*":
            return None
        if row.of and row.of.removeprefix("->") not in self.leading(slot.tag):
            own = self.program.facts(spot.path).members
            if not any(each.target == slot.tag and each.name == row.of.removeprefix("->") for each in own):
                return None
        slots = self.of(spot, row)
        return slots if not slots or slot in slots else None

    def callers(self, slot: Slot) -> tuple[list[Caller], str]:
        """Who calls through a slot, by place; and what was not followed, "" for nothing."""
        paths, whole = self._files(slot)
        found: list[Caller] = []
        unresolved = 0
        for path in paths:
            for row in self.program.facts(path).functions:
                spot = Spot(path, row)
                rows = [(each, self._meets(spot, each, slot)) for each in row.through if each.field == slot.field]
                unresolved += sum(slots == () for _, slots in rows)
                hits = [(each, slots) for each, slots in rows if slots]
                if hits:
                    sure = any(len(slots) == 1 for _, slots in hits if slots)
                    found.append(Caller(spot, hits[0][0].line, len(hits), sure))
        notes = []
        if unresolved:
            notes.append(f"{unresolved} calls of a ->{slot.field}() whose structure is not known")
        if not whole:
            notes.append(f"looked at {FILES} of the files with a .{slot.field}")
        return found, "; ".join(notes)

    def held(self, slot: Slot) -> tuple[list[Held], bool]:
        """The functions that stand in a slot, each once, by place; and whether those are all."""
        return self.program.memo(("held", slot.tag, slot.field), lambda: self._held(slot))

    def _held(self, slot: Slot) -> tuple[list[Held], bool]:
        paths, whole = self._files(slot)
        found: dict[tuple[str, str], Held] = {}
        for path in paths:
            for each in self._held_in(path, slot):
                found.setdefault((each.path, each.value), each)
        return list(found.values()), whole

    def _held_in(self, path: str, slot: Slot) -> Iterator[Held]:
        facts = self.program.facts(path)
        for entry in facts.entries:
            if entry.field.rpartition(".")[2] == slot.field and self.of_entry(entry) == slot:
                yield Held(path, entry.value, entry.line, entry.object)
        for row in facts.assigned:
            if row.field == slot.field:
                spot = function_at(path, facts.functions, row.function, row.line)
                if spot is not None and self._meets(spot, row, slot) == (slot,):
                    yield Held(path, row.value, row.line, "")


def function_at(path: str, rows: tuple[Defined, ...], name: str, line: int) -> Spot | None:
    """The function of that name that holds a line."""
    for row in rows:
        if row.name == name and row.first_line <= line <= row.end_line:
            return Spot(path, row)
    return None


def _chain(text: str) -> list[str]:
    """The names of the member chain that ends a text: ``a``, ``b`` for ``.. a[i]->b``; [] after a call."""
    names: list[str] = []
    rest = text.rstrip()
    while True:
        while rest.endswith("]"):
            opened = rest.rfind("[")
            if opened < 0:
                return []
            rest = rest[:opened].rstrip()
        found = re.search(r"([A-Za-z_]\w*)\Z", rest)
        if found is None:
            return []
        names.append(found.group(1))
        rest = rest[: found.start()].rstrip()
        if rest.endswith("->"):
            rest = rest[:-2].rstrip()
        elif rest.endswith("."):
            rest = rest[:-1].rstrip()
        else:
            return names[::-1]
