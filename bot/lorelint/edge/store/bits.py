"""Which series have a tag, as bits: how many have several tags at once is counted without a look at any of them.

A tag has a row for each block of series that holds one with it. What stands in a row is a map of bits, or, of few
series, their places in the block as numbers of two bytes: the shorter of the two, so a full length tells which it is.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from lorelint.edge.store.rows import put
from lorelint.edge.store.schema import BITS

BLOCK = 8_192  # series
_FULL = BLOCK // 8  # bytes
_FEW = 16  # bytes, of eight series
Tag = tuple[str, str]  # kind, value
Set = dict[int, int]  # block -> bits of its series


class Marked(Struct, frozen=True):
    """A tag of a kind: the series that have it."""

    value: str
    blocks: tuple[tuple[int, bytes], ...]

    def within(self, chosen: Set) -> int:
        """How many of some series have it."""
        return sum(_among(raw, chosen[block]) for block, raw in self.blocks if block in chosen)

    def all(self) -> Set:
        return {block: _bits(raw) for block, raw in self.blocks}


def of_kinds(connection: Connection, kinds: Iterable[str]) -> dict[str, list[Marked]]:
    """All tags of some kinds."""
    found: dict[Tag, list[tuple[int, bytes]]] = defaultdict(list)
    asked = sa.select(BITS.c.kind, BITS.c.value, BITS.c.block, BITS.c.bits)
    for kind, value, block, raw in connection.execute(asked.where(BITS.c.kind.in_(sorted(set(kinds))))):
        found[kind, value].append((block, bytes(raw)))
    kept: dict[str, list[Marked]] = defaultdict(list)
    for (kind, value), blocks in found.items():
        kept[kind].append(Marked(value, tuple(blocks)))
    return kept


def of_tags(connection: Connection, tags: Iterable[Tag]) -> Set:
    """The series that have one of some tags."""
    found: Set = {}
    for kind, value in sorted(set(tags)):
        there = sa.select(BITS.c.block, BITS.c.bits).where(BITS.c.kind == kind, BITS.c.value == value)
        for block, raw in connection.execute(there):
            found[block] = found.get(block, 0) | _bits(bytes(raw))
    return found


def of_series(ids: Iterable[int]) -> Set:
    found: Set = defaultdict(int)
    for each in ids:
        found[each // BLOCK] |= 1 << each % BLOCK
    return dict(found)


def ids(chosen: Set) -> list[int]:
    """The series themselves, in order."""
    return [block * BLOCK + place for block, bits in sorted(chosen.items()) for place in _set(bits)]


def both(one: Set, other: Set) -> Set:
    return {block: bits & other[block] for block, bits in one.items() if block in other}


def size(chosen: Set) -> int:
    return sum(bits.bit_count() for bits in chosen.values())


def change(connection: Connection, moved: Mapping[Tag, Mapping[int, bool]]) -> None:
    """Tags -> series -> whether it has the tag now."""
    for (kind, value), series in sorted(moved.items()):
        by_block: dict[int, list[tuple[int, bool]]] = defaultdict(list)
        for each, there in series.items():
            by_block[each // BLOCK].append((each % BLOCK, there))
        for block, places in sorted(by_block.items()):
            _change(connection, kind, value, block, places)


def _change(connection: Connection, kind: str, value: str, block: int, places: list[tuple[int, bool]]) -> None:
    here = sa.and_(BITS.c.kind == kind, BITS.c.value == value, BITS.c.block == block)
    known = connection.scalar(sa.select(BITS.c.bits).where(here))
    bits = _bits(bytes(known)) if known is not None else 0
    for place, there in places:
        bits = bits | 1 << place if there else bits & ~(1 << place)
    if bits:
        put(connection, BITS, {"kind": kind, "value": value, "block": block, "bits": _raw(bits)}, _KEY)
    elif known is not None:
        connection.execute(sa.delete(BITS).where(here))


_KEY = ("kind", "value", "block")


def _raw(bits: int) -> bytes:
    if bits.bit_count() * 2 >= _FULL:
        return bits.to_bytes(_FULL, "little")
    return _little(array("H", _set(bits))).tobytes()


def _set(bits: int) -> Iterator[int]:
    """The places of bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _bits(raw: bytes) -> int:
    if len(raw) == _FULL:
        return int.from_bytes(raw, "little")
    held = bytearray(_FULL)
    for place in _little(array("H", raw)):
        held[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(held, "little")


def _among(raw: bytes, bits: int) -> int:
    """How many of those in a row are among some. A few are asked after one by one: most tags are of a few series."""
    if len(raw) <= _FEW:
        return sum(bits >> place & 1 for place in _little(array("H", raw)))
    return (_bits(raw) & bits).bit_count()


def _little(places: array[int]) -> array[int]:
    if sys.byteorder == "big":
        places.byteswap()
    return places
