"""The knowledge files, read once, checked, and cut to a kernel version.

The shape of the files is explained by their own comments: lists (`locks.toml` and others), facts of
calls (`calls.toml`), sections and guards (`sections.toml`), versions (`versions.toml`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from lorelint.kernel.source import Source, Span, Version, span
from lorelint.model.errors import LorelintError
from lorelint.model.knowledge import CallFact, Guard, Knowledge, Section, When

# Lists that name what a file of facts is about: a fact on a name in none of them is a typing error.
CALL_LISTS = ("signal_check_by_callee", "mm_lock_dropping_callees_if_asked")
SECTION_LISTS = ("lock_acquire", "atomic_openers")
GUARD_LIST = "guard_names"
# Files of another shape; the last two are read by `entrances`.
NO_LISTS = ("versions.toml", "calls.toml", "sections.toml", "entrances.toml", "families.toml")


class Facts(Struct, frozen=True):
    """Everything the files say, for all versions."""

    checked: tuple[Version, ...]
    lists: Mapping[str, tuple[tuple[str, Span], ...]]
    calls: tuple[tuple[CallFact, Span], ...]
    sections: tuple[Section, ...]
    guards: tuple[Guard, ...]

    def nearest(self, version: Version) -> Version:
        """The newest checked version that is not newer; the oldest for anything older."""
        return max((each for each in self.checked if each <= version), default=self.checked[0])

    def at(self, version: Version) -> Knowledge:
        """What holds for one kernel version."""
        near = self.nearest(version)
        lists = {
            name: frozenset(each for each, when in members if when.holds(near)) for name, members in self.lists.items()
        }
        openers = frozenset().union(*(lists[name] for name in SECTION_LISTS))
        sections = {each.opener: each for each in self.sections if each.opener in openers}
        guards = {each.name: each for each in self.guards if each.name in lists[GUARD_LIST]}
        calls = {fact.name: fact for fact, when in self.calls if when.holds(near)}
        return Knowledge(
            version=near,
            lists=MappingProxyType(lists),
            calls=MappingProxyType(calls),
            sections=MappingProxyType(sections),
            guards=MappingProxyType(guards),
        )


@cache
def _facts() -> Facts:
    return read(Path(__file__).parent)


@cache
def knowledge(version: tuple[int, int]) -> Knowledge:
    """What we know of one kernel version, e.g. ``(6, 12)``.

    A version between two known ones is answered by the older of them, one newer than all by the newest,
    one older than all by the oldest; `Knowledge.version` tells which. Raises LorelintError, with file and
    line, when the data is broken.
    """
    return _facts().at(version)


def known_versions() -> tuple[tuple[int, int], ...]:
    """The versions the lists were checked against, oldest first."""
    return _facts().checked


def read(folder: Path) -> Facts:
    """All files of a folder. Raises LorelintError for an unknown key, a duplicate, a bad version, a dangling name."""
    checked = _versions(Source.read(folder / "versions.toml"))
    lists: dict[str, tuple[tuple[str, Span], ...]] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name in NO_LISTS:
            continue
        source = Source.read(path)
        for name, table in source.data.items():
            if name in lists:
                source.refuse(f"list '{name}' stands in another file too", f"[{name}]")
            lists[name] = _list(source, name, table, checked)
    for name in (*CALL_LISTS, *SECTION_LISTS, GUARD_LIST):
        if name not in lists:
            raise LorelintError(f"list '{name}' is missing", where=folder.name)
    names = {name: frozenset(each for each, _ in members) for name, members in lists.items()}
    calls = _calls(
        Source.read(folder / "calls.toml"), frozenset().union(*(names[each] for each in CALL_LISTS)), checked
    )
    source = Source.read(folder / "sections.toml")
    source.only(source.data, ("section", "guard"))
    sections = _sections(source, names)
    guards = _guards(source, names[GUARD_LIST])
    return Facts(checked, MappingProxyType(lists), calls, sections, guards)


def _versions(source: Source) -> tuple[Version, ...]:
    source.only(source.data, ("checked",))
    versions = tuple(source.version(each, str(each)) for each in source.texts(source.data, "checked"))
    if list(versions) != sorted(versions):
        source.refuse("versions must stand oldest first", "checked")
    return versions


def _list(source: Source, name: str, table: Any, checked: tuple[Version, ...]) -> tuple[tuple[str, Span], ...]:
    header = f"[{name}]"
    if not isinstance(table, dict):
        source.refuse(f"'{name}' is not a list of names", name)
    source.only(table, ("names",), header)
    entries = table.get("names")
    if not isinstance(entries, list) or not entries:
        source.refuse("'names' must be a list that is not empty", header)
    members: list[tuple[str, Span]] = []
    spans: dict[str, list[Span]] = {}
    for entry in entries:
        row = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            source.refuse('an entry must be a name or { name = "...", since = "...", until = "..." }', header)
        word = row["name"]
        needles = (header, f'"{word}"')
        source.only(row, ("name", "since", "until"), *needles)
        if not word.isidentifier():
            source.refuse(f"{word!r} is not an identifier of C", *needles)
        when = span(source, row, checked, *needles)
        others = spans.setdefault(word, [])
        if any(when.meets(other) for other in others):
            source.refuse(f"'{word}' stands twice", *needles, f'"{word}"')
        others.append(when)
        members.append((word, when))
    return tuple(members)


_CALL_KEYS = ("names", "since", "until", "signal", "signal_when", "codes", "drops", "drops_when", "held", "told_by")


def _calls(source: Source, known: frozenset[str], checked: tuple[Version, ...]) -> tuple[tuple[CallFact, Span], ...]:
    source.only(source.data, ("call",))
    facts: list[tuple[CallFact, Span]] = []
    spans: dict[str, list[Span]] = {}
    for table, here in source.tables("call"):
        source.only(table, _CALL_KEYS, *here)
        when = span(source, table, checked, *here)
        for name in source.texts(table, "names", *here):
            needles = (*here, f'"{name}"')
            if name not in known:
                source.refuse(f"'{name}' is in none of the lists {', '.join(CALL_LISTS)}", *needles)
            others = spans.setdefault(name, [])
            if any(when.meets(other) for other in others):
                source.refuse(f"'{name}' has facts already", *needles)
            others.append(when)
            facts.append((_call(source, table, name, here), when))
    return tuple(facts)


def _call(source: Source, table: dict[str, Any], name: str, here: tuple[str, ...]) -> CallFact:
    signal = source.word(table, "signal", ("", "fatal", "any"), *here)
    drops = source.flag(table, "drops", *here)
    if not signal and not drops:
        source.refuse("a call needs 'signal' or 'drops'", *here)
    return CallFact(
        name=name,
        ends_on_signal=signal,
        signal_when=_when(source, table, "signal_when", here),
        signal_codes=source.texts(table, "codes", *here) if signal else (),
        drops_mmap_lock=drops,
        drops_when=_when(source, table, "drops_when", here),
        holds_on_return=source.flag(table, "held", *here),
        told_by=source.number(table, "told_by", *here),
    )


def _when(source: Source, table: dict[str, Any], key: str, here: tuple[str, ...]) -> When | None:
    condition = table.get(key)
    if condition is None:
        return None
    if not isinstance(condition, dict):
        source.refuse(f"'{key}' must be a table", *here, key)
    source.only(condition, ("argument", "test", "flags"), *here, key)
    test = source.word(condition, "test", ("not-null", "flag"), *here, key)
    argument = source.number(condition, "argument", *here, key)
    if argument == 0:
        source.refuse(f"'{key}' must name an argument, counted from 1", *here, key)
    if (test == "flag") != ("flags" in condition):
        source.refuse("'flags' and test = \"flag\" go together", *here, key)
    flags = source.texts(condition, "flags", *here, key) if test == "flag" else ()
    return When(argument, test, flags)


_MODES = ("", "read", "write")


def _sections(source: Source, names: Mapping[str, frozenset[str]]) -> tuple[Section, ...]:
    known = frozenset().union(*(names[each] for each in SECTION_LISTS))
    found: dict[str, Section] = {}
    for table, here in source.tables("section"):
        source.only(table, ("kind", "mode", "open", "close", "argument", "opens"), *here)
        closers = frozenset(source.texts(table, "close", *here))
        for opener in source.texts(table, "open", *here):
            if opener not in known:
                source.refuse(f"'{opener}' is in none of the lists {', '.join(SECTION_LISTS)}", *here, f'"{opener}"')
            if opener in found:
                source.refuse(f"'{opener}' opens a section already", *here, f'"{opener}"')
            found[opener] = Section(
                opener=opener,
                closers=closers,
                kind=_kind(source, table, here),
                mode=source.word(table, "mode", _MODES, *here),
                atomic=opener in names["atomic_openers"],
                argument=source.number(table, "argument", *here),
                opens=source.word(table, "opens", ("always", "on-zero", "on-nonzero"), *here),
            )
    if missing := sorted(known - frozenset(found)):
        source.refuse(f"nothing closes {', '.join(missing)}", remedy="give each a [[section]]")
    return tuple(found.values())


def _guards(source: Source, known: frozenset[str]) -> tuple[Guard, ...]:
    found: dict[str, Guard] = {}
    for table, here in source.tables("guard"):
        source.only(table, ("names", "kind", "mode", "atomic", "conditional", "signal"), *here)
        for name in source.texts(table, "names", *here):
            if name not in known:
                source.refuse(f"'{name}' is not in the list {GUARD_LIST}", *here, f'"{name}"')
            if name in found:
                source.refuse(f"guard '{name}' stands twice", *here, f'"{name}"')
            found[name] = Guard(
                name=name,
                kind=_kind(source, table, here),
                mode=source.word(table, "mode", _MODES, *here),
                atomic=source.flag(table, "atomic", *here),
                conditional=source.flag(table, "conditional", *here),
                signal=source.word(table, "signal", ("", "fatal", "any"), *here),
            )
    if missing := sorted(known - frozenset(found)):
        source.refuse(f"no [[guard]] says what {', '.join(missing)} takes")
    return tuple(found.values())


def _kind(source: Source, table: dict[str, Any], here: tuple[str, ...]) -> str:
    kind = table.get("kind")
    if not isinstance(kind, str) or not kind:
        source.refuse("'kind' must name a class of lock", *here)
    return kind
