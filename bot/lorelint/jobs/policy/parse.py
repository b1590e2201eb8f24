"""The policy file, strictly: what is not understood lets nothing out.

An unknown key, a value of the wrong kind, a list that is to get mail without anybody who asked for it: each is an error
that names file, line, key and remedy. Every value remembers its line, so that `policy explain` can name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomli

from lorelint.jobs.policy import kinds
from lorelint.jobs.policy.kinds import Kind, Wrong
from lorelint.jobs.policy.lines import Path, lines_of
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Severity
from lorelint.model.policy import Audience, ListPolicy, Policy

LARGEST = 1 << 20  # characters of a policy file

_HOUSE: Mapping[str, Kind] = {
    "sender": kinds.ADDRESS,
    "sender_name": kinds.TEXT,
    "domain": kinds.DOMAIN,
    "contact": kinds.ADDRESS,
    "dry_run": kinds.FLAG,
    "hourly_cap": kinds.whole(0, 1_000),
    "stop_file": kinds.PLACE,
    "ignored_authors": kinds.SENDERS,
    "opted_out": kinds.ADDRESSES,
}
_LIST: Mapping[str, Kind] = {
    "address": kinds.ADDRESS,
    "asked_by": kinds.TEXT,
    "asked_on": kinds.DAY,
    "audience": kinds.word((each.value for each in Audience), Audience),
    "stage": kinds.word(("queue", "list")),
    "release": kinds.word(("person", "automatic")),
    "minimum_confidence": kinds.number(0, 1),
    "minimum_severity": kinds.word((each.value for each in Severity), Severity),
    "base": kinds.word((each.value for each in Grade), Grade),
    "embargo_hours": kinds.number(0, 24 * 365),
    "daily_cap": kinds.whole(0, 1_000),
    "max_age_days": kinds.number(0, 365),
    "floor": kinds.number(0, 1),
    "also_to": kinds.ADDRESSES,
    "patchwork": kinds.LINK,
}


def parse(text: str, where: str) -> Policy:
    """The policy in the text of a file called `where`. Raises LorelintError where it is not one."""
    if len(text) > LARGEST:
        raise LorelintError("is too large for a policy", where=where, remedy=f"it may have {LARGEST} characters")
    try:
        values = tomli.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is no TOMLDecodeError
        raise LorelintError(f"not TOML: {error}", where=where, remedy="mend the line it names") from error
    reader = _Reader(where, lines_of(text))
    tables = values.pop("list", {})
    if not isinstance(tables, dict):
        raise reader.error(("list",), "list is not a table", "start a list's table with [list.NAME]")
    house = reader.read((), values, _HOUSE)
    lists = tuple(reader.list_policy(name, table) for name, table in tables.items())
    top = tuple((path[0], line) for path, line in reader.lines.items() if len(path) == 1 and path[0] in _HOUSE)
    policy = Policy(where=where, lists=lists, lines=top, **house)
    _agree(policy, reader)
    if policy.sender and not policy.domain:
        house["domain"] = policy.sender.rpartition("@")[2]
    return Policy(where=where, lists=lists, lines=top, **house)


class _Reader:
    def __init__(self, where: str, lines: Mapping[Path, int]) -> None:
        self.where = where
        self.lines = lines

    def line(self, path: Path) -> int:
        """Of a key, or of the table it would stand in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: Path, what: str, remedy: str) -> LorelintError:
        return LorelintError(what, where=f"{self.where}:{self.line(path)}", remedy=remedy)

    def read(self, table: Path, values: Mapping[str, Any], known: Mapping[str, Kind]) -> dict[str, Any]:
        """The values of one table, each of its kind."""
        taken: dict[str, Any] = {}
        for key, value in values.items():
            name = ".".join((*table, key))
            if key not in known:
                have = ", ".join((*known, "list.NAME") if not table else known)
                raise self.error((*table, key), f"unknown key {name!a}", f"the keys are {have}")
            try:
                taken[key] = known[key].take(value)
            except Wrong:
                wanted = known[key].wanted
                raise self.error((*table, key), f"{name} is not {wanted}", f"write {wanted}") from None
        return taken

    def list_policy(self, name: str, values: Any) -> ListPolicy:
        table = ("list", name)
        if not isinstance(values, dict):
            raise self.error(table, f"list.{name} is not a table".replace("\n", " "), "start it with [list.NAME]")
        taken = self.read(table, values, _LIST)
        if not taken.get("address"):
            remedy = 'write address = "LIST@HOST", the address to which patches are sent'
            raise self.error(table, f"{'.'.join(table)} has no address", remedy)
        lines = tuple((path[2], line) for path, line in self.lines.items() if path[:2] == table and len(path) == 3)
        return ListPolicy(name=name, line=self.line(table), lines=lines, **taken)


def _agree(policy: Policy, reader: _Reader) -> None:
    """What must hold between values. Raises LorelintError."""
    for one in policy.lists:
        for key, what, remedy in (*_quiet(one), *_loud(one, policy)):
            name = ".".join(("list", one.name, key))
            raise reader.error(("list", one.name, key), f"{name}: {what}", remedy)
    _once(policy.lists, reader)


def _quiet(one: ListPolicy) -> Iterator[tuple[str, str, str]]:
    """What makes no sense where nobody gets mail: (key, what is wrong, remedy)."""
    if one.audience is Audience.DASHBOARD and one.also_to:
        yield "also_to", 'nobody gets mail while audience is "dashboard"', "take it out, or widen the audience"
    if one.patchwork and one.audience is not Audience.LIST:
        yield "patchwork", "everybody can read the checks of a patch", 'it needs audience = "list"'
    elif one.patchwork and one.release != "automatic":
        yield "patchwork", "no person releases checks", 'it needs release = "automatic"'


def _loud(one: ListPolicy, policy: Policy) -> Iterator[tuple[str, str, str]]:
    """What must be known before anybody gets mail."""
    if one.audience is Audience.DASHBOARD:
        return
    asked = f'audience = "{one.audience}" lets words out that nobody asked for'
    if not one.asked_by.strip():
        yield "audience", asked, 'write asked_by = "who of the list wanted it", and asked_on = the day'
    if not one.asked_on:
        yield "audience", asked, "write asked_on = 2026-11-02, the day on which they asked"
    if not policy.sender:
        yield "audience", "there is no address that mail could be from", 'write sender = "NAME@HOST" at the top'
    if not policy.contact:
        yield "audience", "no person answers for the bot", 'write contact = "NAME@HOST" at the top'


def _once(lists: Sequence[ListPolicy], reader: _Reader) -> None:
    seen: dict[str, str] = {}
    for one in lists:
        for each in dict.fromkeys((one.name.lower(), one.address.lower())):
            if each in seen:
                what = f"{each} stands in list.{seen[each]} already"
                raise reader.error(("list", one.name, "address"), what, "a list has one table")
            seen[each] = one.name
