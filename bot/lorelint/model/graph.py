"""The calls around some functions, as values: what is drawn, printed and written."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class NodeKind(StrEnum):
    """What a node stands for."""

    FUNCTION = "function"
    MACRO = "macro"  # a function-like macro that calls
    SLOT = "slot"  # a field of a structure that holds functions, and through which they are called
    ENTRY = "entry"  # where the kernel is entered: an ioctl of a table, a work item, an interrupt


class EdgeKind(StrEnum):
    """How one leads to the other; all but CALL are indirect."""

    CALL = "call"  # by name
    BIND = "bind"  # a slot or an entry holds the function
    THROUGH = "through"  # a function calls what a slot holds
    HANDED = "handed"  # a function hands another one on, to be called by a third


class Node(Struct, frozen=True):
    """One function, macro, slot or entry.

    id      unique in the graph, the same in every run: ``mm/memory.c:follow_pfnmap_start``,
            ``include/linux/pgtable.h:#pgd_offset`` for a macro, ``vfio_device_ops.ioctl``
    name    as a person says it; of an entry: the table and field, or what the function is handed to
    path    where it is, "" for a slot; `line` from 1, 0 for a slot
    part    the subsystem, by its folder: ``mm``, ``drivers/vfio``
    root    it was asked about
    api     the family of an API whose function this is (``gup``), "" for none
    entry   the kind of an entry (``ioctl``, ``work``), "" for anything else
    note    what was not followed here and why, "" where all was
    """

    id: str
    kind: NodeKind
    name: str
    path: str = ""
    line: int = 0
    part: str = ""
    root: bool = False
    api: str = ""
    entry: str = ""
    note: str = ""


class Edge(Struct, frozen=True):
    """From the one that calls to the one that is called.

    path, line  the first place; `count` places in all
    label       of BIND: the object that holds the function; of HANDED: what it is handed to
    sure        False where the name or the field can mean others as well
    """

    source: str
    target: str
    kind: EdgeKind
    path: str
    line: int
    count: int = 1
    label: str = ""
    sure: bool = True


class Cut(Struct, frozen=True):
    """Something that was not followed; `node` is "" where it is about the whole."""

    node: str
    text: str


class Graph(Struct, frozen=True):
    """Nodes in the order in which they were found, from the roots outwards; edges in the order of their nodes.

    title    what was asked: ``follow_pfnmap_start()``, ``the dmabuf API``
    tree     the tree's name
    callers  levels looked at upwards, `callees` downwards
    """

    title: str
    tree: str
    callers: int
    callees: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cuts: tuple[Cut, ...] = ()


class Chain(Struct, frozen=True):
    """One way from a function to another: nodes, and the edge between each and the next."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Chains(Struct, frozen=True):
    """The ways from one function to another, shortest first; none where there is none within `within` calls.

    more  there are others, longer ones
    """

    source: str
    target: str
    tree: str
    within: int
    chains: tuple[Chain, ...]
    more: bool
    cuts: tuple[Cut, ...] = ()


class Caller(Struct, frozen=True):
    """One place where a function is called, and how its result is used there."""

    path: str
    line: int
    function: str
    facts: tuple[str, ...] = ()


class Shape(Struct, frozen=True):
    """Callers that use a function in the same way; `heading` says how, in words."""

    heading: str
    callers: tuple[Caller, ...]


class Siblings(Struct, frozen=True):
    """The callers of a function, by shape."""

    function: str
    path: str
    line: int
    tree: str
    shapes: tuple[Shape, ...]
    cuts: tuple[Cut, ...] = ()


class Spot(Struct, frozen=True):
    """Where a node's middle is and how large it is, in points from the upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Layout(Struct, frozen=True):
    """Where a drawing program put things; points.

    spots   by node id
    curves  for each edge of the graph, in order: the points of a cubic Bezier curve, (3n + 1) of them
    """

    width: float
    height: float
    spots: dict[str, Spot]
    curves: tuple[tuple[tuple[float, float], ...], ...]


class Drawer(Protocol):
    """A program that lays out graphs."""

    def lay(self, dot: str, nodes: Sequence[str], edges: int) -> Layout:
        """Where the nodes (``n0``, ``n1`` ..) and edges of a text in the DOT language go. Raises LorelintError."""
