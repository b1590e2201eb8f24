"""The queue of series: filters with counts, order, pages by key; saved views, one's area; decisions about many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import RedirectResponse, Response

from lorelint.jobs import triage
from lorelint.jobs.life import later
from lorelint.model.queue import OPEN, STATES, Filter, Sort
from lorelint.model.store import Session
from lorelint.web import render
from lorelint.web.visit import Refused, Visit, local

ROWS = 50
CHOICES = 12  # of a facet that are offered before the rest is asked for by name
SNOOZES = (("1", "a day"), ("3", "3 days"), ("7", "a week"), ("14", "2 weeks"), ("30", "a month"))
_FACETS = (
    ("inbox", "List"),
    ("subsystem", "Subsystem"),
    ("severity", "Severity"),
    ("rule", "Rule"),
    ("version", "Version"),
)
_LONGEST = 200  # characters of a value in the query
Under = tuple[str, str, int]  # kind, value, how many series under the other filters
_ORDER = {"error": 0, "warning": 1, "note": 2}


class Choice(Struct, frozen=True):
    """One value of a facet: `query` is that of the page with it (or without it, where it is chosen)."""

    text: str
    count: int
    query: str
    chosen: bool


class Facet(Struct, frozen=True):
    """One filter."""

    name: str
    title: str
    choices: tuple[Choice, ...]
    more: int  # values that are not offered


def filter_of(asked: Mapping[str, str], own: Sequence[str], me: str) -> Filter:
    """What a query asks for; values that are none of ours ask for nothing. `own`: subsystems and lists of `me`."""
    state = asked.get("state", OPEN)
    sort = asked.get("sort", Sort.GRAVEST.value)
    values = {name: asked.get(name, "")[:_LONGEST] for name, _ in _FACETS}
    return Filter(
        state=state if state in STATES else OPEN,
        mine=tuple(own) if asked.get("mine") == "1" else None,
        me=me if asked.get("mine") == "1" else "",
        text=asked.get("q", "").strip()[:_LONGEST],
        sort=Sort(sort) if sort in list(Sort) else Sort.GRAVEST,
        **values,
    )


def values_of(wanted: Filter) -> dict[str, object]:
    """The query that asks for it."""
    values: dict[str, object] = {name: getattr(wanted, name) for name, _ in _FACETS}
    values |= {"state": "" if wanted.state == OPEN else wanted.state, "q": wanted.text}
    values |= {"sort": "" if wanted.sort is Sort.GRAVEST else wanted.sort.value, "mine": int(wanted.mine is not None)}
    return values


def show(visit: Visit) -> Response:
    """The page itself."""
    with visit.look() as session:
        own = session.steps.area(visit.user.name)
        wanted = filter_of(visit.asked, own, visit.user.name)
        values = values_of(wanted)
        found = session.queue.page(
            wanted, most=ROWS, after=visit.asked.get("after", ""), before=visit.asked.get("before", "")
        )
        letters = session.sights.letters_of([entry.series for entry in found.entries])
        counts = session.queue.under(wanted, "state", *(name for name, _ in _FACETS))
        return visit.show(
            session,
            "queue.html",
            wanted=wanted,
            values=values,
            found=found,
            letters=letters,
            count=session.queue.count(wanted),
            named=session.queue.count(replace(wanted, mine=own, me=visit.user.name)),
            states=_states(counts, wanted, values),
            facets=[_facet(counts, name, title, wanted, values) for name, title in _FACETS],
            sorts=[(each.value, render.query(values, sort=_unless(each, Sort.GRAVEST))) for each in Sort],
            views=session.steps.views(visit.user.name),
            own=own,
            snoozes=SNOOZES,
        )


def _unless(sort: Sort, default: Sort) -> str:
    return "" if sort is default else sort.value


def _states(known: Sequence[Under], wanted: Filter, values: Mapping[str, object]) -> list[Choice]:
    counts = {value: count for kind, value, count in known if kind == "state"}
    return [
        Choice(
            state,
            counts.get(state, 0),
            render.query(values, state="" if state == OPEN else state),
            state == wanted.state,
        )
        for state in STATES
        if counts.get(state) or state in (OPEN, wanted.state)
    ]


def _facet(known: Sequence[Under], name: str, title: str, wanted: Filter, values: Mapping[str, object]) -> Facet:
    chosen = getattr(wanted, name)
    there = [(value, count) for kind, value, count in known if kind == name]
    if name in ("severity", "version"):
        there.sort(key=lambda each: (_ORDER.get(each[0], 9), len(each[0]), each[0]))
    offered = there[:CHOICES] + [each for each in there[CHOICES:] if each[0] == chosen]
    if chosen and all(value != chosen for value, _ in offered):
        offered.append((chosen, 0))
    choices = [
        Choice(value, count, render.query(values, **{name: "" if value == chosen else value}), value == chosen)
        for value, count in offered
    ]
    return Facet(name, title, tuple(choices), max(0, len(there) - CHOICES))


# What its forms do


def decide(visit: Visit) -> Response:
    """Decide about all findings of some series that wait."""
    chosen = list(dict.fromkeys(visit.all_sent("series")))
    if not chosen:
        raise Refused("no series is chosen")
    (move, until), reason = move_of(visit), visit.sent("reason")
    with visit.begin() as session:
        ids = triage.waiting(session, chosen[:ROWS])
        if not ids:
            raise Refused("nothing in them waits for a decision")
        triage.check(ids, move, visit.now, reason, until)  # before it is asked whether it is meant
        if len(chosen) > 1 and visit.sent("sure") != _mark(ids):
            return _sure(visit, session, chosen[:ROWS], ids, move)
        by = triage.By(visit.user.name)
        done = triage.decide(session, ids, move, by, visit.now, reason=reason, until=until)
    return visit.back(done=done.batch)


def _mark(ids: Sequence[int]) -> str:
    """Stands for some findings: others, be they as many, have another."""
    return hashlib.sha256(" ".join(map(str, sorted(ids))).encode()).hexdigest()[:16]


def _sure(visit: Visit, session: Session, chosen: Sequence[int], ids: Sequence[int], move: triage.Move) -> Response:
    """How many findings it is about, said before it is done: of some series one sees how many series they are."""
    rows = [(each, len(triage.waiting(session, [each.id]))) for id in chosen if (each := session.series.get(id))]
    fields = [(key, value) for key, value in visit.form if key not in ("csrf", "sure", "move")]
    back = local(visit.sent("back"), "/queue")
    return visit.show(
        session,
        "sure.html",
        rows=rows,
        count=len(ids),
        mark=_mark(ids),
        move=move.value,
        reason=visit.sent("reason").strip(),
        fields=fields,
        back=back,
    )


def move_of(visit: Visit) -> tuple[triage.Move, str]:
    """What a form asks to be done, and until when it is put off."""
    try:
        move = triage.Move(visit.sent("move"))
    except ValueError:
        raise Refused("there is no such decision") from None
    days = visit.sent("days")
    known = {value for value, _ in SNOOZES}
    return move, later(visit.now, 24 * int(days)) if move is triage.Move.SNOOZE and days in known else ""


def keep_view(visit: Visit) -> Response:
    """Keep what is shown under a name, or take a view away."""
    name = visit.sent("name").strip()
    asked = dict(parse_qsl(visit.sent("query"), max_num_fields=50))
    # What is kept is what the page understood, not what it was sent.
    wanted = render.query(values_of(filter_of(asked, (), "")), mine=int(asked.get("mine") == "1"))
    if not name:
        raise Refused("the view has no name")
    with visit.begin() as session:
        session.steps.keep_view(visit.user.name, name, "" if visit.sent("drop") else wanted or "state=open")
    return visit.back()


def area(visit: Visit) -> Response:
    """Which subsystems and lists are somebody's."""
    with visit.look() as session:
        own = session.steps.area(visit.user.name)
        kinds = [(title, session.queue.counts(name)) for name, title in _FACETS[:2]]
        there = {count.value for _, counts in kinds for count in counts}
        return visit.show(
            session, "area.html", kinds=kinds, own=own, others=[each for each in own if each not in there]
        )


def set_area(visit: Visit) -> Response:
    values = [value[:_LONGEST] for key, value in visit.form if key == "own"][:500]
    with visit.begin() as session:
        session.steps.set_area(visit.user.name, values)
    return RedirectResponse("/queue?mine=1", 303)
