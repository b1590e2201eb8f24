"""Call graphs, chains and siblings of one tree: names as a person gives them in, values out."""

from __future__ import annotations

from collections.abc import Sequence

from lorelint.code.chains import WITHIN, chains
from lorelint.code.facts import Role
from lorelint.code.graph import Calls, Growth, Key, between
from lorelint.code.links import Links
from lorelint.code.program import Program
from lorelint.kernel.entrances import entrances, families
from lorelint.kernel.load import knowledge, known_versions
from lorelint.model.entrances import Family
from lorelint.model.errors import LorelintError
from lorelint.model.graph import Chains, Graph
from lorelint.model.tree import Tree

LIMIT = 400  # nodes around functions
API_LIMIT = 4000  # nodes above an API, of which those on a way from an entry are kept
_NEAR = 200  # files looked through for a name that is like one that is not there
_SHOWN = 3

Version = tuple[int, int] | None


def graph(
    tree: Tree, functions: Sequence[str], version: Version, *, callers: int, callees: int, entry: str = ""
) -> Graph:
    """What leads to some functions and what they lead to; with `entry` only ways from such an entry.

    functions  ``name``, or ``path:name`` where several files define it
    Raises LorelintError for a function that is not there, or a kind of entry that does not exist.
    """
    calls = opened(tree, version)
    checked(calls, entry)
    calls.links.warm(each.rpartition(":")[2] for each in functions)
    roots = [key for each in functions for key in named(calls, each)]
    growth = Growth(calls, API_LIMIT if entry else LIMIT)
    growth.start(roots)
    growth.grow(roots, callers, up=True)
    growth.grow(roots, callees, up=False)
    title = ", ".join(dict.fromkeys(f"{key.name}()" for key in roots))
    if not entry:
        return growth.graph(title, callers, callees)
    return between(growth.graph(f"{title} from {entry}", callers, callees), entry)


def api_graph(tree: Tree, api: str, version: Version, *, callers: int, entry: str = "") -> Graph:
    """Who reaches the functions of a family of APIs from an entry. Raises LorelintError as `graph`."""
    calls = opened(tree, version)
    checked(calls, entry)
    family = family_of(calls, api)
    calls.links.warm(sorted(family.functions))
    roots = [key for name in sorted(family.functions) for key in calls.keys(name)]
    growth = Growth(calls, API_LIMIT, closed=True)
    growth.start(roots)
    growth.grow(roots, callers, up=True)
    title = f"who reaches the {family.name} API" + (f" from {entry}" if entry else "")
    return between(growth.graph(title, callers, 0), entry)


def path(tree: Tree, source: str, target: str, version: Version, *, most: int, within: int = WITHIN) -> Chains:
    """The ways from one function to another. Raises LorelintError as `graph`."""
    calls = opened(tree, version, entered=False)
    calls.links.warm(each.rpartition(":")[2] for each in (source, target))
    return chains(calls, named(calls, source), named(calls, target), most, within)


def opened(tree: Tree, version: Version, *, entered: bool = True) -> Calls:
    """The calls of a tree."""
    know = knowledge(version or known_versions()[-1])
    return Calls(Links(Program(tree, know)), entrances(know), families(know), entered=entered)


def named(calls: Calls, function: str) -> tuple[Key, ...]:
    """All functions (else macros) that a person means. Raises LorelintError where there is none."""
    path, _, name = function.rpartition(":")
    found = calls.keys(name, path)
    if found:
        return found
    tree = calls.program.tree.name
    elsewhere = [key.where for key in calls.keys(name)] if path else []
    if elsewhere:
        remedy = f"it is defined in {', '.join(elsewhere[:_SHOWN])}"
    else:
        near = _like(calls, name, path)
        remedy = f"there is {', '.join(near)}" if near else "check the name, and --tree"
    raise LorelintError(f"no such function in {path or tree}", where=name or function, remedy=remedy)


def _like(calls: Calls, name: str, path: str) -> list[str]:
    """Names of functions that are like one: by a slip of the hand, anywhere; else out of the file that was named, or
    out of files whose path has its words."""
    import difflib

    program = calls.program
    slips = () if path else _slips(name)
    calls.links.warm(slips)
    meant = [each for each in slips if calls.links.players(each, Role.DEFINED, 1)[0]]
    if meant:
        return meant[:_SHOWN]
    paths = (path,) if path else _by_words(program.tree.files(), name)
    names = {row.name for each in paths[:_NEAR] for row in program.facts(each).functions}
    return difflib.get_close_matches(name, sorted(names), n=_SHOWN, cutoff=0.7)


def _slips(name: str) -> tuple[str, ...]:
    """Names that become this one when two neighbours change places, or a letter is typed twice or too much."""
    swapped = {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}
    fewer = {name[:at] + name[at + 1 :] for at in range(len(name))}
    return tuple(sorted(each for each in (swapped | fewer) - {name} if len(each) > 2))


def _by_words(paths: Sequence[str], name: str) -> tuple[str, ...]:
    """Files whose path has a first part of the name in it: the longest that any has."""
    words = name.strip("_").split("_")
    for count in range(len(words), 0, -1):
        stem = "_".join(words[:count])
        found = tuple(path for path in paths if stem in path.replace("-", "_"))
        if found and len(stem) > 1:
            return found
    return ()


def checked(calls: Calls, entry: str) -> None:
    """Raises LorelintError for a kind of entry that does not exist."""
    kinds = calls.entrances.kinds
    if entry and entry not in kinds:
        raise LorelintError("no such kind of entry", where=entry, remedy=f"known: {', '.join(kinds)}")


def family_of(calls: Calls, name: str) -> Family:
    """The family of that name. Raises LorelintError."""
    for each in calls.families:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in calls.families)
    raise LorelintError("no such family of APIs", where=name, remedy=f"known: {known}")
