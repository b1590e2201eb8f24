"""The queue against a plain look through everything, on both databases; and that it follows every change by itself."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from tests.web.many import LISTS, QUESTIONS, RULES, SUBSYSTEMS, fill

from lorelint.edge.store import bits, schema
from lorelint.edge.store.database import Database
from lorelint.edge.store.derive import RANKS, rebuild
from lorelint.model.queue import DISMISSED, OPEN, STATES, Filter, Sort, person_keys
from lorelint.model.store import FindingRow, Life, ReviewRow, SeriesRow, State


class Plain:
    """What the queue must say, worked out from series and findings alone."""

    def __init__(self, store: Database) -> None:
        self.rows: list[tuple[SeriesRow, list[FindingRow], set[str], ReviewRow]] = []
        with store.look() as session:
            for row in session.series.recent(10_000):
                found = list(session.findings.of_series(row.id))
                reviews = [each for each in session.series.reviews(row.id) if not each.failure]
                mails = [session.mails.get(each.msgid) for each in session.series.patches(row.id)]
                inboxes = {inbox for mail in mails if mail for inbox in mail.inboxes}
                if found:
                    self.rows.append((row, found, inboxes, reviews[-1]))

    def asked(self, wanted: Filter) -> list[int]:
        chosen = [row for row in self.rows if self._is(row, wanted)]

        def place(row: tuple[SeriesRow, list[FindingRow], set[str], Any]) -> tuple[Any, ...]:
            series, found = row[0], row[1]
            waiting = self._waiting(series, found)
            rank = max(RANKS[each.severity] for each in waiting or found)
            return (rank if wanted.sort is Sort.GRAVEST else 0, series.last_at, series.id)

        ordered = sorted(chosen, key=place, reverse=wanted.sort is not Sort.OLDEST)
        return [series.id for series, *_ in ordered]

    @staticmethod
    def _waiting(series: SeriesRow, found: list[FindingRow]) -> list[FindingRow]:
        if series.life in (Life.SUPERSEDED, Life.MUTED):
            return []
        return [each for each in found if each.state is State.NEW]

    def _is(self, row: tuple[SeriesRow, list[FindingRow], set[str], Any], wanted: Filter) -> bool:
        series, found, inboxes, review = row
        subsystems = review.subsystems
        named = {key for each in review.people for key in person_keys(*each)}
        waiting = self._waiting(series, found)
        among = waiting if wanted.state == OPEN else found
        states = {each.state.value for each in found} | {"all"}
        states |= {DISMISSED} if any(each.state.dismissed for each in found) else set()
        words = " ".join([series.subject, *series.author, *(f"{each.function} {each.path}" for each in found)])
        return (
            (bool(waiting) if wanted.state == OPEN else wanted.state in states)
            and wanted.inbox in ("", *inboxes)
            and wanted.subsystem in ("", *subsystems)
            and wanted.rule in ("", *(each.rule for each in among))
            and wanted.severity in ("", *(each.severity for each in among))
            and wanted.version in ("", str(series.version))
            and (wanted.mine is None or bool({*inboxes, *subsystems} & set(wanted.mine)) or wanted.me in named)
            and wanted.text.lower() in words.lower()
        )


def paged(store: Database, wanted: Filter, most: int) -> list[int]:
    """All pages after each other; going back from each must show the one before."""
    found: list[int] = []
    after, last = "", None
    with store.look() as session:
        for _ in range(1000):
            page = session.queue.page(wanted, most=most, after=after)
            if after:
                assert last is not None
                back = session.queue.page(wanted, most=most, before=page.entries[0].key)
                assert [each.series for each in back.entries] == last
            last = [each.series for each in page.entries]
            found += last
            after = page.after
            if not after:
                return found
    raise AssertionError("pages without an end")


@pytest.fixture
def filled(store: Database) -> Database:
    fill(store, 900)
    return store


def test_every_question_is_answered_as_by_a_look_through_everything(filled: Database) -> None:
    plain = Plain(filled)
    chance = random.Random(3)
    questions = [*QUESTIONS.values(), *(Filter(state=state, sort=sort) for state in STATES for sort in Sort)]
    questions += [
        Filter(
            state=chance.choice(STATES),
            inbox=chance.choice(("", *LISTS)),
            subsystem=chance.choice(("", "", *SUBSYSTEMS[:4])),
            rule=chance.choice(("", *RULES[:4])),
            severity=chance.choice(("", "error", "warning")),
            version=chance.choice(("", "1", "2")),
            text=chance.choice(("", "", "retry", "WINDOW_1", "100%", "_")),
            mine=chance.choice((None, None, (), ("kvm", "VFIO DRIVER"))),
            me=chance.choice(("", "odile", "tomas@example.org", "nobody.at.all")),
            sort=chance.choice(list(Sort)),
        )
        for _ in range(60)
    ]
    hits = 0
    for wanted in questions:
        expected = plain.asked(wanted)
        hits += len(expected)
        assert paged(filled, wanted, most=chance.choice((3, 20, 200))) == expected, wanted
        with filled.look() as session:
            assert session.queue.count(wanted) == len(expected), wanted
    assert hits > 3_000  # it was not all empty


def test_counts_are_those_of_the_pages(filled: Database) -> None:
    plain = Plain(filled)
    with filled.look() as session:
        for kind in ("inbox", "subsystem", "rule", "severity", "version", "state"):
            for count in session.queue.counts(kind):
                every = Filter(**{"state": "all", kind: count.value})  # type: ignore[arg-type]
                assert count.every == len(plain.asked(every)), count
                if kind != "state":
                    assert count.waits == len(plain.asked(Filter(**{kind: count.value}))), count  # type: ignore[arg-type]


KINDS = ("inbox", "subsystem", "rule", "severity", "version", "state")


def test_what_stands_beside_a_filter_is_what_one_gets(filled: Database) -> None:
    """Under the other filters: every value that is told has as many series, and one that is not told has none."""
    plain = Plain(filled)
    told = 0
    questions = [*QUESTIONS.values(), Filter(mine=("kvm",), me="odile", state="all"), Filter(text="retry", inbox="kvm")]
    for wanted in questions:
        with filled.look() as session:
            found = session.queue.under(wanted, *KINDS)
            known = {(each.kind, each.value) for each in session.queue.counts(*KINDS)}
            known -= {("state", each.value) for each in State if each.dismissed}  # asked for together
        counted = {(kind, value): count for kind, value, count in found}
        told += len(counted)
        for kind, value in known:
            asked = replace(wanted, **{kind: value})
            assert counted.get((kind, value), 0) == len(plain.asked(asked)), (wanted, kind, value)
        for kind in KINDS:
            counts = [count for each, _, count in found if each == kind]
            assert counts == sorted(counts, reverse=True)
    assert told > 100


@pytest.mark.parametrize("few", [1, 511, 512, 8_192])
def test_bits_are_what_was_put_in(store: Database, few: int) -> None:
    chance = random.Random(few)
    held: set[int] = set()
    tag = ("kind", "value")
    for _ in range(4):
        moved = {chance.randrange(3 * bits.BLOCK): chance.random() < 0.7 for _ in range(few)}
        held = {each for each in held | set(moved) if moved.get(each, True)}
        with store.transaction(writes=True) as connection:
            bits.change(connection, {tag: moved})
            assert bits.of_tags(connection, [tag]) == bits.of_series(held)
            some = set(chance.sample(range(3 * bits.BLOCK), 5_000))
            for marked in bits.of_kinds(connection, ["kind"]).get("kind", ()):
                assert marked.within(bits.of_series(some)) == len(held & some)


def state_of(store: Database) -> dict[str, set[tuple[Any, ...]]]:
    with store.transaction() as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(sa.select(table))}
            for table in (schema.QUEUE, schema.TAGS, schema.TALLIES, schema.BITS)
        }


PEOPLE = (("Odile Brandt", "odile@example.org"), ("Pavel", "pavel@example.org"), ("", "odile@other.example"))


def test_it_follows_each_change_as_if_made_anew(store: Database, make: SimpleNamespace) -> None:
    """Whatever is done with series, mails, reviews and findings: what the queue holds is what `rebuild` would make."""
    chance = random.Random(11)
    numbers = itertools.count()
    ids: list[int] = []
    for _ in range(90):
        with store.begin() as session:
            for _ in range(chance.randint(1, 3)):
                step = chance.choice(("series", "review", "review", "review", "state", "life", "list", "author"))
                if step == "series" or not ids:
                    first = f"m{next(numbers)}@x"
                    session.mails.add(make.kept(first), make.arrival(make.kept(first), chance.choice(LISTS)))
                    row = make.series(first, version=chance.randint(1, 12), last_at=make.time(chance.randint(0, 99)))
                    ids.append(session.series.put(row, [make.patch(first)]))
                    continue
                id = chance.choice(ids)
                if step == "review":
                    failure = chance.choice(("", "", "it broke"))
                    areas = tuple(chance.sample(SUBSYSTEMS, 2))
                    people = tuple(chance.sample(PEOPLE, chance.randint(0, 2)))
                    review = session.series.reviewed(make.review(id, failure=failure, subsystems=areas, people=people))
                    names = [f"{chance.randint(0, 3):016x}" for _ in range(chance.randint(0, 3))]
                    session.findings.add(
                        make.finding(review, id, name, rule=chance.choice(RULES), severity=chance.choice(list(RANKS)))
                        for name in dict.fromkeys(names)
                    )
                elif step == "state":
                    for row in session.findings.of_series(id):
                        session.findings.change(row.id, chance.choice(list(State)), who="odile", at=make.time(5))
                elif step == "life":
                    session.series.move(id, chance.choice(list(Life)))
                elif step == "list":
                    patch = session.series.patches(id)[0].msgid
                    session.mails.add(make.kept(patch), make.arrival(make.kept(patch), chance.choice(LISTS)))
                else:
                    row = session.series.get(id)
                    session.series.put(row, [])
        kept = state_of(store)
        with store.transaction(writes=True) as connection:
            rebuild(connection)
        assert state_of(store) == kept
    assert len(kept["queue"]) > 8 and len(kept["tallies"]) > 20


def test_a_key_that_is_none_is_as_if_it_were_not_given(filled: Database) -> None:
    with filled.look() as session:
        first = session.queue.page(Filter(), most=5)
        for key in ("x", "9_2026_", "1_2026-01-01T00:00:00Z_1' OR 1=1", "3__", "3_\n_4"):
            assert session.queue.page(Filter(), most=5, after=key).entries == first.entries


def test_the_one_after(filled: Database) -> None:
    with filled.look() as session:
        entries = session.queue.page(Filter(), most=20).entries
        for one, other in itertools.pairwise(entries):
            assert session.queue.next(Filter(), one.series) == other.series
        assert session.queue.next(Filter(), 999_999) == 0


def test_views_and_areas_are_somebodys_own(store: Database) -> None:
    with store.begin() as session:
        session.steps.keep_view("odile", "mine", "inbox=kvm")
        session.steps.keep_view("odile", "mine", "inbox=iommu")
        session.steps.keep_view("pavel", "other", "state=sent")
        session.steps.set_area("odile", ["VFIO DRIVER", "VFIO DRIVER", "kvm"])
        assert session.steps.views("odile") == (("mine", "inbox=iommu"),)
        assert session.steps.area("odile") == ("VFIO DRIVER", "kvm") and session.steps.area("pavel") == ()
        session.steps.keep_view("odile", "mine", "")
        assert session.steps.views("odile") == ()
        assert session.steps.area("odile") == ("VFIO DRIVER", "kvm")
