"""Who gets a letter: the author in any case, maintainers and lists where a list's policy opens the door to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from msgspec import Struct

from lorelint.model.policy import Audience, ListPolicy, Ruling

Person = tuple[str, str]  # (name, address)


class Reach(Struct, frozen=True):
    """Who could be written to: who is on the patch's mail, and whom MAINTAINERS names for its files."""

    author: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    maintainers: tuple[Person, ...]


def recipients(
    reach: Reach, lists: Sequence[ListPolicy], no_mail: Set[str]
) -> tuple[tuple[Person, ...], tuple[Person, ...], tuple[Ruling, ...]]:
    """To, Cc, and which line let each of them in; `no_mail` holds addresses in lower case.

    Somebody whom no list's policy lets in is not written to, whoever put him on the patch's mail.
    """
    if not lists:
        return (), (), ()
    doors = {address: ruling for one in reversed(lists) for address, ruling in _doors(one, reach)}
    names = {address.lower(): name for name, address in reversed((reach.author, *reach.to, *reach.cc))}
    asked = _in_order(reach, lists)
    let_in = [person for person in asked if person[1].lower() in doors and person[1].lower() not in no_mail]
    author = reach.author[1].lower()
    to = tuple((names.get(each[1].lower(), each[0]), each[1]) for each in let_in if each[1].lower() == author)
    cc = tuple((names.get(each[1].lower(), each[0]), each[1]) for each in let_in if each[1].lower() != author)
    why = [doors[each[1].lower()] for each in (*to, *cc)]
    why += _left_out(asked, doors, no_mail)
    # A mail needs somebody it is to: where the author is not written to, the first of the others.
    return (to or cc[:1]), (cc if to else cc[1:]), tuple(why)


def _in_order(reach: Reach, lists: Sequence[ListPolicy]) -> list[Person]:
    """Everybody who could be written to, as the patch's mail names them first, each once."""
    more = [("", each) for one in lists for each in (one.address, *one.also_to)]
    people: dict[str, Person] = {}
    for person in (reach.author, *reach.to, *reach.cc, *reach.maintainers, *more):
        if "@" in person[1]:
            people.setdefault(person[1].lower(), person)
    return list(people.values())


def _doors(one: ListPolicy, reach: Reach) -> Iterator[tuple[str, Ruling]]:
    """Whom a list's policy lets in; what comes later counts where an address comes twice."""
    lines = dict(one.lines)
    audience = f'list.{one.name}.audience = "{one.audience}"'
    line = lines.get("audience", one.line)
    for address in one.also_to:
        text = f"{address} gets it, by list.{one.name}.also_to"
        yield address.lower(), Ruling(text, lines.get("also_to", one.line))
    if one.audience is Audience.LIST:
        yield one.address.lower(), Ruling(f"{one.address} gets it: the list, by {audience}", line)
    if one.audience in (Audience.LIST, Audience.MAINTAINERS):
        for _, address in reach.maintainers:
            text = f"{address} gets it: MAINTAINERS names it for the files, by {audience}"
            yield address.lower(), Ruling(text, line)
    author = reach.author[1]
    yield author.lower(), Ruling(f"{author} gets it: the author, by {audience}", line)


def _left_out(asked: Iterable[Person], doors: dict[str, Ruling], no_mail: Set[str]) -> Iterator[Ruling]:
    refused = [address for _, address in asked if address.lower() in no_mail]
    strangers = [address for _, address in asked if address.lower() not in no_mail and address.lower() not in doors]
    for address in refused:
        yield Ruling(f"{address} gets nothing: our own address, or it wants no mail")
    for address in strangers:
        yield Ruling(f"{address} gets nothing: no line lets it in")
